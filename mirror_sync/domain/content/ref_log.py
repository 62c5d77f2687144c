"""The log of a refs.json: what changed last in it, oldest first. A few lines beside the truth, not a record of all.

An entry: `{"at": "2026-01-01T06:00:00Z", "ref": "refs/heads/main", "from": "<commit>", "to": "<commit>", "by": "…"}`.
`ref` is null where a commit came or went that no name stands for, or was made anew: then `from` and `to` are the same.
`from` null: it was not there before; `to` null: it is not there any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mirror_sync.domain.bounds import short
from mirror_sync.domain.content.document_format import bounded, exactly, few
from mirror_sync.domain.digest import CommitId

KEPT, KEPT_BYTES = 16, 4096  # entries, and bytes of them, that are written: every front reads them with each refs.json
RECALLED = 4  # of these entries, that are kept longer than others while main is pinned
LOGGED_OURS = "channels/"  # begins a name that this mirror gives, in the log
_READ = 256  # entries that are read, so that a program that keeps more is no stranger
_REF, _BY, _AT = 300, 100, 40  # characters


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What became of one name, or of a commit without a name (`ref` None). `by` says which verb of whom did it."""

    at: str
    ref: str | None
    before: CommitId | None
    after: CommitId | None
    by: str

    def encode(self) -> dict[str, str | None]:
        """With what is too long cut: a log is read with all that it stands beside."""
        ref = None if self.ref is None else short(self.ref, _REF)
        return {"at": self.at, "ref": ref, "from": self.before, "to": self.after, "by": short(self.by, _BY)}

    @property
    def came_for_main(self) -> bool:
        """Whether a sync moved main, or brought a commit beside a pinned one."""
        return self.by.partition(" ")[0] == "sync" and self.ref in (None, "refs/heads/main")

    @classmethod
    def decode(cls, document: Any) -> LogEntry:
        """TypeError, KeyError, ValueError for anything else."""
        item = exactly(document, ("at", "ref", "from", "to", "by"))
        if datetime.fromisoformat(bounded(item["at"], _AT)).tzinfo is None:
            raise ValueError(f"a time without a zone: {item['at']!r}")
        ref = None if item["ref"] is None else bounded(item["ref"], _REF)
        return cls(item["at"], ref, _commit(item["from"]), _commit(item["to"]), bounded(item["by"], _BY))


def newest(entries: Sequence[LogEntry], *, recalled: bool = False) -> tuple[LogEntry, ...]:
    """As many of the last entries as are kept; with `recalled` the last RECALLED of what syncs brought for main, too.

    Then entries may be missing behind those.
    """
    if not recalled:
        return _within(entries[-KEPT:], KEPT_BYTES)
    whole = KEPT - RECALLED
    older = [entry for entry in entries[:-whole] if entry.came_for_main]
    first = _within(older[-RECALLED:], KEPT_BYTES // 2)
    return (*first, *_within(entries[-whole:], KEPT_BYTES - sum(map(_size, first))))


def _within(entries: Sequence[LogEntry], left: int) -> tuple[LogEntry, ...]:
    """The last entries that have no more than so many bytes."""
    kept: list[LogEntry] = []
    for entry in reversed(entries):
        left -= _size(entry)
        if left < 0:
            break
        kept.append(entry)
    return tuple(reversed(kept))


def _size(entry: LogEntry) -> int:
    return len(json.dumps(entry.encode(), ensure_ascii=True)) + 1


def read_log(document: Any) -> tuple[LogEntry, ...]:
    """TypeError, KeyError, ValueError for what is no log."""
    if not isinstance(document, list):
        raise TypeError(f"a list expected, got {type(document).__name__}")
    return tuple(map(LogEntry.decode, few(document, _READ)))


def write_log(entries: Iterable[LogEntry]) -> list[dict[str, str | None]]:
    """As it stands in a refs.json."""
    return [entry.encode() for entry in entries]


def _commit(value: Any) -> CommitId | None:
    return None if value is None else CommitId(value)
