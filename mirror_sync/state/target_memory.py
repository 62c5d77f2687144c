"""What a machine remembers of its targets, in SQLite files that targets, threads and processes share: `ports.memory`.

    index.db      contents by git id: what was computed from bytes is kept apart from what a listing said
    uploads.db    how far uploads got; beside it a file of claims, so that one process at a time goes on with each
    looks.db      what was read of small objects

All are caches: what `database` loses of them is filled, put or read again.

A claim on a name ends with whoever holds it. One file, never written: a name is claimed by locking the one byte of it
whose number is the name's hash. Such locks of an open file description hold between threads too, vanish with the
process, and leave no files to clean up: https://man7.org/linux/man-pages/man2/F_OFD_SETLK.2const.html
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import struct
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.errors import StoreUnavailable
from mirror_sync.owners import with_hindrance
from mirror_sync.ports.memory import UploadNote
from mirror_sync.state.database import Database, transaction

INDEX_VERSION = 2
"""Of the tables."""

_INDEX_TABLES = """
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
        self._database, self._target = Database(path, INDEX_VERSION, _INDEX_TABLES, reading=reading), target

    def known(self, oids: Iterable[GitOid], *, proved: bool) -> Mapping[GitOid, Sha256]:
        asked = [bytes.fromhex(oid) for oid in oids]
        return self._database.ask(lambda connection: dict(_find(connection, self._target, asked, proved)))

    def remember(self, pairs: Mapping[GitOid, Sha256], *, proved: bool) -> None:
        rows = [(bytes.fromhex(oid), bytes.fromhex(digest), proved) for oid, digest in pairs.items()]
        if rows:
            self._database.tell(lambda connection: _remember(connection, self._target, rows))

    @property
    def complete(self) -> bool:
        return self._database.ask(lambda connection: _is_complete(connection, self._target))

    def mark_complete(self) -> None:
        """Remember that all that the target publishes is known here."""
        self._database.tell(lambda connection: _set_complete(connection, self._target))

    def close(self) -> None:
        """Gives the file back; the next question opens it again."""
        self._database.close()


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


NOTES_VERSION = 1
"""Of the tables."""

_NOTES_TABLES = """
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
        self._database = Database(path, NOTES_VERSION, _NOTES_TABLES, reading=reading)
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


_HELD = (errno.EAGAIN, errno.EACCES)
_NUMBER = 7  # bytes of a hash: offsets are below 2^63; two names that share a byte only wait on each other
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, process id


@contextmanager
def claimed(path: Path, name: str) -> Iterator[bool]:
    """Whether the block holds the name. StoreUnavailable when the file cannot be made or locked."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreUnavailable(with_hindrance(f"{path}: {error.strerror}", path)) from error
    try:
        yield _try_lock(fd, path, name)
    finally:
        os.close(fd)  # ends the claim


def _try_lock(fd: int, path: Path, name: str) -> bool:
    number = int.from_bytes(sha256(name.encode()).digest()[:_NUMBER], "big")
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0))
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    return True


CACHE_VERSION = 1
"""Of the tables."""

_CACHE_TABLES = """
CREATE TABLE IF NOT EXISTS looks (
    target TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (target, name)
) WITHOUT ROWID;
"""
_RECALL = "SELECT body FROM looks WHERE target = ? AND name = ? AND version = ?"
_RECALL_ALL = "SELECT name, version, body FROM looks WHERE target = ? AND name IN ({})"
_REMEMBER = "INSERT OR REPLACE INTO looks (target, name, version, body) VALUES (?, ?, ?, ?)"


class SqliteReadCache:
    """Implements `ports.ReadCache` for one target of the file. Raises StoreError when the file cannot be used."""

    def __init__(self, path: Path, target: str, *, reading: bool = False) -> None:
        self._database, self._target = Database(path, CACHE_VERSION, _CACHE_TABLES, reading=reading), target

    def recall(self, name: str, version: str) -> bytes | None:
        def ask(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(_RECALL, (self._target, name, version)).fetchone()
            return None if row is None else bytes(row[0])

        return self._database.ask(ask)

    def remember(self, name: str, version: str, body: bytes) -> None:
        """Keep what was read of an object at this version, in place of an older one."""
        self._database.tell(lambda connection: connection.execute(_REMEMBER, (self._target, name, version, body)))

    def recall_all(self, names: Collection[str]) -> Mapping[str, tuple[str, bytes]]:
        """One question for each _ASKED_AT_ONCE of them."""

        def ask(connection: sqlite3.Connection) -> dict[str, tuple[str, bytes]]:
            found: dict[str, tuple[str, bytes]] = {}
            rest = iter(names)
            while some := tuple(islice(rest, _ASKED_AT_ONCE)):
                query = _RECALL_ALL.format(",".join("?" * len(some)))
                for name, version, body in connection.execute(query, (self._target, *some)):
                    found[name] = version, bytes(body)
            return found

        return self._database.ask(ask)

    def remember_all(self, kept: Mapping[str, tuple[str, bytes]]) -> None:
        """One transaction for all of them."""
        rows = [(self._target, name, version, body) for name, (version, body) in kept.items()]

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.executemany(_REMEMBER, rows)

        if rows:
            self._database.tell(write)

    def close(self) -> None:
        """Gives the file back; the next question opens it again."""
        self._database.close()


def replica_memory(state_dir: Path, place: str, *, reading: bool = False) -> SqliteReadCache:
    """What is remembered of a replica at this place, which a target is copied to."""
    return SqliteReadCache(state_dir / "looks.db", f"replica:{place}", reading=reading)


def mirror_memory(state_dir: Path, place: str, *, reading: bool = False) -> SqliteReadCache:
    """What is remembered of another mirror, at this place, that a job reads from."""
    return SqliteReadCache(state_dir / "looks.db", f"upstream:{place}", reading=reading)
