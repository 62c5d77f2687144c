"""Spreads reading over time, so that a verification leaves room for readers."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Throttle:
    """Lets `rate` bytes a second pass, over all threads together; None: as many as come."""

    def __init__(self, rate: float | None, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._rate, self._monotonic, self._sleep = rate, monotonic, sleep
        self._free_at = monotonic()
        self._lock = threading.Lock()

    def passed(self, count: int) -> None:
        """Wait as long as `count` bytes that were just read should have taken."""
        if not self._rate:
            return
        with self._lock:
            now = self._monotonic()
            self._free_at = max(self._free_at, now) + count / self._rate
            wait = self._free_at - now
        self._sleep(wait)
