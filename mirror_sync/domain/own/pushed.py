"""What is said of a model that somebody pushed: who, why, its metrics, fields of its card, and what it was made of.

It stands as `pushed` in the info of its commit, and each part of it also as a tag, so that lists find it:

    "pushed": {"by": "...", "message": "...", "metrics": {"accuracy": 0.91}, "card": {"team": "nlp"},
               "made_from": {"repo": "org/name", "commit": "<40 hex>", "root": "<SHA-256>", "licenses": ["mit"],
                             "tool": "...", "version": "..."}}

`made_from` stands only where a transform has made it.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Self

from mirror_sync.domain.bounds import short
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Repo

PUSHED = "pushed"  # the key of an info document
METRIC = "metric:"  # begins a tag
MOST = 64  # metrics, and fields of a card
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@/-]{0,63}")
_LONGEST, _MESSAGE = 200, 2000  # characters of a value, and of a message
_AS_TAGS = ("language", "tags", "datasets", "base_model", "library_name", "pipeline_tag", "license")
_PREFIXED = {"datasets": "dataset:", "base_model": "base_model:", "license": "license:"}

Card = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """The published commit that something was made of, the digest of its root, its licences, and by which tool."""

    repo: str
    commit: str
    root: str
    licenses: tuple[str, ...]
    tool: str
    version: str

    def encode(self) -> dict[str, Any]:
        """As `made_from` has it."""
        names = ("repo", "commit", "root", "tool", "version")
        return {**{name: getattr(self, name) for name in names}, "licenses": list(self.licenses)}

    @classmethod
    def decode(cls, said: object) -> Self | None:
        """None for what is none."""
        if not isinstance(said, dict):
            return None
        words = [said.get(name) for name in ("repo", "commit", "root", "tool", "version")]
        licenses = said.get("licenses")
        if not all(isinstance(word, str) for word in words) or not isinstance(licenses, list):
            return None
        repo, commit, root, tool, version = (short(str(word), _LONGEST) for word in words)
        return cls(repo, commit, root, tuple(short(str(one), _LONGEST) for one in licenses[:MOST]), tool, version)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What is said of a commit that was pushed; see the module."""

    by: str = ""
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    card: Card = field(default_factory=dict)
    made_from: MadeFrom | None = None

    def encode(self) -> dict[str, Any]:
        """As `pushed` has it."""
        card = {name: value if isinstance(value, str) else list(value) for name, value in self.card.items()}
        said = {"by": self.by, "message": self.message, "metrics": dict(self.metrics), "card": card}
        return said if self.made_from is None else {**said, "made_from": self.made_from.encode()}

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self | None:
        """What an info document says of it, whatever stands there; None where nothing does."""
        said = described.get(PUSHED)
        if not isinstance(said, dict):
            return None
        metrics, card = (said[name] if isinstance(said.get(name), dict) else {} for name in ("metrics", "card"))
        figures = {str(name): value for name, value in metrics.items() if is_figure(value)}
        return cls(
            short(str(said.get("by") or ""), _LONGEST),
            short(str(said.get("message") or ""), _MESSAGE),
            {name: float(figures[name]) for name in sorted(figures)[:MOST] if _KEY.fullmatch(name)},
            {name: _value(card[name]) for name in sorted(map(str, card))[:MOST] if _KEY.fullmatch(name)},
            MadeFrom.decode(said.get("made_from")),
        )

    @property
    def words(self) -> tuple[str, ...]:
        """Its metrics and fields of its card, each as one word to search for: `accuracy=0.91`, `team=nlp`."""
        figures = (f"{name}={spoken_figure(value)}" for name, value in self.metrics.items())
        fields = (f"{name}={one}" for name, value in self.card.items() for one in _several(value))
        made = () if self.made_from is None else (f"made_from={self.made_from.repo}",)
        return (*figures, *fields, *made)

    def described(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """An info document with this in it: fields of the card win over those of the README's own metadata."""
        own = {name: value if isinstance(value, str) else list(value) for name, value in self.card.items()}
        told = before.get("cardData")
        card: dict[str, Any] = {**(told if isinstance(told, dict) else {}), **own}
        ranked = {name: card[name] for name in ("pipeline_tag", "library_name") if isinstance(card.get(name), str)}
        return {**before, "cardData": card, **ranked, "tags": self._tags(card), PUSHED: self.encode()}

    def _tags(self, card: Mapping[str, Any]) -> list[str]:
        """As the Hub makes them of a card; metrics, and the other fields that were given, beside them."""
        of_card = [
            f"{_PREFIXED.get(name, '')}{one}"
            for name in _AS_TAGS
            for one in _several(_value(card.get(name, ())))
            if one
        ]
        metrics = [f"{METRIC}{name}={spoken_figure(value)}" for name, value in self.metrics.items()]
        others = [
            f"{name}:{one}" for name, value in self.card.items() if name not in _AS_TAGS for one in _several(value)
        ]
        made = [] if self.made_from is None else [f"made_from:{self.made_from.repo}"]
        return list(dict.fromkeys([*of_card, *metrics, *others, *made]))[: 4 * MOST]


def commit_after(repo: Repo, before: Sequence[CommitId], tree: str, pushed: Pushed) -> CommitId:
    """The id of a commit whose files have this digest, on top of what was pushed before, newest first.

    The newest one again where that has the same files, metrics and fields: who said so, and why, makes no commit.
    """
    said = json.dumps([str(repo), tree, pushed.encode() | {"by": "", "message": ""}], sort_keys=True)
    if before and _id(before[1] if len(before) > 1 else "", said) == before[0]:
        return before[0]
    return _id(before[0] if before else "", said)


def metric_of(text: str) -> tuple[str, float]:
    """`accuracy=0.91`. ValueError with what would be right."""
    name, value = _pair(text, "accuracy=0.91")
    try:
        figure = float(value)
    except ValueError:
        figure = math.nan
    if not math.isfinite(figure):
        raise ValueError(f"{text[:80]!r} is no metric: {value[:40]!r} is no number; write it like accuracy=0.91")
    return name, figure


def field_of(text: str) -> tuple[str, str]:
    """`license=mit`. ValueError with what would be right."""
    name, value = _pair(text, "license=mit")
    if not value.isprintable() or len(value) > _LONGEST:
        raise ValueError(f"{name} is no text of one line and of {_LONGEST} characters at the most")
    return name, value


def message_of(text: str) -> str:
    """ValueError for one that nobody would read."""
    if len(text) > _MESSAGE or not text.replace("\n", " ").isprintable():
        raise ValueError(f"the message is no text of {_MESSAGE} characters at the most")
    return text.strip()


def card_of(fields: Sequence[tuple[str, str]]) -> Card:
    """Fields in their order; one that is given twice is a list. ValueError for too many."""
    if len(fields) > MOST:
        raise ValueError(f"{len(fields)} fields of a card are more than {MOST}")
    found: dict[str, str | tuple[str, ...]] = {}
    for name, value in fields:
        found[name] = (*_several(found[name]), value) if name in found else value
    return found


def is_figure(value: object) -> bool:
    """Whether it is a number that can be written down again."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def spoken_figure(value: float) -> str:
    """As short as it can be said: 3, 0.91."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)  # noqa: PLR2004


def _pair(text: str, like: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or _KEY.fullmatch(name) is None or not value.strip():
        raise ValueError(f"{text[:80]!r} says nothing of anything; write it like {like}")
    return name, value.strip()


def _value(said: Any) -> str | tuple[str, ...]:
    if isinstance(said, list | tuple):
        return tuple(short(str(one), _LONGEST) for one in said[:MOST] if isinstance(one, str | int | float))
    return short(str(said), _LONGEST) if isinstance(said, str | int | float) else ()


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _id(before: str, said: str) -> CommitId:
    return CommitId(sha256(f"{before}\n{said}".encode()).hexdigest()[:40])
