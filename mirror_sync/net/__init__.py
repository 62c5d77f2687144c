"""The one way to the network by HTTP/1.1, for sources, stores and hooks: what is written and read, and how patiently.

Who speaks of repos, buckets or notices has no place here.
"""
