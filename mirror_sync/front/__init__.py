"""The doors to what is mirrored, answered from a bucket of blobs and refs.

Two fronts give the same answers. `serve` is a Python process over a `ports.Store`; `nginx` (with templates/) writes a
configuration for nginx with njs, which needs no Python afterwards. `hub` is the Hub's API and what all protocols share,
`protocols` the others, and `mounted`, the one table of what both fronts answer. What people see in a browser was
written by `catalogue`: a front only sends it.

What does not live here: anything that writes to a target, knows a configuration file, or names an adapter.
"""
