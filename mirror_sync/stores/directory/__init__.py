"""A directory as a target: the keys of a bucket as files, each made visible, whole, by one rename."""
