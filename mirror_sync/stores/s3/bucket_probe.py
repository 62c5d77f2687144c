"""What a bucket does in which servers differ: whether a body is proved by its signature, what conditions come to.

What was seen: radosgw and Swift refuse another body with 400, SeaweedFS, moto and s3rver take it; If-None-Match is kept
by SeaweedFS, moto and radosgw (412), ignored by rclone, s3rver and nanio, and 501 on Swift. Nothing of ours may depend
on either.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.stores.s3.client import S3Options, checked, open_access
from mirror_sync.stores.s3.refusals import status_of, store_errors

_REFUSED = (400, 403, 412, 422)  # of a body that is not what its signature says
_PRECONDITION, _NOT_OFFERED = 412, (400, 405, 501)


class BucketProbe:
    """Of one bucket, by botocore. Both leave something under the key, which must not be one in use; StoreError."""

    def __init__(self, target: S3Target, options: S3Options) -> None:
        self._target, self._options = target, options
        self._prefix = f"{target.prefix.strip('/')}/".lstrip("/")
        self._where = f"s3://{target.bucket}/{self._prefix} at {target.server}"

    def takes_other_bytes(self, key: str) -> bool:
        """Whether it stores a body that is not the one whose digest was signed."""
        with store_errors(self._where, key, "PutObject"):
            client = open_access(self._target, self._options).client
            try:
                client.put_object(
                    Bucket=self._target.bucket, Key=self._prefix + key, Body=b"other", **checked(Sha256.of(b"signed"))
                )
            except ClientError as error:
                if status_of(error) not in _REFUSED:
                    raise
                return False
        return True

    def condition(self, key: str) -> str:
        """What it makes of If-None-Match: * on a PUT of a key that is there."""
        with store_errors(self._where, key, "PutObject"):
            client = open_access(self._target, self._options).client
            try:
                client.put_object(
                    Bucket=self._target.bucket,
                    Key=self._prefix + key,
                    Body=b"other",
                    IfNoneMatch="*",
                    **checked(Sha256.of(b"other")),
                )
            except ClientError as error:
                if (status := status_of(error)) == _PRECONDITION:
                    return "kept"
                if status not in _NOT_OFFERED:
                    raise
                return "refused"
        return "ignored"
