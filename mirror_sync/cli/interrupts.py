"""Ctrl-C: once to finish cleanly, twice to stop at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mirror_sync.daemon.signals import Signals, caught

STOPPING = "stopping cleanly; press Ctrl-C again to stop at once"
_at_last = ""  # what gives a terminal on stdout back as it was
_BELOW_THE_BARS = b"\x1b[?25h\n"  # with the cursor that they hid


@contextmanager
def stopped_by_signals(stop: threading.Event, say: Callable[[str], None]) -> Iterator[None]:
    """Meanwhile SIGINT and SIGTERM set `stop`; a second one ends the process with exit code 1."""
    with caught(signal.SIGINT, signal.SIGTERM) as came:
        # a daemon thread: it is still waiting for a signal when nobody sends one any more
        threading.Thread(target=_watch, args=(came, stop, say), name="signals", daemon=True).start()
        yield


@contextmanager
def restoring(sequence: str) -> Iterator[None]:
    """Meanwhile an end at once, too, puts this on stdout, a terminal."""
    global _at_last  # noqa: PLW0603  of the process: there is one terminal
    _at_last = sequence
    try:
        yield
    finally:
        _at_last = ""


def _watch(came: Signals, stop: threading.Event, say: Callable[[str], None]) -> None:
    for _ in came:
        if stop.is_set():
            _end_now()
        stop.set()
        say(STOPPING)


def _end_now() -> None:
    """Threads may be deep in a transfer; whatever is published is complete at every moment, so nothing is lost."""
    if _at_last:
        os.write(sys.stdout.fileno(), _at_last.encode())
    shown = sys.stderr.fileno()
    said = os.dup(shown)
    os.dup2(os.open(os.devnull, os.O_WRONLY), shown)  # bars that are drawn meanwhile would wipe out the last word
    os.write(said, (_BELOW_THE_BARS if os.isatty(said) else b"") + b"mirror-sync: stopped\n")
    os._exit(1)
