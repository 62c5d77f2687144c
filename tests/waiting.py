"""How a test waits: for a condition, not for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 240  # seconds until a test gives up, on a loaded machine too; nothing is measured


def until(seen: Callable[[], bool], what: Callable[[], str] = lambda: "it never came") -> None:
    """Return when it holds; AssertionError, which says `what` there was instead, when it never does."""
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end, what()
        time.sleep(0.05)


def next_second() -> None:
    """Return when another second of the clock has begun: what nginx knows for one is forgotten then."""
    now = int(time.time())
    until(lambda: int(time.time()) != now)
