"""The bytes of a blob as those who inspect want them: in ranges, or from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Store

_CHUNK = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class BlobContent:
    """Implements `ports.FileContent` for a blob of `size` bytes. KeyMissing where a prune was quicker."""

    store: Store
    digest: Sha256
    size: int

    def read(self, start: int, length: int) -> bytes:
        with self.store.read(blob_key(self.digest), start, start + length) as stream:
            return b"".join(_chunks(stream, length))

    def chunks(self) -> Iterator[bytes]:
        with self.store.read(blob_key(self.digest)) as stream:
            yield from _chunks(stream, self.size)


def _chunks(stream: ByteStream, left: int) -> Iterator[bytes]:
    buffer = memoryview(bytearray(min(_CHUNK, left) or 1))
    while left > 0 and (got := stream.readinto(buffer[: min(left, len(buffer))])):
        left -= got
        yield bytes(buffer[:got])
