"""Reads published blobs and hashes them, patiently and not too fast."""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.digest import Sha256, git_blob_hash
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.upkeep.throttle import Throttle
from mirror_sync.errors import BlobFrozen, DocumentError, Interrupted, KeyMissing, MirrorError
from mirror_sync.ports.store import MAX_DOCUMENT, Store, read_all, read_document

_READ = 1024 * 1024  # bytes between two checks of the stop event
ATTEMPTS = 3  # of a read that the target refuses for the moment

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class BlobFinding:
    """What reading a blob of `count` bytes gave. `refused`: the target would not give it, which proves nothing.

    `listing`: the blob is right, and the document that lists it is wrong. `frozen`: it lies where nothing is
    given before it is restored, as somebody wanted it to.
    """

    count: int = 0
    problem: str = ""
    refused: bool = False
    listing: bool = False
    frozen: bool = False


class _Digests(NamedTuple):
    sha256: str
    git: str  # empty where nobody promised it


class BlobHasher:
    """Reads one store. Safe for many threads."""

    def __init__(self, context: RunContext, store: Store, throttle: Throttle) -> None:
        self._context, self._store, self._throttle = context, store, throttle
        self._own = threading.local()

    def document(self, digest: Sha256) -> bytes:
        """A document, proved. KeyMissing, DocumentError, other StoreErrors, Interrupted."""
        body = self._patiently(lambda: read_document(self._store, digest))
        self._throttle.passed(len(body))
        return body

    def answers(self, key: str) -> bool:
        """Whether the target gives a document still, or says what became of it. Only Interrupted leaves."""
        try:
            self._patiently(lambda: read_all(self._store, key, MAX_DOCUMENT))
        except (KeyMissing, DocumentError):
            return True
        except Interrupted:
            raise
        except MirrorError:
            return False
        return True

    def blob(self, digest: Sha256, file: MirroredFile | None, attempts: int = ATTEMPTS) -> BlobFinding:
        """Read a blob whole and hash it, in git's way too where it is listed as `file`. Only Interrupted leaves."""
        git = None if file is None or file.pointer_size is not None else git_blob_hash(file.size)
        try:
            actual, count = self._patiently(lambda: self._hash(blob_key(digest), git and git.copy()), attempts)
        except MirrorError as error:
            return _refusal(error)
        if file is not None and count != file.size:
            return BlobFinding(count, f"{count} bytes instead of {file.size}")
        if actual.sha256 != digest:
            return BlobFinding(count, f"holds other bytes, of digest {actual.sha256}")
        if file is not None and actual.git not in ("", file.oid):
            return BlobFinding(count, f"is listed with the git id {file.oid}, and has {actual.git}", listing=True)
        return BlobFinding(count)

    def _hash(self, key: str, git: hashlib._Hash | None) -> tuple[_Digests, int]:
        digest, count = hashlib.sha256(), 0
        chunk = self._buffer()
        with self._store.read(key) as stream:
            while got := stream.readinto(chunk):
                self._context.go_on()
                digest.update(chunk[:got])
                if git is not None:
                    git.update(chunk[:got])
                count += got
                self._throttle.passed(got)
        return _Digests(digest.hexdigest(), "" if git is None else git.hexdigest()), count

    def _buffer(self) -> memoryview:
        """One for each thread: a new one costs more than a small blob, since it is cleared. It begins on a page: so the
        kernel copies into it in two thirds of the time.
        """
        own: memoryview | None = getattr(self._own, "buffer", None)
        if own is None:
            own = self._own.buffer = memoryview(mmap.mmap(-1, _READ))
        return own

    def _patiently(self, call: Callable[[], Answer], attempts: int = ATTEMPTS) -> Answer:
        """What a target refuses for the moment is asked again, 1 and 2 seconds later."""
        for attempt in range(1, attempts):
            try:
                return call()
            except MirrorError as error:
                if not error.retryable:
                    raise
                self._context.pause(float(attempt))
        return call()


def _refusal(error: MirrorError) -> BlobFinding:
    if isinstance(error, Interrupted):
        raise error
    if isinstance(error, KeyMissing):
        return BlobFinding(problem="missing")
    if isinstance(error, BlobFrozen):
        return BlobFinding(frozen=True)
    return BlobFinding(problem=f"not readable: {error}", refused=True)
