"""A store that tells what was read, and fails when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Stat, Store
from mirror_sync.stores.wrapped_store import WrappedStore


class WatchedStore(WrappedStore):
    """Notes the keys that are read, and how many streams are open."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.read_keys: list[str] = []
        self.open = 0
        """Streams that were opened and not closed."""
        self.fault: Exception | None = None

    def stat(self, key: str) -> Stat | None:
        self._fail()
        return super().stat(key)

    @contextmanager
    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[ByteStream]:
        self._fail()
        self.read_keys.append(key)
        with super().read(key, start, stop) as stream:
            self.open += 1
            try:
                yield stream
            finally:
                self.open -= 1

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault
