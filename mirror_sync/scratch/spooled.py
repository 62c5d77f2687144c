"""Documents that may be too large for memory: proved while they come, and kept in an unnamed file from some MiB on."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from mirror_sync.domain.content.snapshot import Attachment, Document
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import DocumentError, StoreFull, StoreUnavailable

HELD = 4 * 1024 * 1024  # bytes of a document that is held in memory
_CHUNK = 1024 * 1024  # bytes
_GATHERED = 256 * 1024  # bytes


class SpooledDocument:
    """A document in an unnamed file, which is gone with it. For one reader at a time."""

    def __init__(self, digest: Sha256, size: int, file: tempfile.SpooledTemporaryFile[bytes]) -> None:
        self.digest, self.size, self._file = digest, size, file

    def __del__(self) -> None:
        self._file.close()

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, from the first one on. StoreError."""
        with _disk():
            self._file.seek(0)
            while piece := self._file.read(_CHUNK):
                yield piece


def spooled(read: Callable[[memoryview], int], digest: Sha256, limit: int) -> Attachment:
    """What `read` brings until it brings nothing more. DocumentError for other bytes, or more than `limit`; StoreError
    where the folder for temporary files cannot be used; what `read` raises.
    """
    with ExitStack() as unless_kept:
        file = unless_kept.enter_context(tempfile.SpooledTemporaryFile(max_size=HELD))
        size = _spool(read, digest, limit, file)
        if size <= HELD:
            file.seek(0)
            return Document(file.read(), digest)
        unless_kept.pop_all()
        return SpooledDocument(digest, size, file)


def spool(pieces: Iterable[bytes]) -> Attachment:
    """These bytes, which are named by their digest then. StoreError as of `spooled`; what `pieces` raise."""
    with ExitStack() as unless_kept:
        file = unless_kept.enter_context(tempfile.SpooledTemporaryFile(max_size=HELD))
        proved, size = hashlib.sha256(), 0
        for piece in _gathered(pieces):
            proved.update(piece)
            size += len(piece)
            with _disk():
                file.write(piece)
        digest = Sha256(proved.hexdigest())
        if size <= HELD:
            file.seek(0)
            return Document(file.read(), digest)
        unless_kept.pop_all()
        return SpooledDocument(digest, size, file)


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytearray]:
    """Some hundred kilobytes at a time: who writes lines makes many pieces."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) >= _GATHERED:
            yield body
            body = bytearray()
    yield body


def _spool(
    read: Callable[[memoryview], int], digest: Sha256, limit: int, file: tempfile.SpooledTemporaryFile[bytes]
) -> int:
    proved, size = hashlib.sha256(), 0
    chunk = memoryview(bytearray(_CHUNK))
    while count := read(chunk):
        proved.update(chunk[:count])
        size += count
        if size > limit:
            raise DocumentError(f"document {digest} is larger than {limit:,} bytes, which none of its kind is")
        with _disk():
            file.write(chunk[:count])
    if proved.hexdigest() != digest:
        raise DocumentError(f"document {digest} holds other bytes, of digest {proved.hexdigest()}")
    return size


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreUnavailable
        raise kind(f"the folder for temporary files (TMPDIR, or /var/tmp) cannot be used: {error}") from error
