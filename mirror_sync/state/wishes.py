"""What readers have asked for in vain, in `wishes.db` of the state folder.

Anybody may ask for any name, and as often as they like: so it holds a bounded number of wishes, and of each who asks
some of them; the oldest go first.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mirror_sync.domain.outcome.wish import TRAFFIC, RepoWish
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.state.database import Database, transaction

FILE = "wishes.db"
MOST, MOST_OF_ONE = 10_000, 200  # wishes of all who ask, and of one
_VERSION = 1
_TABLES = """
CREATE TABLE wishes (
    target TEXT, kind TEXT, id TEXT, who TEXT, count INTEGER, first TEXT, last TEXT,
    PRIMARY KEY (target, kind, id, who)
) WITHOUT ROWID;
CREATE INDEX by_time ON wishes (last);
CREATE INDEX by_who ON wishes (who, last);
CREATE TABLE verdicts (
    target TEXT, kind TEXT, id TEXT, verdict TEXT, outcome TEXT, PRIMARY KEY (target, kind, id)
) WITHOUT ROWID;
"""
_ASK = """
INSERT INTO wishes VALUES (?, ?, ?, ?, 1, ?, ?)
ON CONFLICT DO UPDATE SET count = count + 1, last = max(last, excluded.last)
"""
_COUNT = """
INSERT INTO wishes VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = max(count, excluded.count), last = max(last, excluded.last)
"""
_BOUND = """
DELETE FROM wishes WHERE (target, kind, id, who) IN (
    SELECT target, kind, id, who FROM wishes {where} ORDER BY last DESC, id LIMIT -1 OFFSET {most}
)
"""
_SELECT = """
SELECT w.target, w.kind, w.id, who, count, first, last, verdict, outcome FROM wishes w
LEFT JOIN verdicts USING (target, kind, id) WHERE ? IS NULL OR w.target = ? ORDER BY last DESC, who
"""
_JUDGE = "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?)"
_FORGET = """
DELETE FROM verdicts WHERE (target, kind, id) NOT IN (SELECT target, kind, id FROM wishes)
"""


class Missed(NamedTuple):
    """How often a log tells of a repo that was asked for in vain, and when last in ISO 8601."""

    repo: Repo
    requests: int
    last: str


class Wishes:
    """Safe for many threads and processes. StoreError where the file cannot be used.

    `reading`: nothing is written.
    """

    def __init__(self, folder: Path, *, reading: bool = False) -> None:
        self._file = Database(folder / FILE, _VERSION, _TABLES, reading=reading, counts=True)

    def note(self, target: str, repo: Repo, who: str, now: str) -> None:
        """Somebody has asked for a repo at `now`, ISO 8601 in UTC."""

        def noted(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute(_ASK, (target, repo.kind.value, repo.id, who, now, now))
                _bound(connection, who)

        self._file.tell(noted)

    def count(self, target: str, missed: Iterable[Missed]) -> None:
        """What a log tells of: it may be read again and again, so that the larger count stands, and never their sum."""

        def counted(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                for one in missed:
                    row = (target, one.repo.kind.value, one.repo.id, TRAFFIC, one.requests, one.last, one.last)
                    connection.execute(_COUNT, row)
                _bound(connection, TRAFFIC)

        self._file.tell(counted)

    def judge(self, target: str, repo: Repo, verdict: str, outcome: str) -> None:
        """Keep what the rules of licences say of a repo that somebody wants."""
        row = (target, repo.kind.value, repo.id, verdict, outcome)
        self._file.tell(lambda connection: connection.execute(_JUDGE, row))

    def all(self, target: str | None = None) -> tuple[RepoWish, ...]:
        """All wishes, or those of a target."""
        return self._file.ask(lambda connection: tuple(_read(connection, target)))

    def close_wish(self, target: str, repo: Repo) -> int:
        """Forget what was asked for, since it was granted. Returns how many had asked."""
        where = (target, repo.kind.value, repo.id)

        def closed(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                gone = connection.execute("DELETE FROM wishes WHERE target = ? AND kind = ? AND id = ?", where).rowcount
                connection.execute(_FORGET)
            return int(gone)

        return self._file.ask(closed)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


def _bound(connection: sqlite3.Connection, who: str) -> None:
    connection.execute(_BOUND.format(where="WHERE who = ?", most=MOST_OF_ONE), (who,))
    connection.execute(_BOUND.format(where="", most=MOST))
    if connection.execute("SELECT count(*) FROM verdicts").fetchone()[0] > MOST:
        connection.execute(_FORGET)


def _read(connection: sqlite3.Connection, target: str | None) -> list[RepoWish]:
    rows: defaultdict[tuple[str, Repo], list[tuple[str, int, str, str, str, str]]] = defaultdict(list)
    for of, kind, name, who, count, first, last, verdict, outcome in connection.execute(_SELECT, (target, target)):
        rows[of, Repo(Kind(kind), name)].append((who, count, first, last, verdict or "", outcome or ""))
    return [
        RepoWish(
            of,
            repo,
            sum(row[1] for row in found),
            min(row[2] for row in found),
            max(row[3] for row in found),
            tuple(row[0] for row in found),
            found[0][4],
            found[0][5],
        )
        for (of, repo), found in rows.items()
    ]
