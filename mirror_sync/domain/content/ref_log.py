"""The log of a refs.json: what changed last in it, oldest first. A few lines beside the truth, not a record of all.

An entry: `{"at": "2026-01-01T06:00:00Z", "ref": "refs/heads/main", "from": "<commit>", "to": "<commit>", "by": "…"}`.
`ref` is null where a commit came or went that no name stands for, or was made anew: then `from` and `to` are the same.
`from` null: it was not there before; `to` null: it is not there any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mirror_sync.domain.bounds import short
from mirror_sync.domain.content.document_format import bounded, exactly, few
from mirror_sync.domain.digest import CommitId

KEPT, KEPT_BYTES = 24, 6144  # entries, and bytes of them, that are written: every front reads them with each refs.json
MAINS = 8  # of these entries, the last about main: by them it is known where main was before
_BESIDE, _ELSEWHERE = 4, 2  # while main is pinned: of what syncs brought beside it, and for other names
RECALLED = MAINS + _BESIDE + _ELSEWHERE  # entries that may stay longer than others
_MAIN = "refs/heads/main"
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
    def moved_main(self) -> bool:
        """Whether main came to stand for another commit."""
        return self.ref == _MAIN and self.before != self.after

    @property
    def came(self) -> bool:
        """Whether a sync brought it, or a bundle."""
        return self.by.partition(" ")[0] in ("sync", "import")

    @classmethod
    def decode(cls, document: Any) -> LogEntry:
        """TypeError, KeyError, ValueError for anything else."""
        item = exactly(document, ("at", "ref", "from", "to", "by"))
        if datetime.fromisoformat(bounded(item["at"], _AT)).tzinfo is None:
            raise ValueError(f"a time without a zone: {item['at']!r}")
        ref = None if item["ref"] is None else bounded(item["ref"], _REF)
        return cls(item["at"], ref, _commit(item["from"]), _commit(item["to"]), bounded(item["by"], _BY))


def newest(entries: Sequence[LogEntry], *, pinned: bool = False) -> tuple[LogEntry, ...]:
    """As many of the last entries as are kept, and older ones that matter longer, between which others are missing.

    The last MAINS about main stay however many others follow: `rollback` and `prune` ask them. While main is `pinned`
    so do the last that syncs brought beside it, and for other names: one of them has the upstream's newest words.
    """
    recalled = _last(entries, MAINS, lambda one: one.moved_main)
    if pinned:
        recalled |= _last(entries, _BESIDE, lambda one: one.came and one.ref is None)
        recalled |= _last(entries, _ELSEWHERE, lambda one: one.came and one.ref not in (None, _MAIN))
    others = [number for number in range(len(entries)) if number not in recalled][len(recalled) - KEPT :]
    first = _within(entries, sorted(recalled), KEPT_BYTES * 2 // 3)
    rest = _within(entries, others, KEPT_BYTES - sum(_size(entries[number]) for number in first))
    return tuple(entries[number] for number in sorted((*first, *rest)))


def _last(entries: Sequence[LogEntry], most: int, wanted: Callable[[LogEntry], bool]) -> set[int]:
    return set([number for number, one in enumerate(entries) if wanted(one)][-most:])


def _within(entries: Sequence[LogEntry], numbers: Sequence[int], left: int) -> list[int]:
    """The last of these numbers whose entries have no more than so many bytes."""
    kept: list[int] = []
    for number in reversed(numbers):
        left -= _size(entries[number])
        if left < 0:
            break
        kept.append(number)
    return kept


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
