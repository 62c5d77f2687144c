"""What the mirror has ever published, and whether it may miss any of it now."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.shelf import Shelf
from tests.chaos.tally import GONE, LOST, MIXED
from tests.chaos.truth import RepoName, Truth

FRONTS_LOOK = 3.0
"""Seconds after which a front must have seen what is published; it remembers names for one."""


@dataclass(frozen=True)
class Kept:
    """A world's retention: so many snapshots of each repo stay, and all that are younger than so many days."""

    snapshots: int
    days: int


KEPT = (Kept(1, 0), Kept(3, 0), Kept(1, 1))
"""By worlds: little, so that prunes have work; more; and all that a world can publish, which is younger than a day."""


@dataclass(frozen=True)
class Since:
    """When something was first seen: the round, and monotonic seconds."""

    round: int
    moment: float


@dataclass(frozen=True)
class Published:
    """A repo's refs.json: the names with their commits, and the commits with the digests of their roots."""

    names: Mapping[str, str]
    roots: Mapping[str, str]
    gone: Mapping[str, Any] | None = None
    """What the mirror remembers of a repo that its upstream no longer gives."""


@dataclass
class Season:
    """What the present round allows. `raced`: two machines write, so that what one of them has just published may be
    dropped by the other, until the next run puts it back. `pruned`: what no name points to may go.
    """

    number: int = 0
    raced: bool = False
    pruned: bool = False
    alone: bool = False
    """One run alone fetches: a name's commit is then never older than the one before."""

    @property
    def quiet(self) -> bool:
        """Whether nothing that was published may go."""
        return not (self.raced or self.pruned)


@dataclass
class Ledger:
    """Remembers everything that was ever readable, and says what is missing. Safe for many threads."""

    shelf: Shelf
    truth: Truth
    say: Callable[[str, str], None]
    """Takes a kind of finding, and what was seen."""
    refused: Collection[RepoName] = ()
    """Repos that the upstream has ever refused."""
    season: Season = field(default_factory=Season)
    kept: Kept = KEPT[0]
    raced: int = 0
    """Commits and names that a race of two machines dropped in the round that published them."""
    _commits: dict[RepoName, dict[str, Since]] = field(default_factory=dict)
    _names: dict[RepoName, dict[str, Since]] = field(default_factory=dict)
    _mains: dict[RepoName, str] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def look(self, repo: RepoName) -> Published:
        """Read a repo's refs.json and compare it with all that was there before. Raises Unreadable.

        Reading and comparing are one step, so that no older answer is compared with a newer one.
        """
        with self._lock:
            now = self._read(repo)
            self._compare(repo, "commit", self._commits.setdefault(repo, {}), set(now.roots), now)
            self._compare(repo, "name", self._names.setdefault(repo, {}), set(now.names), now)
            self._check_names(repo, now)
            self._check_main(repo, now)
            if now.gone is not None and repo not in self.refused:
                self.say(GONE, f"{repo.in_jobs}: noted as gone ({now.gone}), and upstream had it all the time")
            return now

    def settled(self, repo: RepoName, name: str) -> bool:
        """Whether a front must know a name or commit: fronts have looked since, and nothing may go now.

        A repo that the upstream has closed a front gives to nobody, until the mirror has learnt that it is open again.
        """
        if repo in self.refused:
            return False
        with self._lock:
            since = {**self._commits.get(repo, {}), **self._names.get(repo, {})}.get(name)
            return since is not None and since.moment < time.monotonic() - FRONTS_LOOK and self.season.quiet

    def _read(self, repo: RepoName) -> Published:
        body = self.shelf.get(repo.refs_key)
        if body is None:
            return Published({}, {})
        document = json.loads(body)
        groups = ("branches", "tags", "converts", "pullRequests")
        names = {ref["name"]: ref["targetCommit"] for group in groups for ref in document[group]}
        return Published(names, document["snapshots"], document.get("absent"))

    def _compare(self, repo: RepoName, what: str, known: dict[str, Since], there: set[str], now: Published) -> None:
        for missing in sorted(known.keys() - there):
            since = known.pop(missing)
            if self.season.raced and since.round == self.season.number:
                self.raced += 1
            elif not self._let_go(what, now):
                self.say(
                    LOST, f"{repo.in_jobs}: {what} {missing}, published in round {since.round}, is not in refs.json"
                )
        for new in there - known.keys():
            known[new] = Since(self.season.number, time.monotonic())

    def _let_go(self, what: str, now: Published) -> bool:
        """Retention may take a commit that no name points to, once it is old enough; names stay.

        Nothing in a world is a day old.
        """
        old = self.kept.days == 0 and len(now.roots) >= self.kept.snapshots
        return self.season.pruned and what == "commit" and old

    def _check_main(self, repo: RepoName, now: Published) -> None:
        """Main goes back to an older commit only when upstream has moved it there."""
        before, here = self._mains.get(repo), now.names.get("main")
        if here is None:
            return
        self._mains[repo] = here
        if before is None or not self.season.alone or not self.truth.is_ancestor(here, before):
            return
        if here not in self.truth.after(repo, "main", before, 0.0):
            self.say(MIXED, f"{repo.in_jobs}: main went from {before} back to {here}, and upstream's did not")

    def _check_names(self, repo: RepoName, now: Published) -> None:
        for name, commit in now.names.items():
            if commit not in now.roots:
                self.say(MIXED, f"{repo.in_jobs}: {name} points to {commit}, of which there is no snapshot")
            elif commit not in self.truth.ever(repo, name):
                self.say(MIXED, f"{repo.in_jobs}: {name} points to {commit}, where it never pointed upstream")
