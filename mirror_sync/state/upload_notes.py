"""What is noted of unfinished uploads, in one SQLite file that targets, threads and processes share.

A cache: what `database` loses costs the parts that were put, no more; `Store.sweep` finds what nobody names any longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mirror_sync.ports.memory import UploadNote
from mirror_sync.state.claims import claimed
from mirror_sync.state.database import Database

VERSION = 1
"""Of the tables."""

_TABLES = """
CREATE TABLE IF NOT EXISTS uploads (
    target TEXT NOT NULL, key TEXT NOT NULL, token TEXT NOT NULL, midstate BLOB NOT NULL, saved REAL NOT NULL,
    PRIMARY KEY (target, key)
) WITHOUT ROWID;
"""


class SqliteNotes:
    """Implements `ports.UploadNotes` for one target of the file. `clock` gives seconds since the epoch."""

    def __init__(
        self, path: Path, target: str, clock: Callable[[], float] = time.time, *, reading: bool = False
    ) -> None:
        self._database = Database(path, VERSION, _TABLES, reading=reading)
        self._target, self._clock = target, clock
        self._claims = path.with_name(f"{path.name}.claims")

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        with claimed(self._claims, f"{self._target}\0{key}") as mine:
            yield mine

    def load(self, key: str) -> UploadNote | None:
        """The note of an unfinished upload; None where there is none."""
        query = "SELECT token, midstate FROM uploads WHERE target = ? AND key = ?"
        for token, midstate in self._ask(query, self._target, key):
            return UploadNote(token, midstate)
        return None

    def save(self, key: str, note: UploadNote) -> None:
        row = (self._target, key, note.token, note.midstate, self._clock())
        self._ask("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)", *row)

    def forget(self, key: str) -> None:
        """Drop the note of an upload that has ended."""
        self._ask("DELETE FROM uploads WHERE target = ? AND key = ?", self._target, key)

    def stale(self, older_than: float) -> tuple[str, ...]:
        query = "SELECT key FROM uploads WHERE target = ? AND saved <= ? ORDER BY key"
        return tuple(key for (key,) in self._ask(query, self._target, self._clock() - older_than))

    def close(self) -> None:
        """Gives the file back; the next question opens it again."""
        self._database.close()

    def _ask(self, query: str, *arguments: object) -> list[Any]:
        return self._database.ask(lambda connection: connection.execute(query, arguments).fetchall())
