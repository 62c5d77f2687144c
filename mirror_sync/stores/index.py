"""What is known of a target's contents by git id, in one SQLite file that targets, threads and processes share.

A cache: a file that is lost, unreadable or of another version is replaced by an empty one, and is filled again.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.errors import StoreError, StoreFull, StoreUnavailable

T = TypeVar("T")

VERSION = 1
"""Of the tables; kept in the file as `user_version`."""

_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS targets (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, complete INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS contents (
    target INTEGER NOT NULL, oid BLOB NOT NULL, sha256 BLOB NOT NULL, PRIMARY KEY (target, oid)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""
_ASKED_AT_ONCE = 500  # oids a query: SQLite's limit of parameters was 999 for long
_PATIENCE = 30.0  # seconds to wait for another process that writes
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF  # the part of an extended error code that names the kind


class SqliteIndex:
    """Implements `ports.ContentIndex` for one target of the file. Raises StoreError when the file cannot be used."""

    def __init__(self, path: Path, target: str) -> None:
        self._path, self._target = path, target
        self._lock = threading.Lock()  # one connection: SQLite lets one thread at a time in anyway
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        # Two processes that turn a new file into WAL at once would not wait for each other but fail: SQLITE_BUSY.
        self._opening = FileLock(f"{path}.lock", timeout=_PATIENCE, thread_local=False)

    def known(self, oids: Iterable[GitOid]) -> Mapping[GitOid, Sha256]:
        asked = [bytes.fromhex(oid) for oid in oids]
        return self._ask(lambda connection: dict(_find(connection, self._target, asked)))

    def learn(self, pairs: Mapping[GitOid, Sha256]) -> None:
        rows = [(bytes.fromhex(oid), bytes.fromhex(digest)) for oid, digest in pairs.items()]
        if rows:
            self._ask(lambda connection: _remember(connection, self._target, rows))

    @property
    def complete(self) -> bool:
        return self._ask(lambda connection: _is_complete(connection, self._target))

    def mark_complete(self) -> None:
        self._ask(lambda connection: _set_complete(connection, self._target))

    def close(self) -> None:
        """Gives the file back; the next question opens it again."""
        with self._lock:
            self._disconnect()

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock, _store_errors(self._path):
            try:
                return question(self._connect())
            except sqlite3.DatabaseError as error:
                if not _is_broken(error):
                    raise
                self._set_aside()
                return question(self._connect())

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._opening:
                return self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        self._inode = self._path.stat().st_ino
        try:
            usable = _prepare(connection)
        except sqlite3.Error:
            connection.close()
            raise
        if not usable:
            connection.close()
            self._set_aside()
            return self._open()
        self._connection = connection
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _set_aside(self) -> None:
        """Renames the file that cannot be used, unless another process has put a new one in its place."""
        self._disconnect()
        with self._opening, suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                for suffix in ("-wal", "-shm"):  # first: once the name is free, another process may make its own
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
                self._path.replace(f"{self._path}.unusable")


def _prepare(connection: sqlite3.Connection) -> bool:
    """Makes the tables of a new file; false when they are another version's."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION):
        return False
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last rows, never the file
    if version != VERSION:
        connection.executescript(_TABLES)
    return True


def _find(connection: sqlite3.Connection, target: str, oids: Iterable[bytes]) -> Iterator[tuple[GitOid, Sha256]]:
    number = _number(connection, target)
    rest = iter(oids)
    while batch := tuple(islice(rest, _ASKED_AT_ONCE)):
        marks = ",".join("?" * len(batch))
        query = f"SELECT oid, sha256 FROM contents WHERE target = ? AND oid IN ({marks})"  # noqa: S608  question marks
        for oid, digest in connection.execute(query, (number, *batch)):
            yield GitOid(oid.hex()), Sha256(digest.hex())


def _remember(connection: sqlite3.Connection, target: str, rows: Iterable[tuple[bytes, bytes]]) -> None:
    with _transaction(connection):
        connection.execute("INSERT OR IGNORE INTO targets (name) VALUES (?)", (target,))
        number = _number(connection, target)
        connection.executemany(
            "INSERT OR REPLACE INTO contents (target, oid, sha256) VALUES (?, ?, ?)",
            ((number, oid, digest) for oid, digest in rows),
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


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")  # takes its turn now: a lock taken later would not wait
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & _PRIMARY) in _BROKEN


@contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", 0) & _PRIMARY == sqlite3.SQLITE_FULL
        kind: type[StoreError] = StoreFull if full else StoreUnavailable
        raise kind(f"{path}: {error}") from error
    except Timeout as error:
        raise StoreUnavailable(f"{path}: locked by another process for {_PATIENCE:.0f} s") from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error
