"""An S3-compatible bucket as a target, through botocore, with a short way for objects and parts.

Only here are botocore and boto3 imported: a directory target needs none. `bucket_store` is the way in.
"""
