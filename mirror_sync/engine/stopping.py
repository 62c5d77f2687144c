"""When one run ends early, while others of the same process go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime


class Until(threading.Event):
    """Set when `stop` is, and from an instant on; setting it stops nobody else."""

    def __init__(self, stop: threading.Event, instant: datetime, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._stop, self._instant, self._clock = stop, instant, clock

    def is_set(self) -> bool:
        return super().is_set() or self._stop.is_set() or self._clock() >= self._instant

    def wait(self, timeout: float | None = None) -> bool:
        """As an event's; wakes for `stop` and for the instant, not for a `set` of its own meanwhile."""
        left = max(0.0, (self._instant - self._clock()).total_seconds())
        self._stop.wait(left if timeout is None else min(left, timeout))
        return self.is_set()
