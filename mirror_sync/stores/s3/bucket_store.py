"""An S3-compatible bucket as a target, through botocore.

Nothing here depends on conditional writes, user metadata or lifecycle rules: servers differ in all three.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from io import RawIOBase
from itertools import islice
from typing import IO, TYPE_CHECKING, NamedTuple, TypedDict, cast

from botocore.exceptions import ClientError

from mirror_sync.domain.content.keys import blob_of, site_type
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.errors import KeyMissing
from mirror_sync.ports.store import Stat
from mirror_sync.stores.key_names import check_key, check_prefix
from mirror_sync.stores.parts import MIB, Parts
from mirror_sync.stores.s3 import resume_upload
from mirror_sync.stores.s3.client import Access, S3Options, checked, open_access
from mirror_sync.stores.s3.multipart_upload import OpenUpload, S3Upload
from mirror_sync.stores.s3.payloads import Incoming, outgoing
from mirror_sync.stores.s3.refusals import NotS3, refused_each, status_of, store_errors
from mirror_sync.stores.s3.server_proof import Absent, ServerProof, absent, expect_listing, expect_page
from mirror_sync.stores.s3.single_put import MOST, SinglePut, expect_one_put
from mirror_sync.stores.s3.small_objects import ShortWay, Stated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteObjectsOutputTypeDef, GetObjectOutputTypeDef

__all__ = ["S3Options", "S3Store"]

_DELETED_AT_ONCE = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_RANGE_BEYOND_END = (400, 416)  # nanio answers with the first
_NO_BATCHES = (405, 501)
_DELETES_AT_ONCE = 8  # where a server takes them one by one
_PAGE = "text/html"
_HEADERS = {"CacheControl": "cache-control", "ContentType": "content-type"}


class _Range(TypedDict, total=False):
    Range: str


class _Described(TypedDict, total=False):
    ContentType: str
    CacheControl: str


class PlaceOfObject(NamedTuple):
    """`where` is as messages name the bucket."""

    client: S3Client
    bucket: str
    name: str
    where: str


class S3Store:
    """Implements `ports.Store` on a bucket, below its prefix. Connects at the first call.

    Nothing is missing before an S3 server has said so: see `s3_missing`.
    """

    readers = 4  # who waits for an answer hashes nothing

    def __init__(self, target: S3Target, options: S3Options | None = None) -> None:
        self._target, self._options = target, options or S3Options()
        self._bucket = target.bucket
        self._prefix = f"{target.prefix.strip('/')}/".lstrip("/")
        self._where = f"s3://{self._bucket}/{self._prefix} at {target.server}"
        self._proof = ServerProof(self._bucket, self._prefix, self._where)
        self._lock = threading.Lock()
        self._made: tuple[Access, ShortWay] | None = None
        self._deletes_batches = True
        self.part_size = self._options.part_size
        self.confirm = target.confirm

    def stat(self, key: str) -> Stat | None:
        name = self._name(key)
        with store_errors(self._where, key, "HeadObject"):
            access, short_way = self._opened
            stated = short_way.stat(name, lambda: _stated(access.client, self._bucket, name))
        if isinstance(stated, Absent):
            self._proof.expect(access.client, key, stated)
            return None
        return Stat(key, *stated)

    @contextmanager
    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[Incoming]:
        """A server that ignores ranges is understood: what comes before `start` is read and dropped."""
        name = self._name(key)
        part = _range(start, stop)
        with store_errors(self._where, key, "GetObject"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=name, **part)
            except ClientError as error:
                if not part or status_of(error) not in _RANGE_BEYOND_END:
                    raise
                answer = self._client.get_object(Bucket=self._bucket, Key=name)
            _expect_object(key, answer)
        with closing(answer["Body"]):
            yield Incoming(answer, start, stop, (self._where, key))

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        """A server that checks signatures refuses a body with another digest, unless the target signs none."""
        name, described, signed = self._name(key), self._described(key), self._signed_digest(digest)
        with store_errors(self._where, key, "PutObject"):
            access, short_way = self._opened

            def send() -> object:
                return access.client.put_object(
                    Bucket=self._bucket, Key=name, Body=outgoing(body), **checked(signed), **described
                )

            short_way.put(name, body, signed, send, {_HEADERS[word]: str(said) for word, said in described.items()})

    def begin(self, key: str, size: int, token: str | None = None) -> S3Upload | SinglePut:
        """Kept parts are proved by the server's own list of them: nothing is read back."""
        name, parts = self._name(key), Parts.of(size, self.part_size)
        if not self._target.multipart:
            return self._begin_single(key, parts)
        begun = self._upload(key)
        signs = self._target.sign == "all"
        with store_errors(self._where, key, "CreateMultipartUpload"):
            kept = None if token is None else resume_upload.go_on(begun, parts, token, signs=signs)
            if kept is not None:
                return kept
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=name, **self._described(key))[
                "UploadId"
            ]
        return S3Upload(replace(begun, id=upload), parts, signs=signs)

    def _upload(self, key: str = "") -> OpenUpload:
        """One that is not begun yet; without a key it stands for all."""
        access, short_way = self._opened
        return OpenUpload(
            access.client, short_way, self._bucket, self._name(key) if key else "", "", (self._where, key)
        )

    def _signed_digest(self, digest: Sha256 | None) -> Sha256 | None:
        """The digest that a signature is to have of a whole object."""
        return None if self._target.sign == "never" else digest

    def _begin_single(self, key: str, parts: Parts) -> SinglePut:
        """The digest of a blob is in its key, so a server that checks signatures refuses other bytes here too."""
        place = (self._where, key)
        expect_one_put(parts.size, place)
        client, signed = self._client, checked(self._signed_digest(blob_of(key)))

        def send(body: RawIOBase) -> object:
            return client.put_object(
                Bucket=self._bucket,
                Key=self._name(key),
                Body=cast("IO[bytes]", body),
                ContentLength=parts.size,
                **signed,
                **self._described(key),
            )

        return SinglePut(send, parts, place)

    def touch(self, key: str) -> None:
        """Copied onto itself, by the server; in parts where it is too large for one copy. It gets the usual class."""
        self.copy_onto_itself(key)

    def copy_onto_itself(self, key: str, storage_class: str | None = None) -> None:
        """As `touch` does, into a class of storage. KeyMissing; BlobFrozen for what has to be restored first."""
        from boto3.s3.inject import copy  # few runs copy, and it costs a start a third of botocore
        from boto3.s3.transfer import TransferConfig

        name = self._name(key)
        cuts = TransferConfig(multipart_threshold=8 * MIB if self._target.multipart else MOST + 1)
        source = {"Bucket": self._bucket, "Key": name}
        said = None
        with store_errors(self._where, key, "CopyObject"):
            try:
                # docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html: onto itself only with some change
                change = {"MetadataDirective": "REPLACE", **self._described(key)}
                change |= {"StorageClass": storage_class} if storage_class else {}
                copy(self._client, source, self._bucket, name, change, Config=cuts)
            except ClientError as error:
                if error.operation_name != "HeadObject":
                    raise
                said = absent(error)
        if said is not None:
            self._proof.expect(self._client, key, said)
            raise KeyMissing(key)

    def sweep(self, older_than: float) -> int:
        """The age of an upload is that of its newest part, by the server's clock."""
        if not self._target.multipart:
            return 0
        return resume_upload.sweep(self._upload(), self._prefix, older_than)

    def free(self) -> None:
        """No server says."""

    def list(self, prefix: str) -> Iterator[Stat]:
        """A thousand keys a call."""
        return (stat for stat, _ in self.list_classes(prefix))

    def list_classes(self, prefix: str) -> Iterator[tuple[Stat, str]]:
        """The same, with the class of storage of each."""
        return self._listed(self._prefix + check_prefix(prefix))

    def place(self, key: str) -> PlaceOfObject:
        """Where an object is, for calls that are none of a store's."""
        return PlaceOfObject(self._client, self._bucket, self._name(key), self._where)

    def delete(self, keys: Iterable[str]) -> None:
        """By the thousand; one by one on a server that has no such call."""
        names = (self._name(key) for key in keys)
        while batch := tuple(islice(names, _DELETED_AT_ONCE)):
            if not (self._deletes_batches and self._delete_batch(batch)):
                with ThreadPoolExecutor(_DELETES_AT_ONCE) as pool:
                    list(pool.map(self._delete_one, batch))

    def __repr__(self) -> str:
        return f"S3Store({self._where})"

    @property
    def _client(self) -> S3Client:
        return self._opened[0].client

    @property
    def _opened(self) -> tuple[Access, ShortWay]:
        made = self._made
        if made is None:
            with self._lock:
                made = self._made
                if made is None:
                    with store_errors(self._where):
                        access = open_access(self._target, self._options)
                        made = self._made = access, ShortWay(access, self._options)
        return made

    def _described(self, key: str) -> _Described:
        """What an object says of itself to whoever reads the bucket by HTTP."""
        described: _Described = {"CacheControl": self._target.caching.of_object(key)}
        media_type = site_type(key)
        return {**described, "ContentType": media_type} if media_type else described

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _listed(self, prefix: str) -> Iterator[tuple[Stat, str]]:
        with store_errors(self._where, operation="ListObjectsV2"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                expect_listing(page, prefix)
                expect_page(page)
                for found in page.get("Contents", []):
                    key = found["Key"].removeprefix(self._prefix)
                    tag = found.get("ETag", "").strip('"')  # the MD5 of what was put at once, unless it is encrypted
                    stat = Stat(key, found["Size"], found["LastModified"].timestamp(), tag)
                    yield stat, found.get("StorageClass", "STANDARD")

    def _delete_batch(self, names: Sequence[str]) -> bool:
        """False where the server has no such call."""
        with store_errors(self._where, operation="DeleteObjects"):
            try:
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": name} for name in names], "Quiet": True}
                )
            except ClientError as error:
                self._deletes_batches = status_of(error) not in _NO_BATCHES
                if self._deletes_batches:
                    raise
                return False
        self._check_deleted(answer)
        return True

    def _delete_one(self, name: str) -> None:
        with suppress(KeyMissing), store_errors(self._where, name.removeprefix(self._prefix), "DeleteObject"):
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def _check_deleted(self, answer: DeleteObjectsOutputTypeDef) -> None:
        """One error for the first key that was not removed; a key that was not there is none."""
        faults = [fault for fault in answer.get("Errors", []) if fault.get("Code") != "NoSuchKey"]
        if faults:
            raise refused_each(self._where, faults)


def _stated(client: S3Client, bucket: str, name: str) -> Stated | Absent:
    try:
        found = client.head_object(Bucket=bucket, Key=name)
    except ClientError as error:
        return absent(error)
    if "LastModified" not in found or "ContentLength" not in found:
        raise NotS3("HeadObject: HTTP 200 without the size and date of an object")
    return found["ContentLength"], found["LastModified"].timestamp()


def _expect_object(key: str, answer: GetObjectOutputTypeDef) -> None:
    """NotS3 for a web page in place of bytes: none of ours is one but the catalogue's."""
    if site_type(key) is None and answer.get("ContentType", "").startswith(_PAGE):
        answer["Body"].close()
        raise NotS3("GetObject: HTTP 200 with a web page")


def _range(start: int, stop: int | None) -> _Range:
    """The arguments that ask for [start, stop); one byte where that is empty, so that a missing key is still told."""
    if stop is None:
        return {"Range": f"bytes={start}-"} if start else {}
    return {"Range": f"bytes={start}-{max(stop, start + 1) - 1}"}
