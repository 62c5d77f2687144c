"""A target whose blobs lie in one of two places: a warm one, which has all else too, and a cold one.

Reads look in the warm place first, then in the cold one; writes go to the warm one. Nothing but a delete of the target
itself (a prune, a take-down) removes a blob from the cold place: so whatever two machines do at once, and whenever one
dies, a blob that was in one of them is in one of them: see decision 0076. What came back leaves its cold copy, and goes
cold again for the price of reading that.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from mirror_sync.domain.content.keys import BLOBS, COLD_BEGUN, COLD_MARK, blob_of
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import IntegrityError, KeyMissing, StoreError, StoreUnavailable
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Stat, Store
from mirror_sync.ports.tiering import Placed
from mirror_sync.scratch.spilled_map import SpilledMap
from mirror_sync.stores.wrapped_store import WrappedStore

_MARK = b'{"format":1}\n'
_SURE = 1.0  # seconds for which a cold place that was the right one is taken for it, by those who miss many blobs
_CHUNK = 1024 * 1024  # bytes


class TwoPlaces(WrappedStore):
    """Implements `ports.Store` and `ports.Tiering`. `store` is the warm place."""

    def __init__(self, warm: Store, cold: Store) -> None:
        super().__init__(warm)
        self.readers = max(warm.readers, cold.readers)
        self._cold = cold
        self._right = float("-inf")  # when the cold place was the right one

    # ---- as one store

    def stat(self, key: str) -> Stat | None:
        found = self.store.stat(key)
        if found is not None or blob_of(key) is None:
            return found
        return self._cold_stat(key)

    @contextmanager
    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[ByteStream]:
        opened = self.store.read(key, start, stop)
        try:
            stream = opened.__enter__()
        except KeyMissing:
            if blob_of(key) is None:
                raise
            opened = self._cold.read(key, start, stop)
            try:
                stream = opened.__enter__()
            except KeyMissing:
                self._expect_cold(_SURE)
                raise
        try:
            yield stream
        finally:
            opened.__exit__(None, None, None)

    def touch(self, key: str) -> None:
        try:
            self.store.touch(key)
        except KeyMissing:
            if blob_of(key) is None:
                raise
            try:
                self._cold.touch(key)
            except KeyMissing:
                self._expect_cold(_SURE)
                raise

    def sweep(self, older_than: float) -> int:
        return self.store.sweep(older_than) + self._cold.sweep(older_than)

    def list(self, prefix: str) -> Iterator[Stat]:
        """Of the warm place first: what leaves it meanwhile is in the cold one by then."""
        if not (prefix.startswith(BLOBS) or BLOBS.startswith(prefix)):
            return self.store.list(prefix)
        return (one.stat for one in self._placed(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """Cold copies first: who dies in between has left what was there."""
        gone = list(keys)
        cold = [key for key in gone if blob_of(key) is not None]
        if cold:
            self._expect_cold()
            self._cold.delete(cold)
        self.store.delete(gone)

    # ---- as two tiers

    def ready(self, *, begun: bool) -> None:
        """By a small object of ours: an empty folder, where a disk is to be mounted, has none. StoreUnavailable.

        That it was put there is told in the warm place, too: other machines see it there, and readers.
        """
        told = self.store.stat(COLD_BEGUN) is not None
        if self._cold.stat(COLD_MARK) is None:
            if begun or told:
                raise _not_mounted()
            self._cold.put(COLD_MARK, _MARK, Sha256.of(_MARK))
        if not told:
            self.store.put(COLD_BEGUN, _MARK, Sha256.of(_MARK))

    def cold_now(self) -> float:
        try:
            self._cold.touch(COLD_MARK)
        except KeyMissing:
            self._expect_cold()
            return float("-inf")
        found = self._cold.stat(COLD_MARK)
        if found is None:
            raise _not_mounted()
        return found.modified

    def placed(self) -> Iterator[Placed]:
        return (one for one in self._placed(BLOBS) if blob_of(one.stat.key) is not None)

    def is_cold(self, key: str) -> bool:
        return self.store.stat(key) is None and self._cold_stat(key) is not None

    def chill(self, stat: Stat, go_on: Callable[[], None]) -> None:
        """What lies in the cold place is read there, whoever put it: the other copy goes by that. IntegrityError."""
        key, digest = stat.key, _digest_of(stat.key)
        if self._cold.stat(key) is None or _hash_of(self._cold, key, go_on) != digest:
            _copied(self.store, self._cold, self._whole(self.store, stat), go_on)
            there = _hash_of(self._cold, key, go_on)
            if there != digest:
                raise IntegrityError(f"{key} in the cold place", digest, there)
        else:
            self._cold.touch(key)  # prunes spare what was used a moment ago, and that may have been the other copy
        self._expect_cold()
        self.store.delete([key])

    def warm(self, stat: Stat, go_on: Callable[[], None]) -> bool:
        if self.store.stat(stat.key) is None:
            _copied(self._cold, self.store, self._whole(self._cold, stat), go_on)
        return True

    def _cold_stat(self, key: str) -> Stat | None:
        found = self._cold.stat(key)
        if found is None:
            self._expect_cold(_SURE)
            return None
        return replace(found, cold=True)

    def _expect_cold(self, sure: float = 0.0) -> None:
        """Before it is believed that something is not there: StoreUnavailable where blobs went to another place than
        this one. `sure`: for how many seconds the last look is good enough.
        """
        now = time.monotonic()
        if now - self._right < sure:
            return
        if self._cold.stat(COLD_MARK) is None and self.store.stat(COLD_BEGUN) is not None:
            raise _not_mounted()
        self._right = now

    def _whole(self, store: Store, stat: Stat) -> Stat:
        """As it is there now. KeyMissing."""
        found = store.stat(stat.key)
        if found is None:
            raise KeyMissing(stat.key)
        return found

    def _placed(self, prefix: str) -> Iterator[Placed]:
        seen = SpilledMap()
        for stat in self.store.list(prefix):
            digest = blob_of(stat.key)
            if digest is not None:
                seen.put(bytes.fromhex(digest))
            yield Placed(stat, cold=False)
        self._expect_cold()
        for stat in self._cold.list(prefix if prefix.startswith(BLOBS) else BLOBS):
            digest = blob_of(stat.key)
            if digest is not None and bytes.fromhex(digest) not in seen:
                yield Placed(replace(stat, cold=True), cold=True)


def _not_mounted() -> StoreUnavailable:
    return StoreUnavailable(f"the cold place has no {COLD_MARK}, which was put there: is it mounted, and the right one")


def _digest_of(key: str) -> Sha256:
    digest = blob_of(key)
    if digest is None:
        raise StoreError(f"{key} is no blob, and has one place")
    return digest


def _hash_of(store: Store, key: str, go_on: Callable[[], None]) -> str:
    digest, chunk = hashlib.sha256(), memoryview(bytearray(_CHUNK))
    with store.read(key) as stream:
        while count := stream.readinto(chunk):
            go_on()
            digest.update(chunk[:count])
    return digest.hexdigest()


def _copied(source: Store, to: Store, stat: Stat, go_on: Callable[[], None]) -> None:
    """Put the blob there, if its bytes are those of its name; else IntegrityError, and nothing is there.

    Memory is one part. One that dies begins anew, and a sweep removes what it left.
    """
    key, digest = stat.key, _digest_of(stat.key)
    with source.read(key) as stream:
        if stat.size <= to.part_size:
            body = memoryview(bytearray(stat.size))
            _fill(stream, body, go_on)
            _expect(key, digest, hashlib.sha256(body).hexdigest(), stream)
            to.put(key, body, digest)
            return
        hashed = hashlib.sha256()
        with to.begin(key, stat.size) as upload:
            part = memoryview(bytearray(upload.part_size))
            for number, start in enumerate(range(0, stat.size, upload.part_size)):
                body = part[: min(upload.part_size, stat.size - start)]
                _fill(stream, body, go_on)
                hashed.update(body)
                upload.put(number, body)
            _expect(key, digest, hashed.hexdigest(), stream)
            upload.complete()


def _fill(stream: ByteStream, body: memoryview, go_on: Callable[[], None]) -> None:
    at = 0
    while at < len(body):
        go_on()
        count = stream.readinto(body[at : at + _CHUNK])
        if not count:
            raise StoreError("a blob is shorter than its store says")
        at += count


def _expect(key: str, digest: str, actual: str, stream: ByteStream) -> None:
    """IntegrityError for other bytes, or more of them."""
    if actual != digest or stream.readinto(memoryview(bytearray(1))):
        raise IntegrityError(key, digest, actual)
