"""The SQLite file of the history: its tables, how those of an older program become ours, and what happens to a file
that cannot be read."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from mirror_sync.logger import Logger
from mirror_sync.owners import database_cause, is_there, reading_uri, refuse_links

SCHEMA = 10
_BUSY = 10.0  # seconds that a writer waits for another process's short write

_TABLES = """
CREATE TABLE runs (
    run TEXT PRIMARY KEY, jobs TEXT NOT NULL, owner TEXT NOT NULL, started TEXT NOT NULL,
    finished TEXT, state TEXT NOT NULL, states TEXT NOT NULL DEFAULT '{}',
    asked TEXT NOT NULL DEFAULT '[]', times TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX runs_by_start ON runs (started);
CREATE TABLE repos (
    job TEXT NOT NULL, kind TEXT NOT NULL, repo TEXT NOT NULL, revision TEXT NOT NULL,
    outcome TEXT NOT NULL, commit_id TEXT, reason TEXT NOT NULL, files INTEGER NOT NULL,
    last_attempt TEXT NOT NULL, last_success TEXT, code TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0,
    committed TEXT, published TEXT, lag_seconds REAL, last_look TEXT, place TEXT NOT NULL DEFAULT '', held TEXT,
    signed INTEGER, scanned INTEGER, scanned_at TEXT, class TEXT, code_files INTEGER, code_paths TEXT,
    PRIMARY KEY (job, kind, repo, revision)
) WITHOUT ROWID;
CREATE TABLE changes (
    job TEXT NOT NULL, kind TEXT NOT NULL, repo TEXT NOT NULL, revision TEXT NOT NULL, at TEXT NOT NULL,
    run TEXT NOT NULL, outcome TEXT NOT NULL, commit_id TEXT, reason TEXT NOT NULL, files INTEGER NOT NULL,
    fetched_files INTEGER NOT NULL, fetched_bytes INTEGER NOT NULL, reused_files INTEGER NOT NULL,
    reused_bytes INTEGER NOT NULL, seconds REAL NOT NULL, code TEXT NOT NULL DEFAULT '',
    committed TEXT, published TEXT, lag_seconds REAL
);
CREATE INDEX changes_by_repo ON changes (job, kind, repo, revision, at);
CREATE TABLE tended (
    target TEXT NOT NULL, care TEXT NOT NULL, at TEXT NOT NULL, faults INTEGER NOT NULL,
    PRIMARY KEY (target, care)
) WITHOUT ROWID;
CREATE TABLE days (
    place TEXT NOT NULL, day TEXT NOT NULL, repos INTEGER NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (place, day)
) WITHOUT ROWID;
"""

# What makes tables of the version before into those of this one; a column comes last, as in _TABLES.
_MIGRATIONS = {
    1: """
    ALTER TABLE repos ADD COLUMN code TEXT NOT NULL DEFAULT '';
    ALTER TABLE changes ADD COLUMN code TEXT NOT NULL DEFAULT '';
    """,
    2: """
    ALTER TABLE repos ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE repos ADD COLUMN committed TEXT;
    ALTER TABLE repos ADD COLUMN published TEXT;
    ALTER TABLE repos ADD COLUMN lag_seconds REAL;
    ALTER TABLE repos ADD COLUMN last_look TEXT;
    ALTER TABLE changes ADD COLUMN committed TEXT;
    ALTER TABLE changes ADD COLUMN published TEXT;
    ALTER TABLE changes ADD COLUMN lag_seconds REAL;
    """,
    3: """
    ALTER TABLE repos ADD COLUMN place TEXT NOT NULL DEFAULT '';
    """,
    4: """
    CREATE TABLE days (
        place TEXT NOT NULL, day TEXT NOT NULL, repos INTEGER NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,
        PRIMARY KEY (place, day)
    ) WITHOUT ROWID;
    """,
    5: """
    ALTER TABLE runs ADD COLUMN states TEXT NOT NULL DEFAULT '{}';
    """,
    6: "",  # what was interrupted has an outcome that programs before did not know
    7: """
    ALTER TABLE runs ADD COLUMN asked TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE runs ADD COLUMN times TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE tended (
        target TEXT NOT NULL, care TEXT NOT NULL, at TEXT NOT NULL, faults INTEGER NOT NULL,
        PRIMARY KEY (target, care)
    ) WITHOUT ROWID;
    """,
    8: """
    ALTER TABLE repos ADD COLUMN held TEXT;
    """,
    9: """
    ALTER TABLE repos ADD COLUMN signed INTEGER;
    ALTER TABLE repos ADD COLUMN scanned INTEGER;
    ALTER TABLE repos ADD COLUMN scanned_at TEXT;
    ALTER TABLE repos ADD COLUMN class TEXT;
    ALTER TABLE repos ADD COLUMN code_files INTEGER;
    ALTER TABLE repos ADD COLUMN code_paths TEXT;
    """,
}

_log = Logger()


def open_or_set_aside(path: Path) -> sqlite3.Connection:
    """For several threads, without transactions of its own. OSError when the file can be neither read nor made."""
    try:
        return _open(path)
    except sqlite3.OperationalError as error:
        # locked, not writable, no space: the file itself may be sound
        raise OSError(f"{path}: {database_cause(str(error), path)}") from error
    except sqlite3.DatabaseError as error:
        aside = _set_aside(path)
        _log.warning("history.set-aside", file=str(path), kept_as=str(aside), reason=str(error))
        return _open(path)


def copied(path: Path) -> sqlite3.Connection:
    """A copy in memory, in our tables, of what is there; nothing is written. OSError when it cannot be read."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if is_there(path):
        try:
            with closing(sqlite3.connect(reading_uri(path), _BUSY, uri=True)) as file:
                file.backup(copy)
        except sqlite3.OperationalError as error:
            raise OSError(f"{path}: {database_cause(str(error), path)}") from error
        except sqlite3.DatabaseError as error:
            _log.warning("history.unreadable", file=str(path), reason=str(error))
            copy.close()
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        _prepare(copy)
    except sqlite3.DatabaseError as error:
        raise OSError(f"{path}: {error}") from error
    return copy


def _open(path: Path) -> sqlite3.Connection:
    refuse_links(path)
    connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _check(connection)
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    with closing(connection.execute("PRAGMA quick_check(1)")) as answer:
        if (found := answer.fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of a new file, migrate those of an older one; refuse what only a newer program knows."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise sqlite3.DatabaseError(f"schema {version}; this program reads {SCHEMA}")
        scripts = [_TABLES] if version == 0 else [_MIGRATIONS[number] for number in range(version, SCHEMA)]
        for statement in filter(str.strip, ";".join(scripts).split(";")):
            connection.execute(statement)
        if version != SCHEMA:
            connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, with its journal, to a name that is free."""
    number = 1
    while (aside := path.with_name(f"{path.name}.unreadable-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside
