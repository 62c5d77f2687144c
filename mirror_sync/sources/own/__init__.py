"""Own models as upstreams: what was pushed into a folder or a bucket, and a folder that is about to be."""
