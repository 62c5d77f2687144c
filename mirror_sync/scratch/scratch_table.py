"""The SQLite side of a file table: its tables, and how they are asked, a page at a time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from mirror_sync.scratch.kept_shards import FUNCTIONS
from mirror_sync.scratch.unnamed import scratch_errors, unnamed

_T = TypeVar("_T")

PAGE = 1000  # rows that are read or written at once
_TABLES = """
CREATE TABLE files (
    key TEXT PRIMARY KEY, size INTEGER, oid BLOB, sha256 BLOB, pointer_size INTEGER, pointer_only INTEGER,
    state INTEGER, digest BLOB
) WITHOUT ROWID;
CREATE TABLE folders (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE gone (promise BLOB, size INTEGER, digest BLOB, leaves INTEGER);
CREATE INDEX gone_by_content ON gone (promise, size);
CREATE TABLE contents (
    id INTEGER PRIMARY KEY, promise BLOB, size INTEGER, key TEXT, state INTEGER, digest BLOB, UNIQUE (promise, size)
);
"""
_NAMES = ("files", "folders", "gone", "contents")
_NUMBERS = ("id", "c.id")
_IDLE: list[sqlite3.Connection] = []  # emptied: to make the tables and to parse all questions takes a millisecond
_MOST_IDLE = 4


class ScratchTable:
    """One unnamed file, or memory, with these tables. Safe for many threads; raises StoreError for its disk."""

    def __init__(self) -> None:
        self._open: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def give_back(self, *, keep: bool) -> None:
        """Give memory and disk back, or `keep` the emptied tables for the next, unless some are kept already."""
        with self._lock:
            connection, self._open = self._open, None
            if connection is not None and keep and len(_IDLE) < _MOST_IDLE:
                for table in _NAMES:
                    connection.execute(f"DELETE FROM {table}")
                _IDLE.append(connection)
            elif connection is not None:
                connection.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            try:
                self._open = _IDLE.pop()
            except IndexError:
                self._open = unnamed(_TABLES)
                for name, function in FUNCTIONS.items():
                    self._open.create_function(name, 1, function, deterministic=True)
        return self._open

    def _pages(self, question: str, key: str, where: str = "true", since: str = "") -> Iterator[list[Any]]:
        """The answer by pages, in the order of `key`, its first column: what is told meanwhile does no harm.

        `since`: the first key that may be in it.
        """
        last, beyond = (0 if key in _NUMBERS else since), ">=" if since else ">"
        while page := self._all(f"{question} WHERE {where} AND {key} {beyond} ? ORDER BY {key} LIMIT {PAGE}", (last,)):
            yield page
            if len(page) < PAGE:
                return
            last, beyond = page[-1][0], ">"

    def _all(self, question: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._read(lambda: self._connection.execute(question, values).fetchall())

    def _row(self, question: str, values: Sequence[Any] = ()) -> Any:
        return self._read(lambda: self._connection.execute(question, values).fetchone())

    def _do(self, change: str, values: Sequence[Any] = ()) -> int:
        """How many rows it changed."""
        return self._read(lambda: self._connection.execute(change, values).rowcount)

    def _do_all(self, change: str, values: Iterable[Sequence[Any]]) -> None:
        self._read(lambda: self._connection.executemany(change, values))

    def _read(self, call: Callable[[], _T]) -> _T:
        with self._lock, scratch_errors():
            return call()
