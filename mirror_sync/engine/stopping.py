"""When one run ends early, while others of the same process go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

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
