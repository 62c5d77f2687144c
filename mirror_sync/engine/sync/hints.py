"""A list is a hint: at each run some of what it tells is asked for by itself, and one that lags is believed no further.

A list may be kept before the upstream, by a proxy or a CDN, for longer than anybody can tell: where it names the very
commit that is published, nothing else would ever ask.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mirror_sync.domain.content.refs import DEFAULT_BRANCH
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.outcome.events import ListLags
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.errors import Interrupted, StoreError
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.source import Catalogue

RUNS = 16  # within which each repo of a list has been asked for by itself
_PROBES = 4  # of them are asked for first, to see whether the list lags


@dataclass(frozen=True, slots=True)
class Hints:
    """Judges the lists of one run of a job.

    `read_cache` remembers whose turn it was last; without, turns begin anywhere.
    """

    context: RunContext
    run: str
    job: str
    source: Catalogue
    read_cache: ReadCache

    def believed(self, what: str, listed: Mapping[Repo, Resolved]) -> dict[Repo, Resolved]:
        """Of what a list of `what` told, what to go by. Whoever is missing is to be asked for by itself.

        Raises Interrupted, and nothing that the upstream caused.
        """
        if not listed:
            return {}
        due = self._due(what, listed)
        told: dict[Repo, Resolved] = {}
        for repo in due[:_PROBES]:
            answer = self._ask(repo)
            if answer is None:
                break
            told[repo] = answer
            if answer.commit != listed[repo].commit:
                self.context.tell(ListLags(self.run, self.job, repo, answer.commit, len(listed)))
                return told
        return {repo: head for repo, head in listed.items() if repo not in due} | told

    def _due(self, what: str, listed: Mapping[Repo, Resolved]) -> Sequence[Repo]:
        """Those whose turn it is: after so many runs it was everybody's, whatever else is listed then."""
        repos = sorted(listed)
        name = f"turn/{self.job}/{what}"
        last = self._recall(name) or repos[zlib.crc32(self.run.encode()) % len(repos)].id
        start = bisect_right([repo.id for repo in repos], last)
        due = [*repos[start:], *repos[:start]][: -(-len(repos) // RUNS)]
        with suppress(StoreError):
            self.read_cache.remember(name, "", due[-1].id.encode())
        return due

    def _recall(self, name: str) -> str:
        with suppress(StoreError, UnicodeDecodeError):
            return (self.read_cache.recall(name, "") or b"").decode()
        return ""

    def _ask(self, repo: Repo) -> Resolved | None:
        self.context.go_on()
        try:
            return self.source.resolve(repo, DEFAULT_BRANCH)
        except Interrupted:
            raise
        except Exception:  # its own task says what it is, as for every other repo
            return None
