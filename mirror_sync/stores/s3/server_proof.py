"""Whether an S3 server stands behind an answer: a proxy, a web server or a portal may answer at the same address.

GET and list say what is missing in XML of their own. HEAD has no body, so that the bucket is listed once for a client:
what S3 answers carries a mark of its own, and where the bucket's answers have it, so must every 404.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from mirror_sync.stores.s3.refusals import CutShort, NotS3, code_of, headers_of, status_of, store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ANSWERED_IN_XML = {
    "ListObjectsV2": b"ListBucketResult",
    "ListParts": None,
    "ListMultipartUploads": None,
    "CreateMultipartUpload": None,
    "CompleteMultipartUpload": b"CompleteMultipartUploadResult",
    "CopyObject": b"CopyObjectResult",
    "DeleteObjects": b"DeleteResult",
}
"""Operations, and the element that their answer is (S3 API Reference, version 2006-03-01): where it alone shows that
all was done. Elsewhere servers differ, and what is in it is looked for.
"""
_ERROR = b"Error"  # a good status may come before the fault: botocore reads it
_MARK = "x-amz-request-id"  # docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html
_ELEMENT = re.compile(rb"\s*(?:\xef\xbb\xbf)?(?:<\?xml[^>]*\?>)?\s*<(?:\w+:)?(\w+)")
_GOOD = range(200, 300)
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Absent:
    """An answer to HEAD that says: not found. `marked` as those of S3 are."""

    marked: bool

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Absent:
        """Whether an answer with these headers proves that nothing is there."""
        return cls(_MARK in headers)


def absent(error: ClientError) -> Absent:
    """What a refused HeadObject says; the error itself where it is no 404."""
    if status_of(error) != _NOT_FOUND:
        raise error
    return Absent.of(headers_of(error))


def expect_xml(operation: str, answer: Mapping[str, Any]) -> None:
    """NotS3 where the body of a good answer is something else than what this operation answers: a web page, say."""
    match = _ELEMENT.match(answer["body"] or b"")
    wanted = ANSWERED_IN_XML[operation]
    known = match is not None and match[1].lower() != b"html" and (wanted is None or match[1] in (wanted, _ERROR))
    if answer["status_code"] in _GOOD and not known:
        raise NotS3(f"{operation}: HTTP {answer['status_code']} without the XML of an S3 server")


def expect_listing(answer: Mapping[str, Any], prefix: str) -> None:
    """NotS3 where a listing is one of another prefix: what it lacks would read as not there."""
    found = answer.get("Contents", [])
    if answer.get("Prefix", prefix) != prefix or not all(entry["Key"].startswith(prefix) for entry in found):
        raise NotS3(f"ListObjectsV2: HTTP 200 with the listing of another prefix than {prefix!r}")


def expect_page(answer: Mapping[str, Any]) -> None:
    """CutShort where a page of a listing lacks keys, and nothing leads on to them."""
    found = answer.get("Contents", [])
    if answer.get("KeyCount", len(found)) != len(found):
        raise CutShort(f"ListObjectsV2: HTTP 200 with {len(found)} keys that says {answer['KeyCount']}")
    if answer.get("IsTruncated") and not answer.get("NextContinuationToken"):
        raise CutShort("ListObjectsV2: HTTP 200 with a part of the keys and nothing to ask for the rest with")


class ServerProof:
    """Of one bucket, below a prefix. `where` names it in messages. Safe for many threads."""

    def __init__(self, bucket: str, prefix: str, where: str) -> None:
        self._bucket, self._prefix, self._where = bucket, prefix, where
        self._lock = threading.Lock()
        self._marks: bool | None = None

    def expect(self, client: S3Client, key: str, said: Absent) -> None:
        """Return where the bucket itself said that a key is missing; else StoreError."""
        with self._lock:
            if self._marks is None:
                with store_errors(self._where, operation="ListObjectsV2"):
                    self._marks = self._probe(client)
        if self._marks and not said.marked:
            with store_errors(self._where, key, "HeadObject"):
                self._ask_again(client, key)

    def _probe(self, client: S3Client) -> bool:
        """Whether the bucket marks its answers. Who may not list is told so by S3, in words that no other has."""
        try:
            answer = client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        except ClientError as error:
            if code_of(error) == "AccessDenied":
                return _MARK in headers_of(error)
            raise
        expect_listing(answer, self._prefix)
        return _MARK in answer["ResponseMetadata"]["HTTPHeaders"]

    def _ask_again(self, client: S3Client, key: str) -> None:
        """By a call whose refusal has a body."""
        try:
            client.get_object(Bucket=self._bucket, Key=self._prefix + key, Range="bytes=0-0")["Body"].close()
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                return
            raise
        raise NotS3("HeadObject: HTTP 404 for what GetObject finds")
