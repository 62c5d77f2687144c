"""Stores that are made of stores: a base that passes every verb, and one that lets nothing be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreError
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Stat, Store, Upload

_T = TypeVar("_T")
_READS = frozenset({"stat", "read", "list", "free"})


class WrappedStore(Store):
    """A store over another one. What a wrapper does to calls, it does in `around`, or by overriding a verb."""

    def __init__(self, store: Store) -> None:
        self.store, self.part_size, self.readers, self.confirm = store, store.part_size, store.readers, store.confirm

    def around(self, verb: str, key: str, call: Callable[[Store], _T]) -> _T:
        """Make the call of a verb at `self.store`; `key` is its key or prefix, empty where it has none or several."""
        return call(self.store)

    def stat(self, key: str) -> Stat | None:
        return self.around("stat", key, lambda store: store.stat(key))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        return self.around("read", key, lambda store: store.read(key, start, stop))

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        self.around("put", key, lambda store: store.put(key, body, digest))

    def begin(self, key: str, size: int, token: str | None = None) -> Upload:
        return self.around("begin", key, lambda store: store.begin(key, size, token))

    def touch(self, key: str) -> None:
        self.around("touch", key, lambda store: store.touch(key))

    def sweep(self, older_than: float) -> int:
        return self.around("sweep", "", lambda store: store.sweep(older_than))

    def free(self) -> int | None:
        return self.around("free", "", lambda store: store.free())

    def list(self, prefix: str) -> Iterator[Stat]:
        return self.around("list", prefix, lambda store: store.list(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        self.around("delete", "", lambda store: store.delete(keys))


class ReadOnlyStore(WrappedStore):
    """A store for those who change nothing: fronts, plans, rehearsals. Whatever is no reading verb is a StoreError."""

    def around(self, verb: str, key: str, call: Callable[[Store], _T]) -> _T:
        if verb not in _READS:
            raise StoreError(f"{verb} {key}".rstrip() + ": what only reads was about to write; nothing was written")
        return super().around(verb, key, call)
