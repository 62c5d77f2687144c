"""When one run ends early, while others of the same process go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

_MOMENT = 0.5  # seconds
_STOP: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextmanager
def running(stop: threading.Event) -> Iterator[None]:
    """Inside the block this thread works for the run that ends with `stop`."""
    before = _STOP.set(stop)
    try:
        yield
    finally:
        _STOP.reset(before)


def work_for(stop: threading.Event) -> None:
    """For good, the initializer of a run's pool: sources and targets are shared by runs, its threads are not."""
    _STOP.set(stop)


def stop_of_run(default: threading.Event) -> threading.Event:
    """What ends the run that this thread works for; `default` where it works for none."""
    return _STOP.get() or default


class EitherStop(threading.Event):
    """Set when one of two is; setting it stops nobody else."""

    def __init__(self, one: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._both = one, other

    def is_set(self) -> bool:
        return super().is_set() or any(one.is_set() for one in self._both)

    def wait(self, timeout: float | None = None) -> bool:
        """As an event's; it wakes within a moment for either."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (end is None or time.monotonic() < end):
            self._both[0].wait(_MOMENT if end is None else max(0.0, min(_MOMENT, end - time.monotonic())))
        return self.is_set()


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
