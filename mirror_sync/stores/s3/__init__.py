"""An S3-compatible bucket as a target, through boto3, with a short way for small objects.

Only here is boto3 imported: a directory target needs none. `bucket_store` is the way in.
"""
