"""What a repo's owner decides without a commit: licence, gate, visibility."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

Kind = Literal["model", "dataset", "space", "kernel"]
Gated = Literal[False, "auto", "manual"]
EPOCH = datetime(2026, 1, 1, 8, tzinfo=UTC)
"""When the first repo of a stand-in is created; each commit comes a minute after the one before."""


class Changes(TypedDict, total=False):
    """The settings of a repo that a test may give; see `Settings`."""

    license: str | list[str] | None
    card: Mapping[str, Any]
    private: bool
    gated: Gated
    disabled: bool
    tags: Iterable[str]
    license_tags: Iterable[str] | None
    downloads: int
    likes: int
    trending: int
    created: datetime
    last_modified: datetime | None


@dataclass(frozen=True)
class Settings:
    """What a repo's owner can change without a commit."""

    card: Mapping[str, Any] = field(default_factory=dict)
    private: bool = False
    gated: Gated = False
    disabled: bool = False
    tags: tuple[str, ...] = ()
    license_tags: tuple[str, ...] | None = None
    """Replaces the tags the Hub computes from the card's licence, to make the two disagree."""
    downloads: int = 0
    likes: int = 0
    trending: int = 0
    created: datetime = EPOCH
    last_modified: datetime | None = None
    """Replaces the date of the newest commit."""

    def changed(self, changes: Changes) -> Settings:
        """Return these settings with ``changes``; ``license=None`` takes the licence away."""
        wanted: dict[str, Any] = dict(changes)
        card = dict(wanted.get("card", self.card))
        if "license" in wanted:
            named = wanted.pop("license")
            card.pop("license", None)
            card |= {} if named is None else {"license": named}
        for name in ("tags", "license_tags"):
            if wanted.get(name) is not None:
                wanted[name] = tuple(wanted[name])
        return replace(self, **(wanted | {"card": card}))
