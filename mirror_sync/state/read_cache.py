"""What was read of small objects of a target, in one SQLite file that targets, threads and processes share.

A cache: what `database` loses is read again.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mirror_sync.state.database import Database

VERSION = 1
"""Of the tables."""

_TABLES = """
CREATE TABLE IF NOT EXISTS looks (
    target TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (target, name)
) WITHOUT ROWID;
"""
_RECALL = "SELECT body FROM looks WHERE target = ? AND name = ? AND version = ?"
_REMEMBER = "INSERT OR REPLACE INTO looks (target, name, version, body) VALUES (?, ?, ?, ?)"


class SqliteReadCache:
    """Implements `ports.ReadCache` for one target of the file. Raises StoreError when the file cannot be used."""

    def __init__(self, path: Path, target: str, *, reading: bool = False) -> None:
        self._database, self._target = Database(path, VERSION, _TABLES, reading=reading), target

    def recall(self, name: str, version: str) -> bytes | None:
        def ask(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(_RECALL, (self._target, name, version)).fetchone()
            return None if row is None else bytes(row[0])

        return self._database.ask(ask)

    def remember(self, name: str, version: str, body: bytes) -> None:
        """Keep what was read of an object at this version, in place of an older one."""
        self._database.tell(lambda connection: connection.execute(_REMEMBER, (self._target, name, version, body)))

    def close(self) -> None:
        """Gives the file back; the next question opens it again."""
        self._database.close()
