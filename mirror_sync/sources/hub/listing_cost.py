"""How far to read a list of an owner's repos, when asking for each wanted one is the other way."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from mirror_sync.domain.content.upstream import Heads, Resolved
from mirror_sync.domain.repo import Repo
from mirror_sync.sources.hub.hub_json import UNREADABLE, head_of

_PATIENCE = 16  # repos that were found, for each page more that may find next to nothing


class ListingCost:
    """Counts what pages of a list tell of `repos`, none of which was asked for yet.

    A page that finds at least two saves calls; one that does not is idle. The first idle page ends the reading, unless
    much was found before: so there are never more calls, those for the repos that are not found included, than one for
    each repo and one.
    """

    def __init__(self, repos: Collection[Repo]) -> None:
        self._missing = {repo.id: repo for repo in repos}
        self._found: list[Resolved] = []
        self._calls = self._idle = 0

    @property
    def goes_on(self) -> bool:
        """Whether another page is worth its call."""
        return len(self._missing) > 1 and self._idle * _PATIENCE <= len(self._found)

    @property
    def lost(self) -> bool:
        """Whether it had been better not to begin."""
        return self._calls > len(self._found)

    @property
    def heads(self) -> Heads:
        return Heads(tuple(self._found), self._calls)

    def count(self, page: Iterable[Any]) -> None:
        """Take in the items of a page; one that cannot be read is not found."""
        before = len(self._found)
        for item in page:
            repo = self._missing.get(item["id"]) if isinstance(item, dict) else None
            try:
                if repo is not None:
                    self._found.append(head_of(repo, item))
                    del self._missing[repo.id]
            except UNREADABLE:
                continue
        self._calls += 1
        self._idle += len(self._found) - before < 2  # noqa: PLR2004  one call saves nothing when it replaces one
