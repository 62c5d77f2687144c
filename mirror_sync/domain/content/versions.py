"""Names that a mirror gives to commits, and what a repo remembers of who moved them: channels, tags, a pinned main.

The names themselves stand in refs.json, under `channels`. Two attachments of refs.json stand beside them:

    versions  {"moves": [{"at": "2026-01-01T06:00:00Z", "name": "stable", "from": "<commit>", "to": "<commit>",
              "by": "alice@host", "why": "...", "verb": "promote"}]}   the newest KEPT of them, oldest first
    pinned    one such move, `name` main: while it is there no sync moves main

`from` null: the name is new; `to` null: it was taken away. See docs/design/decisions/0053-names-of-ours.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mirror_sync.domain.bounds import short
from mirror_sync.domain.content.document_format import bounded, exactly, few, in_brief, word
from mirror_sync.domain.content.ref_log import LogEntry
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, HEAD, MAIN, Refs, name_fault
from mirror_sync.domain.content.snapshot import encode_json
from mirror_sync.domain.digest import CommitId
from mirror_sync.errors import DocumentError

CHANNELS = ("candidate", "stable", "deprecated")
KEPT = 500  # moves of a repo that its history keeps
LONGEST_WHY = 500  # characters
_WORD, _READ = 300, 10_000  # characters of any other text; moves that are read, so that a later program may keep more
_KEYS = ("at", "name", "from", "to", "by", "why", "verb")
_NEVER = ("latest", DEFAULT_BRANCH, "master", HEAD.lower())


@dataclass(frozen=True, slots=True)
class NameMove:
    """Who moved a name, when (ISO 8601 in UTC), why, and by which verb; `name` is main, or one of ours."""

    at: str
    name: str
    before: CommitId | None
    after: CommitId | None
    by: str
    why: str
    verb: str

    def encode(self) -> dict[str, Any]:
        """As documents and `channel --json` have it."""
        said = {"at": self.at, "name": self.name, "from": self.before, "to": self.after}
        return said | {"by": short(self.by, _WORD), "why": short(self.why, LONGEST_WHY), "verb": self.verb}

    @classmethod
    def decode(cls, document: Any) -> NameMove:
        """TypeError, KeyError, ValueError for anything else."""
        item = exactly(document, _KEYS)
        if datetime.fromisoformat(bounded(item["at"], _WORD)).tzinfo is None:
            raise ValueError(f"a time without a zone: {item['at']!r}")
        before, after = (None if item[key] is None else CommitId(item[key]) for key in ("from", "to"))
        words = bounded(item["by"], _WORD), bounded(item["why"], LONGEST_WHY), bounded(item["verb"], _WORD)
        return cls(item["at"], word(item["name"]), before, after, *words)

    @property
    def said(self) -> str:
        """By whom, when and why, in one line."""
        return f"by {self.by} on {self.at[:10]}: {self.why}" if self.why else f"by {self.by} on {self.at[:10]}"


def encode_history(moves: Sequence[NameMove]) -> bytes:
    """The newest of these moves as a document."""
    return encode_json({"moves": [move.encode() for move in moves[-KEPT:]]}).encode()


def decode_history(body: bytes) -> tuple[NameMove, ...]:
    """DocumentError for what is no history."""
    try:
        found = few(exactly(json.loads(body.decode()), ("moves",))["moves"], _READ)
        return tuple(NameMove.decode(one) for one in found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"not a history of names: {in_brief(error)}") from error


def encode_pin(move: NameMove) -> bytes:
    """A pin as a document."""
    return encode_json(move.encode()).encode()


def decode_pin(body: bytes) -> NameMove:
    """DocumentError for what is no pin."""
    try:
        return NameMove.decode(json.loads(body.decode()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"not a pin: {in_brief(error)}") from error


def tag_fault(name: str) -> str:
    """Why no tag of ours may be called so; empty where it may."""
    if name.lower() in _NEVER:
        return "that name says which version is meant at no time: write a version, a date or a commit, as v1.2"
    if name in CHANNELS:
        return f"that is a channel; write mirror-sync promote REPO FROM {name}"
    if CommitId.matches(name):
        return "a whole commit id is a name of that commit already"
    try:
        word(name)
    except (ValueError, TypeError):
        return "a tag is 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', the first a letter or a digit"
    return name_fault(name)


def rivals_of(refs: Refs, name: str) -> tuple[str, ...]:
    """The upstream's branches and tags, by their full names, that are mirrored and called as a name of ours."""
    return tuple(ref.ref for ref in refs.refs if name in (ref.shortest, ref.ref))


def earlier_mains(refs: Refs) -> tuple[CommitId, ...]:
    """The commits that main stood for before its present one and that are published, the newest first.

    As far as the log of refs.json remembers. Where main went back, what it left is none of them: two steps back are
    one and one.
    """
    return tuple(commit for commit in reversed(_way_of_main(refs.log)[:-1]) if commit in refs.snapshots)


def _way_of_main(log: Sequence[LogEntry]) -> list[CommitId]:
    way: list[CommitId] = []
    for entry in log:
        if entry.ref != MAIN or entry.before == entry.after:
            continue
        if entry.before is not None and not way:
            way.append(entry.before)
        if entry.after in way:
            del way[way.index(entry.after) + 1 :]
        elif entry.after is not None:
            way.append(entry.after)
    return way
