"""What a machine remembers of very many repos, asked for some hundred at a time and written so, too."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress

from mirror_sync.errors import StoreError
from mirror_sync.ports.memory import ReadCache

_TOGETHER = 512  # that are written at once


class ReadAhead:
    """Implements `ReadCache` over another one, for one publication. Safe for many threads.

    What is fetched ahead stays for a block. What is remembered waits for others, or for `flush`; a
    death before that costs time, nothing else.
    """

    def __init__(self, read_cache: ReadCache) -> None:
        self._read_cache = read_cache
        self._ahead: dict[str, tuple[str, bytes] | None] = {}
        self._waiting: dict[str, tuple[str, bytes]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def fetched(self, names: Collection[str]) -> Iterator[None]:
        """Inside the block what is remembered under some names is at hand, or asked one by one."""
        with suppress(StoreError):
            found = self._read_cache.recall_all(names)
            self._ahead.update((name, found.get(name)) for name in names)
        try:
            yield
        finally:
            for name in names:
                self._ahead.pop(name, None)

    def recall(self, name: str, version: str) -> bytes | None:
        kept = self._waiting.get(name)
        if kept is None and name not in self._ahead:
            return self._read_cache.recall(name, version)
        kept = kept or self._ahead.get(name)
        return kept[1] if kept is not None and kept[0] == version else None

    def remember(self, name: str, version: str, body: bytes) -> None:
        with self._lock:
            self._waiting[name] = version, body
            full = len(self._waiting) >= _TOGETHER
        if full:
            self.flush()

    def recall_all(self, names: Collection[str]) -> Mapping[str, tuple[str, bytes]]:
        return self._read_cache.recall_all(names)

    def remember_all(self, kept: Mapping[str, tuple[str, bytes]]) -> None:
        self._read_cache.remember_all(kept)

    def flush(self) -> None:
        """Write what waits. StoreError."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        self._read_cache.remember_all(waiting)
