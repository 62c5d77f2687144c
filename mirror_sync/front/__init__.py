"""The doors to what is mirrored: the Hub's URLs, answered from a bucket of blobs and refs.

Two fronts give the same answers. `serve` is a Python process over a `ports.Store`; `front nginx`
(nginx.py, templates/) writes a configuration for nginx with njs, which needs no Python afterwards. routes.py is the one
table of what both answer. What people see in a browser (site.py) was written by `catalogue`: a front only sends it.

What does not live here: anything that writes to a target, knows a configuration file, or names an adapter.
"""
