"""An unnamed SQLite file: https://sqlite.org/inmemorydb.html, "Temporary Databases".

It is made when its pages are more than its cache, and unlinked in the same moment, so that a kill leaves nothing. All
is one transaction without a journal: a table that an error left is thrown away with its file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from mirror_sync.errors import StoreFull, StoreUnavailable

_CACHE = 12 * 1024  # KiB of pages in memory; what is more is on disk
_PRIMARY = 0xFF  # the part of an extended error code that names the kind
_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})


def unnamed(tables: str) -> sqlite3.Connection:
    """A new file with these tables, for any thread. StoreError where it cannot be made."""
    with scratch_errors():
        connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA cache_size = -{_CACHE}; BEGIN; {tables}")
    return connection


@contextmanager
def scratch_errors() -> Iterator[None]:
    """Turns what SQLite says into StoreFull or StoreUnavailable, but for what breaks a rule of a table."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _NO_ROOM
        kind = StoreFull if full else StoreUnavailable
        raise kind(f"the folder for temporary files (TMPDIR, or /var/tmp) cannot be used: {error}") from error
