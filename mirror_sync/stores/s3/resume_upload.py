"""Uploads that an earlier process left in a bucket: gone on with, or swept by age."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from mirror_sync.domain.content.keys import BLOBS, blob_of
from mirror_sync.stores.parts import Parts
from mirror_sync.stores.s3.multipart_upload import OpenUpload, S3Upload, proof_of
from mirror_sync.stores.s3.refusals import code_of, store_errors
from mirror_sync.stores.tokens import Token, read_token

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import MultipartUploadTypeDef, PartTypeDef

_NOT_THERE = ("NoSuchUpload", "NoSuchKey")  # the second is radosgw's answer
_QUIET = 1800.0  # seconds without a part, after which an upload that goes on shows the sweepers that it does


def go_on(begun: OpenUpload, parts: Parts, text: str, *, signs: bool) -> S3Upload | None:
    """The upload that gave this token; None when it is gone, or is not what the token says: then it is aborted.

    The server must still have every kept part, with its size and the ETag that we were given for it.
    """
    token = read_token(text)
    if token is None:
        return None
    begun = replace(begun, id=token.upload)
    try:
        found, now = _list_parts(begun)
    except ClientError as error:
        if code_of(error) in _NOT_THERE:
            return None
        raise
    etags = _kept(found, parts, token)
    if not etags:
        with suppress(ClientError):
            begun.abort()
        return None
    if len(etags) < len(parts) and _newest(found, 0.0) < now - _QUIET:
        _touch(begun, len(etags))
    return S3Upload(begun, parts, signs=signs, etags=etags)


def sweep(bucket: OpenUpload, prefix: str, older_than: float) -> int:
    """Abort the uploads of our blobs below the prefix without a part for so many seconds; return how many.

    `bucket` stands for every upload in it. An upload that ends meanwhile is none of ours any longer.
    """
    count = 0
    for upload, now in _unfinished(bucket, f"{prefix}{BLOBS}"):
        key = upload["Key"].removeprefix(prefix)
        limit = now - older_than
        if blob_of(key) is None or upload["Initiated"].timestamp() > limit:
            continue
        begun = replace(bucket, name=upload["Key"], id=upload["UploadId"], place=(bucket.place[0], key))
        with store_errors(*begun.place, "ListParts"):
            count += _abort_if_older(begun, limit)
    return count


def _kept(found: Mapping[int, PartTypeDef], parts: Parts, token: Token) -> list[str] | None:
    """The ETags of the kept parts; None when one of them is not there as it was put."""
    if not token.fits(parts):
        return None
    for number in range(token.kept):
        if number not in found or found[number]["Size"] != parts.length(number):
            return None
    etags = [found[number]["ETag"] for number in range(token.kept)]
    return etags if proof_of(etags) == token.proof else None


def _touch(begun: OpenUpload, number: int) -> None:
    """Puts one byte where the next part will be: its date tells every sweeper, on any machine, that this is in use."""
    begun.client.upload_part(Bucket=begun.bucket, Key=begun.name, UploadId=begun.id, PartNumber=number + 1, Body=b"\0")


def _abort_if_older(begun: OpenUpload, limit: float) -> bool:
    try:
        found, _ = _list_parts(begun)
        if _newest(found, 0.0) > limit:
            return False
        begun.abort()
    except ClientError as error:
        if code_of(error) not in _NOT_THERE:
            raise
        return False
    return True


def _list_parts(begun: OpenUpload) -> tuple[dict[int, PartTypeDef], float]:
    """The parts that the server has, by number from 0, and its time."""
    found: dict[int, PartTypeDef] = {}
    now = time.time()
    pages = begun.client.get_paginator("list_parts")
    for page in pages.paginate(Bucket=begun.bucket, Key=begun.name, UploadId=begun.id):
        now = _server_time(page["ResponseMetadata"])
        found |= {part["PartNumber"] - 1: part for part in page.get("Parts", [])}
    return found, now


def _unfinished(bucket: OpenUpload, prefix: str) -> Iterator[tuple[MultipartUploadTypeDef, float]]:
    """The uploads below a prefix, each with the server's time."""
    pages = bucket.client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket.bucket, Prefix=prefix)
    with store_errors(bucket.place[0], operation="ListMultipartUploads"):
        for page in pages:
            now = _server_time(page["ResponseMetadata"])
            for upload in page.get("Uploads", []):
                yield upload, now


def _newest(found: Mapping[int, PartTypeDef], otherwise: float) -> float:
    """When the last part came, in seconds since the epoch."""
    return max((part["LastModified"].timestamp() for part in found.values()), default=otherwise)


def _server_time(answer: Mapping[str, Any]) -> float:
    """From the header that every answer has: ages count by one clock, and not by ours. In seconds since the epoch."""
    text = answer.get("HTTPHeaders", {}).get("date", "")
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return time.time()
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
