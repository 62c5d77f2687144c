"""A target as a front sees it: keys and bytes, read without any code of the program."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.bucket import S3Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

_READ = 1 << 20
_OK, _NOT_FOUND = 200, 404
_NOT_THERE = {"NoSuchKey", "404", "NoSuchBucket"}


class Unreadable(Exception):
    """The server of the target did not answer, which says nothing about what is stored."""


@dataclass(frozen=True)
class Found:
    """What an object is: its size, its digest, and what changes when it is written again."""

    size: int
    sha256: str
    mark: str


class Shelf(Protocol):
    """Reads a target; every method returns None, or nothing, for what is not there. Raises Unreadable."""

    def get(self, key: str) -> bytes | None:
        """A whole small object."""

    def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """What changes when an object is written again, without reading it; objects that are not there are left out."""

    def found(self, key: str) -> Found | None:
        """An object, read to its end and hashed."""

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin so."""

    def put(self, key: str, body: bytes) -> None:
        """Write an object as it is, past the program: damage, or its end."""

    def remove(self, key: str) -> None:
        """Take an object away, past the program."""


@dataclass(frozen=True)
class FolderShelf:
    """A directory target."""

    root: Path

    def get(self, key: str) -> bytes | None:
        """A whole small object."""
        try:
            return (self.root / key).read_bytes()
        except FileNotFoundError:
            return None

    def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """Size, inode and time of the last write."""
        return {key: mark for key in keys if (mark := self._mark(key))}

    def found(self, key: str) -> Found | None:
        """An object, read to its end and hashed."""
        mark = self._mark(key)
        try:
            with (self.root / key).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256")
                return Found(stream.tell(), digest.hexdigest(), mark)
        except FileNotFoundError:
            return None

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin so."""
        for path in (self.root / prefix).rglob("*"):
            if path.is_file():
                yield str(path.relative_to(self.root))

    def put(self, key: str, body: bytes) -> None:
        """Write a file as it is."""
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(body)

    def remove(self, key: str) -> None:
        """Take a file away."""
        (self.root / key).unlink()

    def age(self, prefix: str, seconds: float) -> None:
        """Make the objects whose keys begin so older, as if nobody had renewed them for so long."""
        for key in self.keys(prefix):
            found = (self.root / key).stat()
            os.utime(self.root / key, (found.st_atime - seconds, found.st_mtime - seconds))

    def _mark(self, key: str) -> str:
        try:
            found = (self.root / key).stat()
        except FileNotFoundError:
            return ""
        return f"{found.st_size} {found.st_ino} {found.st_mtime_ns}"


class BucketShelf:
    """A bucket, past the proxy: what is stored is judged, not the way to it.

    Objects are read by signed URLs over connections of their own: on a kept one radosgw's answer waits 40 ms for an
    acknowledgement, which a fresh connection gives at once.
    """

    def __init__(self, server: S3Server, bucket: str) -> None:
        self._client: S3Client = server.client()
        self._bucket = bucket
        self._pool = urllib3.PoolManager(retries=False, timeout=20)
        self._urls: dict[str, str] = {}

    def get(self, key: str) -> bytes | None:
        """A whole small object."""
        with self._opened(key) as answer:
            return answer.read() if answer else None

    def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """ETags, by one listing: a call for each object costs a millisecond of CPU."""
        found = {one["Key"]: one["ETag"] for one in self._listed("blobs/")}
        return {key: found[key] for key in keys if key in found}

    def found(self, key: str) -> Found | None:
        """An object, read to its end and hashed."""
        digest, size = hashlib.sha256(), 0
        with self._opened(key) as answer:
            if answer is None:
                return None
            for chunk in answer.stream(_READ):
                digest.update(chunk)
                size += len(chunk)
            return Found(size, digest.hexdigest(), answer.headers.get("ETag", ""))

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin so."""
        return (one["Key"] for one in self._listed(prefix))

    def put(self, key: str, body: bytes) -> None:
        """Write an object as it is."""
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body)

    def remove(self, key: str) -> None:
        """Take an object away."""
        self._client.delete_object(Bucket=self._bucket, Key=key)

    @contextmanager
    def _opened(self, key: str) -> Iterator[urllib3.BaseHTTPResponse | None]:
        try:
            answer = self._pool.request("GET", self._url(key), preload_content=False, headers={"Connection": "close"})
            with closing(answer):
                if answer.status not in (_OK, _NOT_FOUND):
                    raise Unreadable(f"{key}: {answer.status}")
                yield answer if answer.status == _OK else None
        except urllib3.exceptions.HTTPError as error:
            raise Unreadable(f"{key}: {error}") from error

    def _url(self, key: str) -> str:
        """Signing costs a millisecond: a URL is kept, and lasts longer than a world."""
        if key not in self._urls:
            place = {"Bucket": self._bucket, "Key": key}
            self._urls[key] = self._client.generate_presigned_url("get_object", Params=place, ExpiresIn=36000)
        return self._urls[key]

    def _listed(self, prefix: str) -> Iterator[ObjectTypeDef]:
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                yield from page.get("Contents", [])
        except (ClientError, BotoCoreError) as error:
            _refuse(error)


def _refuse(error: Exception) -> None:
    """Return where the answer is that there is nothing; Unreadable for any other."""
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in _NOT_THERE:
        return
    raise Unreadable(str(error)) from error
