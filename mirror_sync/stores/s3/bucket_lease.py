"""The lease of two daemons in a bucket, by conditional PUTs.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html (If-None-Match, If-Match). What a
server does not know it ignores, and answers 200: so each start tries all four cases before anybody relies on them.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.errors import StoreDenied, StoreError, StoreUnavailable
from mirror_sync.ports.lease_place import LEASE_KEY, MAX_LEASE, PROBE_KEY, Tagged, WrittenByAnother
from mirror_sync.stores.s3.client import S3Options, checked, open_access
from mirror_sync.stores.s3.refusals import code_of, status_of, store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_REFUSED = (409, 412)  # ConditionalRequestConflict: another write of the key was under way; PreconditionFailed
_NOT_FOUND = 404  # AWS and moto answer so to If-Match where nothing stands
_NO_OBJECT = "00000000000000000000000000000000"


class BucketLease:
    """Implements `ports.LeasePlace` below a target's prefix. A call takes up to twice `patience` seconds."""

    def __init__(self, target: S3Target, patience: float) -> None:
        self._target, self._bucket = target, target.bucket
        self._options = S3Options(max_connections=4, connect_timeout=patience, read_timeout=patience, attempts=1)
        self._prefix = f"{target.prefix.strip('/')}/".lstrip("/")
        self._where = f"s3://{self._bucket}/{self._prefix} at {target.server}"
        self._bare = False  # radosgw compares If-Match with a tag that has no quotation marks

    def prove(self) -> None:
        """The first PUT must create, the second and one for another tag be refused, the last one replace."""
        key = f"{PROBE_KEY}{os.urandom(8).hex()}"
        try:
            self._probe(key)
        except (StoreUnavailable, StoreDenied):
            raise
        except StoreError as error:  # Swift answers 501 to If-None-Match
            raise StoreError(str(error) if _ELSE in str(error) else f"{error}; {_ELSE}") from error
        finally:
            with suppress(StoreError), store_errors(self._where, key, "DeleteObject"):
                self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def _probe(self, key: str) -> None:
        tag = self._put(key, b"1", None)
        self._expect_refusal(key, None, "If-None-Match: *")
        self._expect_refusal(key, f'"{_NO_OBJECT}"', "If-Match of what stands no more")
        for bare in (False, True):
            self._bare = bare
            with suppress(WrittenByAnother):
                self._put(key, b"2", tag)
                break
        else:
            raise StoreError(f"{self._where}: the server refuses PUTs with the If-Match of what stands there; {_ELSE}")
        self._expect_refusal(key, tag, "If-Match of what stands no more")

    def _expect_refusal(self, key: str, tag: str | None, what: str) -> None:
        with suppress(WrittenByAnother):
            self._put(key, b"3", tag)
            ignores = f"the server ignores {what} of a PUT, so that two daemons would both run"
            raise StoreError(f"{self._where}: {ignores}; {_ELSE}")

    def read(self) -> Tagged | None:
        with store_errors(self._where, LEASE_KEY, "GetObject"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + LEASE_KEY)
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise
            with closing(answer["Body"]) as stream:
                body = stream.read(MAX_LEASE + 1)
        if len(body) > MAX_LEASE:
            raise StoreError(f"{self._where}: {LEASE_KEY} is larger than {MAX_LEASE:,} bytes, which no lease is")
        return Tagged(body, answer["ETag"])

    def write(self, body: bytes, expected: str | None) -> str:
        return self._put(LEASE_KEY, body, expected)

    def _put(self, key: str, body: bytes, expected: str | None) -> str:
        name, signed = self._prefix + key, checked(Sha256.of(body))
        with store_errors(self._where, key, "PutObject"):
            try:
                if expected is None:
                    answer = self._client.put_object(
                        Bucket=self._bucket, Key=name, Body=body, IfNoneMatch="*", **signed
                    )
                else:
                    tag = expected.strip('"') if self._bare else expected
                    answer = self._client.put_object(Bucket=self._bucket, Key=name, Body=body, IfMatch=tag, **signed)
            except ClientError as error:
                gone = expected is not None and status_of(error) == _NOT_FOUND and code_of(error) == "NoSuchKey"
                if status_of(error) in _REFUSED or gone:
                    raise WrittenByAnother from error
                raise
        tag = answer.get("ETag", "")
        if not tag:
            raise StoreUnavailable(f"{self._where}, key {key}: PutObject: an answer without an ETag")
        return tag

    @cached_property
    def _client(self) -> S3Client:
        return open_access(self._target, self._options).client


_ELSE = "ha needs a server with conditional writes; docs/guide/two-daemons.md has the way without"
