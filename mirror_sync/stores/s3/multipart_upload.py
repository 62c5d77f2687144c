"""An object on its way into a bucket, in parts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError

from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreError
from mirror_sync.stores.parts import Parts
from mirror_sync.stores.s3.client import checked
from mirror_sync.stores.s3.payloads import outgoing
from mirror_sync.stores.s3.refusals import code_of, store_errors
from mirror_sync.stores.s3.small_objects import ShortWay
from mirror_sync.stores.tokens import Token

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload that a server knows: what every call about it repeats. `name` is the key with the bucket's prefix."""

    client: S3Client
    short_way: ShortWay
    bucket: str
    name: str
    id: str
    place: tuple[str, str]  # where, and the key without the prefix: for messages

    def abort(self) -> None:
        """Raises what botocore raises."""
        self.client.abort_multipart_upload(Bucket=self.bucket, Key=self.name, UploadId=self.id)


class S3Upload:
    """Implements `ports.Upload` by S3's multipart upload. `etags` are those of the kept parts, in order."""

    in_order = False

    def __init__(self, begun: OpenUpload, parts: Parts, *, signs: bool, etags: Sequence[str] = ()) -> None:
        self.part_size, self.kept = parts.part_size, len(etags)
        self._begun, self._parts, self._signs = begun, parts, signs
        self._etags = dict(enumerate(etags))
        self._lock = threading.Lock()
        self._ended = self._stays = False

    def put(self, number: int, body: bytes | bytearray | memoryview) -> None:
        self._parts.check(number, memoryview(body).nbytes)
        begun = self._begun
        digest = Sha256.of(body) if self._signs else None

        def send() -> str:
            return begun.client.upload_part(
                Bucket=begun.bucket,
                Key=begun.name,
                UploadId=begun.id,
                PartNumber=number + 1,
                Body=outgoing(body),
                **checked(digest),
            )["ETag"]

        with store_errors(*begun.place, "UploadPart"):
            etag = begun.short_way.put_part(begun.name, (number + 1, begun.id), body, digest, send)
        with self._lock:
            self._etags[number] = etag

    def token(self, parts: int) -> str:
        """The ETags are noted as one digest: ten thousand of them would make each note as large as a document."""
        with self._lock:
            proof = proof_of(self._etags[number] for number in range(parts))
        return str(Token(self._begun.id, self._parts.size, self.part_size, parts, proof))

    def read_kept(self) -> None:
        """Parts of an unfinished upload cannot be read back; their ETags were compared."""

    def keep(self) -> None:
        self._stays = True

    def complete(self) -> None:
        begun = self._begun
        self._parts.check_all(begun.place[1], self._etags)
        if self._ended:
            raise StoreError(f"{begun.place[1]}: the upload was aborted or completed before")
        with store_errors(*begun.place, "CompleteMultipartUpload"):
            try:
                self._complete()
            except ClientError as error:
                # The answer to an earlier try of this call may have been lost: then the upload is gone, being complete.
                if code_of(error) != "NoSuchUpload" or not self._is_there():
                    raise
        self._ended = True

    def abort(self) -> None:
        if self._ended:
            return
        self._ended = True
        begun = self._begun
        with suppress(Exception):
            begun.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._stays:
            self.abort()

    def _complete(self) -> None:
        """An error in the body of a 200 is raised by botocore as the error that it is."""
        begun = self._begun
        begun.client.complete_multipart_upload(
            Bucket=begun.bucket,
            Key=begun.name,
            UploadId=begun.id,
            MultipartUpload={
                "Parts": [{"PartNumber": number + 1, "ETag": etag} for number, etag in sorted(self._etags.items())]
            },
        )

    def _is_there(self) -> bool:
        """Whether the object under the key was made of our parts: by the ETag that S3 gives to a completed upload."""
        with suppress(ValueError, ClientError):
            found = self._begun.client.head_object(Bucket=self._begun.bucket, Key=self._begun.name)
            each = b"".join(bytes.fromhex(etag.strip('"')) for _, etag in sorted(self._etags.items()))
            expected = hashlib.md5(each, usedforsecurity=False).hexdigest()
            return found["ETag"].strip('"') == f"{expected}-{len(self._etags)}"
        return False


def proof_of(etags: Iterable[str]) -> str:
    """One digest for the ETags of parts, in order."""
    return Sha256.of("\n".join(etags).encode())
