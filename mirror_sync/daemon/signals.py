"""Signals, in the order in which they come, as something that any thread can wait for.

Python runs a handler in the main thread when that gets to it; while the main thread waits for a lock, a signal that
comes on the heels of another one may stay unseen until a third. The wakeup descriptor is written at once.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Signals:
    """The reading end; of one thread."""

    def __init__(self, reader: socket.socket, expected: frozenset[int]) -> None:
        self._reader, self._expected = reader, expected

    def __iter__(self) -> Iterator[signal.Signals]:
        """Wait for one signal after the other; ends when they are no longer caught."""
        with suppress(OSError):  # the reading end was closed as well
            while received := self._reader.recv(1):
                if received[0] in self._expected:
                    yield signal.Signals(received[0])


@contextmanager
def caught(*expected: signal.Signals) -> Iterator[Signals]:
    """Meanwhile these signals do nothing but appear here. Must be entered in the main thread."""
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, _look_elsewhere) for number in expected}
        try:
            yield Signals(reader, frozenset(expected))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(descriptor)


def _look_elsewhere(_number: int, _frame: object) -> None:
    """Only a signal with a handler in Python is written to the wakeup descriptor."""
