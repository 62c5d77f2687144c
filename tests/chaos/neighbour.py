"""A second endpoint of the upstream, as mirrors of the Hub near by are: partial and stale.

It lacks one repo, and a file of another; what it holds is what the Hub had when it last looked, which it seldom does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from tests.chaos.truth import RepoName, Truth
from tests.chaos.upstream import COPIES, MANY, REPOS, Upstream
from tests.standin import Hub, Request, faults

_CATCHES_UP = 0.3
_NOT_FOUND: Mapping[str, str] = {"X-Error-Code": "EntryNotFound"}


@dataclass
class Neighbour:
    """Copies an upstream by dice. `told`: where its names have pointed, by time."""

    hub: Hub
    upstream: Upstream
    dice: Random
    told: Truth = field(default_factory=Truth)

    def look(self) -> None:
        """Once a round: of each repo it catches up with the Hub, or does not."""
        for repo in REPOS:
            if repo != COPIES and (repo not in self.told.repos() or self.dice.random() < _CATCHES_UP):
                self._copy(repo)
        self.hub.faults.clear()
        self._lack_a_file(MANY)

    def _copy(self, repo: RepoName) -> None:
        theirs = self.upstream.repo(repo)
        mine = self.hub.model(repo.id) if repo.kind == "models" else self.hub.dataset(repo.id)
        with self.upstream.hub.world.lock, self.hub.world.lock:
            mine.commits, mine.refs, mine.settings = dict(theirs.commits), dict(theirs.refs), theirs.settings
            self.told.learn(repo, theirs.head(), {})
            for name, commit in self.upstream.truth.names(repo).items():
                self.told.move(repo, name, commit)

    def _lack_a_file(self, repo: RepoName) -> None:
        path = self.dice.choice(sorted(self.upstream.truth.files(repo, self.upstream.repo(repo).head()) or ["none"]))

        def asked(request: Request) -> bool:
            return "/resolve/" in request.path and request.path.endswith(path)

        self.hub.faults.add(faults.status(404, _NOT_FOUND, b'{"error":"Entry not found"}'), asked, origin="hub")
