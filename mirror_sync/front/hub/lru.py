"""A cache bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByteLru(Generic[K, V]):
    """Keeps what was used last, up to `capacity` bytes in all. Safe for many threads.

    A value larger than a quarter of the capacity is not kept: it would push out everything else.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._size = 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._found = self._asked = 0

    @property
    def looks(self) -> tuple[int, int]:
        """How often what was looked for was kept, and how often not."""
        with self._lock:
            return self._found, self._asked - self._found

    def get(self, key: K) -> V | None:
        """What is kept under a key, which is the newest then; None for nothing."""
        with self._lock:
            found = self._kept.get(key)
            self._asked += 1
            if found is None:
                return None
            self._found += 1
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep `value`, which takes `weight` bytes."""
        if weight > self._capacity // 4:
            return
        with self._lock:
            self._size += weight - self._kept.pop(key, (value, 0))[1]
            self._kept[key] = (value, weight)
            while self._size > self._capacity:
                self._size -= self._kept.popitem(last=False)[1][1]
