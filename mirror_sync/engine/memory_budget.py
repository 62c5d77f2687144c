"""Buffers that many threads share, their bytes counted, so that memory stays bounded whatever the files' sizes."""

from __future__ import annotations

import mmap
import threading

_SHARED = 1024 * 1024  # bytes: smaller buffers are sooner made than looked for
_Whole = bytearray | mmap.mmap


class MemoryBudget:
    """Lends buffers of together at most `size` bytes. One that is larger is lent when nothing else is out.

    A buffer that came back is lent again: the kernel would clear each new page of it, a tenth of a second for a GiB.
    When nothing is out, nothing is held. A large one begins on a page and is not private to the process, for a disk may
    read from it directly: open(2).
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._out = 0
        self._idle: list[_Whole] = []
        self._lock = threading.Lock()
        self._changed, self._waiting = threading.Condition(self._lock), 0

    def try_take(self, size: int) -> memoryview | None:
        """A buffer of `size` bytes, whatever they are; None when there is no room for it now."""
        with self._lock:
            return self._take_if_free(size)

    def take(self, size: int) -> memoryview:
        """Wait for a buffer of `size` bytes. Never call it while holding one that only the caller can give back."""
        with self._lock:
            while (body := self._take_if_free(size)) is None:
                self._waiting += 1
                try:
                    self._changed.wait()
                finally:
                    self._waiting -= 1
            return body

    def give_back(self, body: memoryview) -> None:
        """`body` is what was lent, and is not used again."""
        whole = body.obj
        assert isinstance(whole, _Whole)  # noqa: S101  for the type checker: `_fitting` made it
        with self._lock:
            self._out -= len(whole)
            if len(whole) >= _SHARED:
                self._idle.append(whole)
            if not self._out:
                self._idle.clear()
            if self._waiting:
                self._changed.notify_all()

    def _take_if_free(self, size: int) -> memoryview | None:
        if self._out and self._out + size > self._size:
            return None
        whole = self._fitting(size)
        self._out += len(whole)
        return memoryview(whole)[:size]

    def _fitting(self, size: int) -> _Whole:
        """An idle buffer that is no larger than need be, else a new one, for which idle ones make room."""
        room = self._size - self._out
        lengths = [len(whole) for whole in self._idle]
        for at, length in enumerate(lengths):
            if size <= length <= min(2 * size, room):
                return self._idle.pop(at)
        while self._idle and sum(map(len, self._idle)) + size > room:
            self._idle.pop(0)
        return bytearray(size) if size < _SHARED else mmap.mmap(-1, size)
