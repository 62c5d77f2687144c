"""A SQLite file of the state folder that threads and processes share, and that may be lost.

A file that is unreadable or of another version is set aside and replaced by an empty one, and is filled again.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from mirror_sync.errors import StoreError, StoreFull, StoreUnavailable
from mirror_sync.owners import PRIVATE, database_cause, is_there, reading_uri, refuse_links, with_hindrance
from mirror_sync.state.file_lock import Held, hold

T = TypeVar("T")

_PATIENCE = 30.0  # seconds to wait for another process that writes
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF  # the part of an extended error code that names the kind


class Database:
    """One file with these tables, opened when first asked. Their `version` is kept in it as `user_version`.

    `reading`: nothing is written, nor anything made beside it; a file that is not there, or not ours, is an empty one.
    Where it `counts`, and is no mere memory, one that is there and cannot be read is a StoreError then.
    """

    def __init__(self, path: Path, version: int, tables: str, *, reading: bool = False, counts: bool = False) -> None:
        self.path, self._reading, self._counts = path, reading, counts
        self._version, self._tables = version, tables
        self._lock = threading.Lock()  # one connection: SQLite lets one thread at a time in anyway
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        # Two processes that turn a new file into WAL at once would not wait for each other but fail: SQLITE_BUSY.
        self._opening = path.with_name(f"{path.name}.lock")

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """The answer to a question, which is asked again of an empty file when this one proves to be broken.

        Raises StoreError when the file cannot be used.
        """
        with self._lock, _store_errors(self.path):
            try:
                return question(self._connect())
            except sqlite3.DatabaseError as error:
                if not _is_broken(error):
                    raise
                self._set_aside()
                return question(self._connect())

    def tell(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Have something changed, unless only reading. Raises StoreError, as `ask` does."""
        if not self._reading:
            self.ask(change)

    def close(self) -> None:
        """Gives the file back; the next question opens it again."""
        with self._lock:
            self._disconnect()

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None and self._reading:
            self._connection = self._open_reading()
        elif self._connection is None:
            self.path.parent.mkdir(PRIVATE, parents=True, exist_ok=True)
            with hold(self._opening, _PATIENCE):
                return self._open()
        return self._connection

    def _open_reading(self) -> sqlite3.Connection:
        try:
            return self._open_still()
        except sqlite3.Error:
            if self._counts and is_there(self.path):
                raise
            empty = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            empty.executescript(self._tables)
            return empty

    def _open_still(self) -> sqlite3.Connection:
        connection = sqlite3.connect(reading_uri(self.path), _PATIENCE, uri=True, check_same_thread=False)
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] != self._version:
                raise sqlite3.DatabaseError("another version")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _open(self) -> sqlite3.Connection:
        refuse_links(self.path)
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        self._inode = self.path.stat().st_ino
        try:
            usable = self._prepare(connection)
        except sqlite3.Error:
            connection.close()
            raise
        if not usable:
            connection.close()
            self._rename()
            return self._open()
        self._connection = connection
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> bool:
        """Makes the tables of a new file; false when they are another version's."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, self._version):
            return False
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last rows, never the file
        if version != self._version:
            connection.executescript(f"BEGIN IMMEDIATE; {self._tables} PRAGMA user_version = {self._version}; COMMIT;")
        return True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _set_aside(self) -> None:
        """Renames the file that cannot be used, unless another process has put a new one in its place."""
        self._disconnect()
        if self._reading:
            return
        with hold(self._opening, _PATIENCE):
            self._rename()

    def _rename(self) -> None:
        """Under the lock, which nobody takes twice."""
        with suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                for suffix in ("-wal", "-shm"):  # first: once the name is free, another process may make its own
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)
                self.path.replace(f"{self.path}.unusable")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block's changes or none."""
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
        raise kind(f"{path}: {database_cause(str(error), path)}") from error
    except Held as error:
        raise StoreUnavailable(f"{path}: locked by another process for {_PATIENCE:.0f} s") from error
    except OSError as error:
        said = f"{path}: {error.strerror or error}"
        raise StoreUnavailable(with_hindrance(said, Path(error.filename or path), path)) from error
