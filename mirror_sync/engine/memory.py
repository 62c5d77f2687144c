"""A budget of bytes that many threads share, so that memory stays bounded whatever the files' sizes."""

from __future__ import annotations

import threading


class MemoryBudget:
    """Counts bytes out and in. One request larger than the whole budget is granted when nothing else is out."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._out = 0
        self._changed = threading.Condition()

    def try_take(self, size: int) -> bool:
        with self._changed:
            return self._take_if_free(size)

    def take(self, size: int) -> None:
        """Wait until `size` bytes are free. Never call it while holding bytes that only the caller can give back."""
        with self._changed:
            while not self._take_if_free(size):
                self._changed.wait()

    def give_back(self, size: int) -> None:
        with self._changed:
            self._out -= size
            self._changed.notify_all()

    def _take_if_free(self, size: int) -> bool:
        if self._out and self._out + size > self._size:
            return False
        self._out += size
        return True
