"""A map that is a dict while it is small, and lies on disk from then on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from mirror_sync.scratch.unnamed import scratch_errors, unnamed

MOST = 20_000  # entries in memory: some 5 MB
_PAGE = 1000  # keys that are read at once
_BITS = 1 << 23  # of the sieve: of a million keys one in twenty is looked for in vain
_TABLE = "CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"


class SpilledMap:
    """Bytes by bytes; one call at a time: whoever shares it has a lock. StoreError where the disk has no room.

    What is put is collected in memory, and goes to the disk many at a time. A sieve of bits tells of most keys that
    they are not there: who asks SQLite lets other threads run, and has to wait for a turn again.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._fresh: dict[bytes, bytes] = {}
        self._spilled: sqlite3.Connection | None = None
        self._sieve = bytearray()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def get(self, key: bytes) -> bytes | None:
        """What was put under a key last."""
        value = self._fresh.get(key)
        if value is None and self._spilled is not None and self._may_be_spilled(key):
            rows = self._do("SELECT value FROM entries WHERE key = ?", (key,)).fetchall()
            return bytes(rows[0][0]) if rows else None
        return value

    def put(self, key: bytes, value: bytes = b"") -> bool:
        """Whether there was nothing under the key before."""
        new = key not in self._fresh and (self._spilled is None or self.get(key) is None)
        self._count += new
        self._fresh[key] = value
        if len(self._fresh) > self._most:
            self._spill()
        return new

    def pop(self, key: bytes) -> bytes | None:
        """Take out what is under a key; None where nothing is."""
        value = self.get(key)
        if value is not None:
            self._count -= 1
            self._fresh.pop(key, None)
            if self._spilled is not None and self._may_be_spilled(key):
                self._do("DELETE FROM entries WHERE key = ?", (key,))
        return value

    def clear(self) -> None:
        """Forget all, and give the disk back."""
        self._fresh, self._sieve, self._count = {}, bytearray(), 0
        if self._spilled is not None:
            self._spilled.close()
            self._spilled = None

    def all_keys(self) -> Iterator[bytes]:
        """All keys, in the order of their bytes. What is put or taken meanwhile may be among them or not."""
        if self._spilled is None:
            yield from sorted(self._fresh)
            return
        self._spill()
        page = self._keys("", ())
        while page:
            yield from page
            page = self._keys("WHERE key > ?", (page[-1],))

    def _keys(self, beyond: str, last: Sequence[bytes]) -> list[bytes]:
        question = f"SELECT key FROM entries {beyond} ORDER BY key LIMIT {_PAGE}"  # noqa: S608
        return [bytes(key) for (key,) in self._do(question, last).fetchall()]

    def _spill(self) -> None:
        if self._spilled is None:
            self._spilled = unnamed(_TABLE)
            self._sieve = bytearray(_BITS // 8)
        with scratch_errors():
            self._spilled.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", sorted(self._fresh.items()))
        for key in self._fresh:
            for bit in _bits_of(key):
                self._sieve[bit >> 3] |= 1 << (bit & 7)
        self._fresh = {}

    def _may_be_spilled(self, key: bytes) -> bool:
        return all(self._sieve[bit >> 3] >> (bit & 7) & 1 for bit in _bits_of(key))

    def _do(self, question: str, values: Sequence[Any]) -> sqlite3.Cursor:
        assert self._spilled is not None  # noqa: S101  for the type checker: callers have looked
        with scratch_errors():
            return self._spilled.execute(question, values)

    def __del__(self) -> None:
        self.clear()


def _bits_of(key: bytes) -> tuple[int, int]:
    number = hash(key)
    return number % _BITS, (number >> 32) % _BITS
