"""Bodies on their way to and from an S3 server, without copies."""

from __future__ import annotations

import io
import re
from typing import IO, TYPE_CHECKING, cast

from mirror_sync.errors import StoreUnavailable
from mirror_sync.stores.parts import MIB
from mirror_sync.stores.s3.refusals import store_errors

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_AT_ONCE = MIB  # bytes; botocore asks for 16 KiB at a time, which costs a system call each
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/")


def outgoing(body: bytes | bytearray | memoryview) -> IO[bytes]:
    """The body in a form that botocore sends as it is, and can send again.

    A small one is copied, since every file-like body waits for `100 Continue`: a round trip. A large one is not: there
    that wait is short beside the body, and a refusal saves sending it.
    """
    if len(body) <= _AT_ONCE:
        return cast("IO[bytes]", bytearray(body))
    return cast("IO[bytes]", _View(memoryview(body).cast("B")))


class _View(io.RawIOBase):
    """A buffer as a file that gives slices of itself, larger ones than were asked for."""

    def __init__(self, view: memoryview) -> None:
        self._view, self._at = view, 0

    def __len__(self) -> int:
        return len(self._view)

    def read(self, size: int = -1) -> bytes:
        wanted = len(self._view) if size < 0 else max(size, _AT_ONCE)
        chunk = self._view[self._at : self._at + wanted]
        self._at += len(chunk)
        return cast("bytes", chunk)  # what sends and hashes it takes any buffer

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at


class Incoming:
    """Implements `ports.ByteStream` over an answer to GetObject: the bytes [start, stop), all of them or an error."""

    def __init__(self, answer: GetObjectOutputTypeDef, start: int, stop: int | None, place: tuple[str, str]) -> None:
        self._raw: StreamingBody = answer["Body"]
        self._place = place
        first, length = _extent(answer)
        end = first + length if stop is None else min(stop, first + length)
        self._skip, self._left = start - first, max(0, end - start)
        if self._skip < 0:
            raise StoreUnavailable(f"{self._named}: asked for bytes from {start}, answered from {first}")

    def readinto(self, buffer: memoryview) -> int:
        while self._skip and self._left:
            self._skip -= self._fill(memoryview(bytearray(min(self._skip, _AT_ONCE))))
        if not self._left or not len(buffer):
            return 0
        count = self._fill(buffer[: self._left])
        self._left -= count
        return count

    def _fill(self, buffer: memoryview) -> int:
        with store_errors(*self._place, "GetObject"):
            count = self._raw.readinto(cast("IO[bytes]", buffer))  # its stubs mistake what it fills
        if not count:
            raise StoreUnavailable(f"{self._named}: the body ends {self._left} bytes too early")
        return count

    @property
    def _named(self) -> str:
        where, key = self._place
        return f"{where}, key {key}"


def _extent(answer: GetObjectOutputTypeDef) -> tuple[int, int]:
    """Where the body begins in the object, and its bytes.

    The header tells, not the status: rclone's server answers a range with 200. Without the header it is the whole.
    """
    match = _CONTENT_RANGE.match(answer.get("ContentRange", ""))
    return (int(match[1]) if match else 0), answer["ContentLength"]
