"""A clock that stands still while anybody works, and leaps to the next who wants to wake: time without waiting."""

from __future__ import annotations

import heapq
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from mirror_sync.sources.wrappers.pacing import Timing

Passed = list[tuple[float, int]]  # when, how many bytes


class PretendedClock:
    """Shared by the threads that `run` starts; `seconds` since it was made."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, tzinfo=UTC)) -> None:
        self.start, self.seconds = start, 0.0
        self._awake = 0
        self._sleepers: list[tuple[float, int, threading.Event]] = []
        self._order = 0
        self._lock = threading.Lock()

    @property
    def timing(self) -> Timing:
        return Timing(self.sleep, lambda: self.seconds, lambda: self.start + timedelta(seconds=self.seconds))

    def sleep(self, seconds: float) -> None:
        woken = threading.Event()
        with self._lock:
            self._order += 1
            heapq.heappush(self._sleepers, (self.seconds + seconds, self._order, woken))
            self._rest()
        woken.wait()

    def run(self, works: Iterable[Callable[[], object]]) -> None:
        """All of them side by side, to their ends."""
        threads = [threading.Thread(target=self._work, args=(work,)) for work in works]
        self._awake = len(threads)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._rest()

    def _rest(self) -> None:
        """One less is awake; the last one to rest wakes the next."""
        self._awake -= 1
        if not self._awake and self._sleepers:
            due, _, woken = heapq.heappop(self._sleepers)
            self.seconds = max(self.seconds, due)
            self._awake = 1
            woken.set()


class Sums:
    """How many bytes passed within a time."""

    def __init__(self, passed: Passed) -> None:
        self.times = [when for when, _ in passed]
        self._sums = [0, *accumulate(count for _, count in passed)]

    def between(self, begin: float, end: float) -> int:
        return self._sums[bisect_left(self.times, end)] - self._sums[bisect_left(self.times, begin)]
