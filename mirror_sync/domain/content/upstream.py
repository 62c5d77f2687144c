"""What an upstream says about a repo at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.policy.terms import Terms
from mirror_sync.domain.repo import Repo


@dataclass(frozen=True, slots=True)
class Fallback:
    """Another endpoint than the first of its upstream gave an answer.

    `silent`: the first could not be asked; otherwise it said that it has no such thing.
    """

    endpoint: str
    silent: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """A revision of a repo, resolved to a commit, with the terms that hold there.

    `queried` is the repo that the upstream was asked for, `canonical` what it calls that now: another where it has
    renamed it. `described` is what the mirror will answer as the repo's info: the Hub's `/api/{kind}s/{id}` without
    volatile counters, siblings, `sha` and Xet hashes. `fallback` is None where the first endpoint answered. `remark` is
    what a report should say of the commit, in one line.
    `provenance` is the digest of the root under which another mirror publishes the commit; None for what is no mirror.
    `rank`: by what an upstream ranks it, and the figure; empty where it was not asked for that.
    """

    queried: Repo
    canonical: Repo
    commit: CommitId
    terms: Terms
    described: Mapping[str, Any] = field(default_factory=dict)
    fallback: Fallback | None = field(default=None, compare=False)
    remark: str = field(default="", compare=False)
    provenance: Sha256 | None = field(default=None, compare=False)
    rank: str = field(default="", compare=False)

    @property
    def renamed(self) -> bool:
        """Whether it goes by another id than it was asked for by."""
        return self.canonical != self.queried


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why a ranking has fewer repos than its limit: none of the others of the first `seen` fits it.

    `left`: there are more, which were not looked at.
    """

    seen: int
    left: bool


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A repo that a search found, and why it is not taken."""

    repo: Repo
    why: str


Found = Resolved | Repo | Shortfall | PassedOver
"""What a search brings. A bare repo is listed, and its entry cannot be read, or was not read."""


@dataclass(frozen=True, slots=True)
class Heads:
    """What lists of an owner's repos told of some of them at `main`, and how many calls that took.

    `found` have no `described`: they are enough to see that nothing has moved, and not to publish what has.
    """

    found: tuple[Resolved, ...] = ()
    calls: int = 0


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What is left of one window: calls `remaining` of `quota`, and `resets_in` seconds until all are there again."""

    remaining: int
    quota: int
    resets_in: float


@dataclass(frozen=True, slots=True)
class Commit:
    """An entry of a repo's history; `date` is ISO 8601 in UTC with milliseconds, as the Hub writes it."""

    id: CommitId
    title: str
    date: str
    message: str = ""
    authors: tuple[str, ...] = ()

    def encode(self) -> dict[str, Any]:
        """The Hub's shape: an item of `GET /api/{kind}s/{id}/commits/{rev}`."""
        return {
            "id": self.id,
            "title": self.title,
            "message": self.message,
            "date": self.date,
            "authors": [{"user": author} for author in self.authors],
        }

    @property
    def as_last(self) -> dict[str, str]:
        """The Hub's `lastCommit` object of a tree entry."""
        return {"id": self.id, "title": self.title, "date": self.date}
