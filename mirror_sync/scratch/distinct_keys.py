"""Keys that should all be different, as they come: whether they are is asked at the end, or between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise

from mirror_sync.scratch.unnamed import scratch_errors, unnamed

_MOST = 20_000  # in memory: some 3 MB
_PAGE = 1000  # that are read at once
_TABLE = "CREATE TABLE keys (key BLOB PRIMARY KEY, turn INTEGER) WITHOUT ROWID"


class DistinctKeys:
    """Bytes; one call at a time. StoreError where the disk has no room.

    To look for each among all before it would be the dearest part of a long listing: they are collected, and their
    table finds the one that comes twice.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._fresh: list[bytes] = []
        self._spilled: sqlite3.Connection | None = None
        self._twice: bytes | None = None
        self._turns = 0

    def add(self, key: bytes) -> None:
        """One more."""
        self._fresh.append(key)
        if len(self._fresh) > self._most:
            self._spill()

    def twice(self) -> bytes | None:
        """A key that was added twice; None where there is none."""
        if self._twice is None and self._spilled is not None:
            self._spill()
        if self._twice is None and len(set(self._fresh)) < len(self._fresh):
            self._twice = _doubled(sorted(self._fresh))
        return self._twice

    def in_order(self) -> Iterator[bytes]:
        """All of them, by their bytes: where none comes twice."""
        if self._spilled is None:
            yield from sorted(self._fresh)
            return
        self._spill()
        last = b""
        while page := self._page(last):
            yield from page
            last = page[-1]

    def _page(self, last: bytes) -> list[bytes]:
        assert self._spilled is not None  # noqa: S101  for the type checker: `in_order` has looked
        with scratch_errors():
            rows = self._spilled.execute("SELECT key FROM keys WHERE key > ? ORDER BY key LIMIT ?", (last, _PAGE))
            return [key for (key,) in rows]

    def _spill(self) -> None:
        if self._spilled is None:
            self._spilled = unnamed(_TABLE)
        keys, self._fresh = sorted(self._fresh), []
        self._turns += 1
        rows = ((key, self._turns) for key in keys)
        with scratch_errors():
            before = self._spilled.total_changes
            self._spilled.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", rows)
            if self._twice is None and self._spilled.total_changes - before < len(keys):
                self._twice = _doubled(keys) or self._of_before(self._spilled, keys)

    def _of_before(self, spilled: sqlite3.Connection, keys: list[bytes]) -> bytes:
        """The first of these that an earlier turn has put there."""
        asked = (spilled.execute("SELECT turn FROM keys WHERE key = ?", (key,)).fetchone() for key in keys)
        return next(key for key, (turn,) in zip(keys, asked, strict=True) if turn < self._turns)

    def __del__(self) -> None:
        if self._spilled is not None:
            self._spilled.close()


def _doubled(keys: list[bytes]) -> bytes | None:
    """Of keys in their order one that comes twice."""
    return next((key for before, key in pairwise(keys) if before == key), None)
