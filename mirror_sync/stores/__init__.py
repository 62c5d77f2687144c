"""The targets: adapters behind `ports.Store` (directory, S3 bucket), `ContentIndex` and `UploadNotes` (both SQLite).

Here lives how keys and bytes are kept, nothing else: what a key means, which object may be removed, when to try again
beyond one call, and how a target is named in jobs.yaml belong to the layers above. Nothing here imports a sibling
(sources, engine, front ...), and only `s3*.py` import boto3 or botocore: a directory target needs neither.
"""
