"""A store that tells what was read, and fails when it is told to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from mirror_sync.domain.digest import Sha256
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Stat, Store, Upload


class WatchedStore:
    """A wrapper that is itself a `ports.Store`."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.part_size, self.confirm = inner.part_size, inner.confirm
        self.read_keys: list[str] = []
        self.open = 0
        """Streams that were opened and not closed."""
        self.fault: Exception | None = None

    def stat(self, key: str) -> Stat | None:
        self._fail()
        return self.inner.stat(key)

    @contextmanager
    def _read(self, key: str, start: int, stop: int | None) -> Iterator[ByteStream]:
        self._fail()
        self.read_keys.append(key)
        with self.inner.read(key, start, stop) as stream:
            self.open += 1
            try:
                yield stream
            finally:
                self.open -= 1

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        return self._read(key, start, stop)

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        self.inner.put(key, body, digest)

    def begin(self, key: str, size: int, token: str | None = None) -> Upload:
        return self.inner.begin(key, size, token)

    def touch(self, key: str) -> None:
        self.inner.touch(key)

    def sweep(self, older_than: float) -> int:
        return self.inner.sweep(older_than)

    def free(self) -> int | None:
        return self.inner.free()

    def list(self, prefix: str) -> Iterator[Stat]:
        return self.inner.list(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        self.inner.delete(keys)

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault
