"""Lets every content be brought once, however many repos of a run want it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from mirror_sync.domain.digest import Promise, Sha256


class Flights:
    """Remembers, for one run into one target, which contents are on their way or have landed."""

    def __init__(self) -> None:
        self._flights: dict[Promise, Future[Sha256]] = {}
        self._lock = threading.Lock()
        self._epoch: Hashable = None

    def share(self, promise: Promise, bring: Callable[[], Sha256]) -> tuple[Sha256, bool]:
        """The digest, and whether this call brought it.

        A failed flight is forgotten, so that the next who wants the content tries anew; those who waited fail with it.
        """
        with self._lock:
            flight = self._flights.get(promise)
            if flight is None:
                mine = self._flights[promise] = Future()
        if flight is not None:
            return flight.result(), False
        try:
            digest = bring()
        except BaseException as error:
            with self._lock:
                self._flights.pop(promise, None)
            mine.set_exception(error)
            raise
        mine.set_result(digest)
        return digest, True

    def forget_landed(self) -> None:
        """What has landed may be gone again: the next who wants a content brings it anew."""
        with self._lock:
            self._flights = {promise: flight for promise, flight in self._flights.items() if not flight.done()}

    def enter(self, epoch: Hashable) -> None:
        """Say which epoch it is: what landed in another one is forgotten."""
        with self._lock:
            same, self._epoch = self._epoch in (None, epoch), epoch
        if not same:
            self.forget_landed()
