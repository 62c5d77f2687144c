"""How far an export has come: a file of SQLite beside its parts, until the bundle is whole.

The blobs of a part are noted together with it, when it is on the disk: what a kill leaves of the next one is written
anew. A part that is noted need not be there any more: it may have been carried away.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from mirror_sync.domain.digest import Sha256
from mirror_sync.engine.places.bundle_format import BundlePart, CutBlob, number_of
from mirror_sync.errors import StoreFull, StoreUnavailable, UsageError

JOURNAL = "unfinished.db"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS asked (words TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS parts (number INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS blobs (turn INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL,
                                         part INTEGER NOT NULL, pieces INTEGER NOT NULL, last INTEGER NOT NULL)""",
)
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})
_PRIMARY = 0xFF


class Written(NamedTuple):
    """A blob in parts: the number of the first one; `pieces` of those it will have are written, 0 for a whole blob."""

    part: int
    pieces: int


class ExportJournal:
    """Of one folder, for one process at a time. StoreError where its file cannot be written, or read any more."""

    def __init__(self, folder: Path, asked: dict[str, Any]) -> None:
        """UsageError for a folder where another export goes on, or was begun with something else asked for."""
        self._path, words = folder / JOURNAL, json.dumps(asked, sort_keys=True)
        with self._errors():
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=0)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._begin()
            for table in _TABLES:
                self._db.execute(table)
            known = self._db.execute("SELECT words FROM asked").fetchone()
            if known is None:
                self._db.execute("INSERT INTO asked VALUES (?)", (words,))
            self._db.execute("COMMIT")
            self._begin()
        if known is not None and known[0] != words:
            self.close()
            raise UsageError(
                f"{folder} has an unfinished export that was asked for otherwise ({known[0]}): ask the same to go on, "
                f"or choose another folder"
            )

    def _begin(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_BUSY:
                raise UsageError(f"another export writes into {self._path.parent} just now") from None
            raise

    def parts(self) -> list[BundlePart]:
        """The whole parts of blobs, in their order."""
        rows = self._all("SELECT number, bytes, sha256 FROM parts ORDER BY number")
        return [BundlePart(f"blobs-{number:05}.tar", size, Sha256(digest)) for number, size, digest in rows]

    def written(self, digest: Sha256) -> Written | None:
        """Where a blob is, as far as whole parts have it, and the one that is being written."""
        row = next(self._all("SELECT part, pieces FROM blobs WHERE digest = ?", bytes.fromhex(digest)), None)
        return None if row is None else Written(*row)

    def add(self, digest: Sha256, size: int, part: int) -> None:
        """A blob is in a part."""
        self._put("INSERT INTO blobs VALUES (NULL, ?, ?, ?, 0, ?)", (bytes.fromhex(digest), size, part, part))

    def add_piece(self, digest: Sha256, size: int, part: int, piece: int) -> None:
        """The `piece`th piece of a blob is in a part; `size` is the blob's."""
        if piece == 1:
            self._put("INSERT INTO blobs VALUES (NULL, ?, ?, ?, 1, ?)", (bytes.fromhex(digest), size, part, part))
        else:
            row = piece, part, bytes.fromhex(digest)
            self._put("UPDATE blobs SET pieces = ?, last = ? WHERE digest = ?", row)

    def end_part(self, part: BundlePart) -> None:
        """A part is whole and on the disk, and so are the blobs that were added since the one before."""
        self._put("INSERT INTO parts VALUES (?, ?, ?)", (number_of(part.name), part.bytes, part.sha256))
        with self._errors():
            self._db.execute("COMMIT")
            self._begin()

    def take_back(self, digest: Sha256) -> list[str]:
        """Forget the part where a blob begins, and those after it; their names are returned."""
        found = self.written(digest)
        if found is None:
            return []
        names = [part.name for part in self.parts() if number_of(part.name) >= found.part]
        with self._errors():
            self._db.execute("DELETE FROM blobs WHERE last >= ?", (found.part,))
            self._db.execute("DELETE FROM parts WHERE number >= ?", (found.part,))
            self._db.execute("COMMIT")
            self._begin()
        return names

    def blobs(self) -> Iterator[tuple[str, int, int]]:
        """All blobs, in the order in which they were written: digest, bytes, and the number of the (first) part."""
        for digest, size, part in self._all("SELECT digest, bytes, part FROM blobs ORDER BY turn"):
            yield digest.hex(), size, part

    def cut(self, piece: int) -> Iterator[CutBlob]:
        """Those in pieces, of so many bytes each."""
        for digest, size, part in self._all("SELECT digest, bytes, part FROM blobs WHERE pieces > 0 ORDER BY turn"):
            yield CutBlob(Sha256(digest.hex()), size, part, piece)

    def count(self) -> tuple[int, int]:
        """How many blobs, and their bytes."""
        ((count, size),) = self._all("SELECT count(*), coalesce(sum(bytes), 0) FROM blobs")
        return int(count), int(size)

    def close(self) -> None:
        """Let go of the folder; what was not ended is forgotten."""
        with suppress(sqlite3.Error):  # of a disk that was pulled: what hindered the export was told by then
            self._db.close()

    def remove(self) -> None:
        """The bundle is whole. OSError."""
        self._db.close()
        self._path.unlink()

    def _all(self, words: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        with self._errors():
            yield from self._db.execute(words, values)

    def _put(self, words: str, values: tuple[Any, ...]) -> None:
        with self._errors():
            self._db.execute(words, values)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0)
            kind = StoreFull if code in _FULL or code & _PRIMARY in _FULL else StoreUnavailable
            raise kind(f"{self._path} cannot be used: {error}; is its disk there, and has it room?") from error
