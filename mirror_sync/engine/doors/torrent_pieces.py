"""Hashes the pieces of a torrent, of what a store holds: in the order of paths, and nothing that was hashed before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, repeat

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.doors.torrent_metainfo import (
    FACTS,
    INFO,
    LARGEST_INFO,
    Segment,
    TorrentFacts,
    TorrentFiles,
    TorrentInfo,
    info_of,
    piece_length,
    pieces_of,
)
from mirror_sync.engine.published import read_listing
from mirror_sync.errors import DocumentError, KeyMissing
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Store, read_document

_READ = 1024 * 1024  # bytes between two checks of the stop
_Piece = tuple[Segment, ...]

GoOn = Callable[[], None]
"""Raises Interrupted where one has to stop."""


def torrent_documents(
    store: Store, commit: CommitId, files: TorrentFiles, base: Root | None, go_on: GoOn
) -> dict[str, bytes]:
    """The attachments of a snapshot. What `base`, a published root, has the same pieces of is not read again.

    Raises StoreError, DocumentError where a blob holds other bytes, Interrupted.
    """
    if files.why:
        return {FACTS: TorrentFacts(why=files.why).encode()}
    length = piece_length(files.size)
    known = chain(_known(store, base, length), repeat(((), b"")))
    wanted = pieces_of(((file.sha256, file.size) for file in files.files), length)
    with BlobReader(store, go_on) as reader:
        hashes = b"".join(
            digest if before == piece else reader.sha1(piece)
            for piece, (before, digest) in zip(wanted, known, strict=False)
        )
        reader.end()
    info = info_of(commit, files.files, hashes)
    return {FACTS: TorrentFacts.of_info(info).encode(), INFO: info}


def read_info(store: Store, root: Root) -> TorrentInfo | None:
    """What a root says of its pieces; None where it says nothing. KeyMissing, DocumentError."""
    digest = root.attachments.get(INFO)
    return None if digest is None else TorrentInfo.decode(read_document(store, digest, LARGEST_INFO))


def _known(store: Store, base: Root | None, length: int) -> Iterator[tuple[_Piece, bytes]]:
    """The pieces of a published snapshot, and their hashes; none where they cannot be read, or have another length."""
    try:
        info = None if base is None else read_info(store, base)
        if base is None or info is None or info.length != length:
            return
        contents = {entry.path: Sha256(entry.sha256) for entry in read_listing(store, base) if entry.path in info.sizes}
        files = ((contents[path], size) for path, size in info.sizes.items())
        for number, piece in enumerate(pieces_of(files, length)):
            yield piece, info.hash_of(number)
    except (KeyMissing, DocumentError, KeyError):
        return


class BlobReader:
    """Reads blobs in order, each once and by one read as far as that goes; to be used as a context.

    A blob that it read whole is proved by its SHA-256, so that no piece is made of what rotted meanwhile.
    """

    def __init__(self, store: Store, go_on: GoOn) -> None:
        self._store, self._go_on = store, go_on
        self._chunk = memoryview(bytearray(_READ))
        self._open = ExitStack()
        self._stream: ByteStream | None = None
        self._digest, self._at, self._proof = Sha256.of(b""), 0, hashlib.sha256()
        self._whole = False  # whether what is open is read from its first byte on

    def __enter__(self) -> BlobReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def sha1(self, piece: Sequence[Segment]) -> bytes:
        """Of a piece, 20 bytes. StoreError, DocumentError, Interrupted."""
        made = hashlib.sha1(usedforsecurity=False)
        for chunk in self.chunks(piece):
            made.update(chunk)
        return made.digest()

    def chunks(self, piece: Sequence[Segment]) -> Iterator[memoryview]:
        """The bytes of a piece, each chunk until the next is asked for. Raises what `sha1` does."""
        for segment in piece:
            yield from self._read(segment)

    def end(self) -> None:
        """Prove what was read last. DocumentError."""
        stream, self._stream = self._stream, None
        ended = stream is not None and self._whole and not stream.readinto(self._chunk[:1])
        self._open.close()
        if ended and self._proof.hexdigest() != self._digest:
            raise DocumentError(f"blob {self._digest} holds other bytes, of digest {self._proof.hexdigest()}")

    def _read(self, segment: Segment) -> Iterator[memoryview]:
        stream = self._stream_at(segment)
        left = segment.stop - segment.start
        while left:
            self._go_on()
            count = stream.readinto(self._chunk[: min(left, _READ)])
            if not count:
                raise DocumentError(f"blob {segment.sha256} has fewer bytes than its listing says")
            chunk = self._chunk[:count]
            self._proof.update(chunk)
            yield chunk
            left -= count
            self._at += count

    def _stream_at(self, segment: Segment) -> ByteStream:
        if self._stream is None or (self._digest, self._at) != (segment.sha256, segment.start):
            self.end()
            read = self._store.read(blob_key(segment.sha256), segment.start)
            self._stream = self._open.enter_context(read)
            self._digest, self._at, self._proof = segment.sha256, segment.start, hashlib.sha256()
            self._whole = segment.start == 0
        return self._stream
