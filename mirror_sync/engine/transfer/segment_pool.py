"""The threads that fetch ranges of a job's large files: a bounded number of them, more where a rate gains by it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from mirror_sync.domain.job.segment_gauge import MOST, SegmentGauge

PARTS_AT_ONCE = 8  # parts of large files, over all files of a job; each may come in several segments
_LEAST = 1024 * 1024  # bytes of a segment: a smaller one costs more by its request than it gains

_Waiting = tuple[Callable[[], None], int, "Future[None]"]


class SegmentPool:
    """Runs calls that bring a segment each, and measures how fast they come. Its block ends when all have.

    `said` is how many segments of one file are in flight, None for as many as the rate gains by. `begin` is called
    first in each thread, `clock` gives seconds.
    """

    def __init__(self, said: int | None, begin: Callable[[], None], clock: Callable[[], float]) -> None:
        self._gauge, self._clock = SegmentGauge(said), clock
        self._pool = ThreadPoolExecutor(max(MOST, PARTS_AT_ONCE), "part", begin)
        self._waiting: deque[_Waiting] = deque()
        self._running = 0
        self._places = max(PARTS_AT_ONCE, said or 0)
        self._lock = threading.Lock()

    def __enter__(self) -> SegmentPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def window(self, parts: int) -> int:
        """How many parts of a file may be in flight, where a kill may cost so many."""
        return self._gauge.window(parts)

    def split(self, window: int, length: int) -> int:
        """In how many segments a part of `length` bytes comes, where `window` parts of its file are in flight."""
        with self._lock:
            return max(1, min(self._gauge.split(window), length // _LEAST))

    def submit(self, call: Callable[[], None], length: int) -> Future[None]:
        """Run a call that brings `length` bytes, now or when a place is free."""
        future: Future[None] = Future()
        with self._lock:
            self._waiting.append((call, length, future))
            self._begin_some()
        return future

    def _begin_some(self) -> None:
        """With the lock held. Twice as many segments have twice as many places."""
        places = min(MOST, self._places * self._gauge.split(1))
        while self._waiting and self._running < places:
            self._running += 1
            self._pool.submit(self._run, *self._waiting.popleft())

    def _run(self, call: Callable[[], None], length: int, future: Future[None]) -> None:
        came = 0
        if future.set_running_or_notify_cancel():
            try:
                call()
                came = length
            except BaseException as error:  # theirs who wait
                future.set_exception(error)
            else:
                future.set_result(None)
        with self._lock:
            self._running -= 1
            self._gauge.came(came, self._clock())
            if not (self._running or self._waiting):
                self._gauge.rest()
            self._begin_some()
