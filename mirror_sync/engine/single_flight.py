"""Lets every content be brought once, however many repos and jobs want it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from mirror_sync.domain.content.manifest import Content
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.scratch.spilled_map import SpilledMap

_SHA256 = 32  # bytes


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A content that is stored: its digest, and its git id where that was computed on the way."""

    digest: Sha256
    oid: GitOid | None = None

    @property
    def packed(self) -> bytes:
        """The same, short."""
        return bytes.fromhex(self.digest + (self.oid or ""))

    @classmethod
    def unpacked(cls, packed: bytes) -> StoredContent:
        """What was `packed`."""
        oid = packed[_SHA256:].hex()
        return cls(Sha256(packed[:_SHA256].hex()), GitOid(oid) if oid else None)


class SingleFlight:
    """Remembers, for one target, which contents are on their way or have landed, for as long as anybody is at work."""

    def __init__(self) -> None:
        self._flying: dict[Content, Future[StoredContent] | None] = {}  # None: nobody waits for it
        self._landed = SpilledMap()
        self._lock = threading.Lock()
        self._epoch: Hashable = None
        self._at_work = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A run may share what is on its way inside the block. What landed is forgotten when the last of them ends."""
        with self._lock:
            self._at_work += 1
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1
                if not self._at_work:
                    self._drop_landed()

    def share(
        self,
        content: Content,
        bring: Callable[[], StoredContent],
        is_there: Callable[[StoredContent], bool] = lambda stored: True,
    ) -> tuple[StoredContent, bool]:
        """What landed, and whether this call brought it.

        A flight that fails is forgotten: each of those who waited brings the content by itself, also where the
        other was stopped: their runs end at different times.
        `is_there` is asked of what has landed before, maybe long ago.
        """
        while True:
            stored, flight = self._join(content)
            if stored is not None:
                if is_there(stored):
                    return stored, False
                self._forget(content, stored)
            elif flight is None:
                return self._fly(content, bring), True
            elif flight.exception() is None:
                return flight.result(), False

    def forget_landed(self) -> None:
        """What has landed may be gone again: the next who wants a content brings it anew."""
        with self._lock:
            self._drop_landed()

    def enter(self, epoch: Hashable) -> None:
        """Say which epoch it is: what landed in another one is forgotten."""
        with self._lock:
            same, self._epoch = self._epoch in (None, epoch), epoch
            if not same:
                self._drop_landed()

    def _join(self, content: Content) -> tuple[StoredContent | None, Future[StoredContent] | None]:
        """What has landed before; else the flight of a content, None where it is ours from now on."""
        key = content.key
        with self._lock:
            landed = self._landed.get(key)
            if landed is not None:
                return StoredContent.unpacked(landed), None
            if content not in self._flying:
                self._flying[content] = None
                return None, None
            flight = self._flying[content] = self._flying[content] or Future()
            return None, flight

    def _fly(self, content: Content, bring: Callable[[], StoredContent]) -> StoredContent:
        try:
            stored = bring()
            key, packed = content.key, stored.packed
            with self._lock:
                self._landed.put(key, packed)
                flight = self._flying.pop(content)
        except BaseException as error:
            with self._lock:
                flight = self._flying.pop(content)  # before anybody who waits goes on, and looks again
            if flight is not None:
                flight.set_exception(error)
            raise
        if flight is not None:
            flight.set_result(stored)
        return stored

    def _forget(self, content: Content, stored: StoredContent) -> None:
        with self._lock:
            if self._landed.get(content.key) == stored.packed:
                self._landed.pop(content.key)

    def _drop_landed(self) -> None:
        self._landed.clear()
