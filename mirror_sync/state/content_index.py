"""What is known of a target's contents by git id, in one SQLite file that targets, threads and processes share.

A cache: what `database` loses is filled again. A pair that was computed from bytes is kept apart from one that was read
in a listing: see decision 0029.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.state.database import Database, transaction

VERSION = 2
"""Of the tables."""

_TABLES = """
CREATE TABLE IF NOT EXISTS targets (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, complete INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS contents (
    target INTEGER NOT NULL, oid BLOB NOT NULL, sha256 BLOB NOT NULL, proved INTEGER NOT NULL,
    PRIMARY KEY (target, oid)
) WITHOUT ROWID;
"""
_ASKED_AT_ONCE = 500  # oids a query: SQLite's limit of parameters was 999 for long


class SqliteIndex:
    """Implements `ports.ContentIndex` for one target of the file. Raises StoreError when the file cannot be used."""

    def __init__(self, path: Path, target: str, *, reading: bool = False) -> None:
        self._database, self._target = Database(path, VERSION, _TABLES, reading=reading), target

    def known(self, oids: Iterable[GitOid]) -> Mapping[GitOid, Sha256]:
        return self._find(oids, proved=True)

    def told(self, oids: Iterable[GitOid]) -> Mapping[GitOid, Sha256]:
        return self._find(oids, proved=False)

    def learn(self, pairs: Mapping[GitOid, Sha256]) -> None:
        self._remember(pairs, proved=True)

    def hear(self, pairs: Mapping[GitOid, Sha256]) -> None:
        self._remember(pairs, proved=False)

    @property
    def complete(self) -> bool:
        return self._database.ask(lambda connection: _is_complete(connection, self._target))

    def mark_complete(self) -> None:
        """Remember that all that the target publishes is known here."""
        self._database.tell(lambda connection: _set_complete(connection, self._target))

    def close(self) -> None:
        """Gives the file back; the next question opens it again."""
        self._database.close()

    def _find(self, oids: Iterable[GitOid], *, proved: bool) -> Mapping[GitOid, Sha256]:
        asked = [bytes.fromhex(oid) for oid in oids]
        return self._database.ask(lambda connection: dict(_find(connection, self._target, asked, proved)))

    def _remember(self, pairs: Mapping[GitOid, Sha256], *, proved: bool) -> None:
        rows = [(bytes.fromhex(oid), bytes.fromhex(digest), proved) for oid, digest in pairs.items()]
        if rows:
            self._database.tell(lambda connection: _remember(connection, self._target, rows))


def _find(
    connection: sqlite3.Connection, target: str, oids: Iterable[bytes], proved: bool
) -> Iterator[tuple[GitOid, Sha256]]:
    number = _number(connection, target)
    rest = iter(oids)
    while batch := tuple(islice(rest, _ASKED_AT_ONCE)):
        marks = ",".join("?" * len(batch))
        query = f"SELECT oid, sha256 FROM contents WHERE target = ? AND proved = ? AND oid IN ({marks})"  # noqa: S608
        for oid, digest in connection.execute(query, (number, proved, *batch)):
            yield GitOid(oid.hex()), Sha256(digest.hex())


def _remember(connection: sqlite3.Connection, target: str, rows: Iterable[tuple[bytes, bytes, bool]]) -> None:
    with transaction(connection):
        connection.execute("INSERT OR IGNORE INTO targets (name) VALUES (?)", (target,))
        number = _number(connection, target)
        connection.executemany(
            "INSERT INTO contents (target, oid, sha256, proved) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (target, oid) DO UPDATE SET sha256 = excluded.sha256, proved = excluded.proved "
            "WHERE excluded.proved OR NOT proved",
            ((number, *row) for row in rows),
        )


def _is_complete(connection: sqlite3.Connection, target: str) -> bool:
    row = connection.execute("SELECT complete FROM targets WHERE name = ?", (target,)).fetchone()
    return row is not None and bool(row[0])


def _set_complete(connection: sqlite3.Connection, target: str) -> None:
    connection.execute(
        "INSERT INTO targets (name, complete) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET complete = 1", (target,)
    )


def _number(connection: sqlite3.Connection, target: str) -> int | None:
    row = connection.execute("SELECT id FROM targets WHERE name = ?", (target,)).fetchone()
    return None if row is None else int(row[0])
