"""What readers want that is not mirrored: a wish for a repo, and of whom it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mirror_sync.domain.repo import Repo

TRAFFIC = "traffic"  # in the place of who asked, where logs tell of it
MOST_NAMED = 20  # of those who asked, in a document


@dataclass(frozen=True, slots=True)
class RepoWish:
    """A repo of a target that was asked for in vain, `count` times by `askers`; who asked last comes first.

    An asker is `token NAME`, `role NAME`, `address HASH` or `traffic`. Times are ISO 8601 in UTC. `verdict` is what the
    rules of licences say of it in a line, empty where nobody knows; `outcome` is that in a word.
    """

    target: str
    repo: Repo
    count: int
    first: str
    last: str
    askers: tuple[str, ...] = ()
    verdict: str = ""
    outcome: str = ""

    def encode(self) -> dict[str, Any]:
        """An entry of `wishes` in the document of `wishes --json`."""
        return {
            "repo": str(self.repo),
            "target": self.target,
            "count": self.count,
            "first": self.first,
            "last": self.last,
            "askers": list(self.askers[:MOST_NAMED]),
            "askers_count": len(self.askers),
            "verdict": self.verdict,
            "outcome": self.outcome,
        }


@dataclass(frozen=True, slots=True)
class HowToAsk:
    """How people ask for what is not mirrored, as pages say it: a link, a sentence, a form of the front.

    `listed`: there is a page of what is wanted.
    """

    url: str = ""
    text: str = ""
    form: bool = False
    listed: bool = False

    @property
    def said(self) -> bool:
        """Whether pages say anything of it."""
        return bool(self.url or self.text or self.form)


UNSAID = HowToAsk()
"""Where jobs.yaml says nothing of it."""


@dataclass(frozen=True, slots=True)
class Wishlist:
    """Wishes, those first that are asked for by most."""

    wishes: tuple[RepoWish, ...]

    @classmethod
    def of(cls, wishes: Iterable[RepoWish]) -> Wishlist:
        """In the order in which a person reads them."""
        return cls(tuple(sorted(wishes, key=lambda one: (-len(one.askers), -one.count, str(one.repo), one.target))))

    def encode(self) -> dict[str, Any]:
        """The document of `wishes --json`."""
        return {"wishes": [one.encode() for one in self.wishes]}
