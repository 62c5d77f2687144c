"""Lets every content be brought once, however many repos and jobs want it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from mirror_sync.domain.content.manifest import Content
from mirror_sync.domain.digest import GitOid, Sha256


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A content that is stored: its digest, and its git id where that was computed on the way."""

    digest: Sha256
    oid: GitOid | None = None


class SingleFlight:
    """Remembers, for one target, which contents are on their way or have landed, for as long as anybody is at work."""

    def __init__(self) -> None:
        self._single_flight: dict[Content, Future[StoredContent]] = {}
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
            flight, mine = self._join(content)
            if flight is mine:
                return self._fly(content, mine, bring), True
            stored = self._arrived(content, flight, is_there)
            if stored is not None:
                return stored, False

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

    def _join(self, content: Content) -> tuple[Future[StoredContent], Future[StoredContent]]:
        """The flight of a content, and ours: the same where there was none."""
        mine: Future[StoredContent] = Future()
        with self._lock:
            return self._single_flight.setdefault(content, mine), mine

    def _fly(self, content: Content, mine: Future[StoredContent], bring: Callable[[], StoredContent]) -> StoredContent:
        try:
            stored = bring()
        except BaseException as error:
            self._forget(content, mine)  # before anybody who waits goes on, and looks again
            mine.set_exception(error)
            raise
        mine.set_result(stored)
        return stored

    def _arrived(
        self, content: Content, flight: Future[StoredContent], is_there: Callable[[StoredContent], bool]
    ) -> StoredContent | None:
        """What somebody else's flight brought; None when it failed, or its freight is gone by now."""
        before = flight.done()
        if flight.exception() is not None:
            return None
        stored = flight.result()
        if before and not is_there(stored):
            self._forget(content, flight)
            return None
        return stored

    def _forget(self, content: Content, flight: Future[StoredContent]) -> None:
        with self._lock:
            if self._single_flight.get(content) is flight:
                del self._single_flight[content]

    def _drop_landed(self) -> None:
        self._single_flight = {content: flight for content, flight in self._single_flight.items() if not flight.done()}
