"""The fronts: one suite of requests, run against `serve` and real nginx, over a directory and over S3."""
