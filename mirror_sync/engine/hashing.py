"""Reads published blobs and hashes them, patiently and not too fast."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.keys import blob_key
from mirror_sync.engine.site import Site
from mirror_sync.engine.throttle import Throttle
from mirror_sync.errors import Interrupted, KeyMissing, MirrorError
from mirror_sync.ports import Store, read_document

_READ = 1024 * 1024  # bytes between two looks at the stop event
_ATTEMPTS = 3  # of a read that the target refuses for the moment

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Finding:
    """What reading a blob of `count` bytes gave. `refused`: the target would not give it, which proves nothing."""

    count: int = 0
    problem: str = ""
    refused: bool = False


class Hasher:
    """Reads one store. Safe for many threads."""

    def __init__(self, site: Site, store: Store, throttle: Throttle) -> None:
        self._site, self._store, self._throttle = site, store, throttle

    def document(self, digest: Sha256) -> bytes:
        """A document, proved. KeyMissing, DocumentError, other StoreErrors, Interrupted."""
        body = self._patiently(lambda: read_document(self._store, digest))
        self._throttle.passed(len(body))
        return body

    def blob(self, digest: Sha256, size: int | None) -> Finding:
        """Read a blob whole and hash it; `size` is the promised one, where it is known. Only Interrupted leaves."""
        try:
            actual, count = self._patiently(lambda: self._hash(blob_key(digest)))
        except MirrorError as error:
            return _refusal(error)
        if size is not None and count != size:
            return Finding(count, f"{count} bytes instead of {size}")
        return Finding(count, "" if actual == digest else f"holds other bytes, of digest {actual}")

    def _hash(self, key: str) -> tuple[str, int]:
        digest, count = hashlib.sha256(), 0
        chunk = memoryview(bytearray(_READ))
        with self._store.read(key) as stream:
            while got := stream.readinto(chunk):
                self._site.go_on()
                digest.update(chunk[:got])
                count += got
                self._throttle.passed(got)
        return digest.hexdigest(), count

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        """What a target refuses for the moment is asked again, 1 and 2 seconds later."""
        for attempt in range(1, _ATTEMPTS):
            try:
                return call()
            except MirrorError as error:
                if not error.retryable:
                    raise
                self._site.pause(float(attempt))
        return call()


def _refusal(error: MirrorError) -> Finding:
    if isinstance(error, Interrupted):
        raise error
    if isinstance(error, KeyMissing):
        return Finding(problem="missing")
    return Finding(problem=f"not readable: {error}", refused=True)
