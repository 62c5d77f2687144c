"""What has moved among many repos that a job spells out, in fewer calls than one for each."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.upstream import Resolved
from mirror_sync.engine.faults import tell_crash
from mirror_sync.engine.site import Site
from mirror_sync.engine.stopping import work_for
from mirror_sync.ports import Source

_AT_ONCE = 4  # lists
_ADVANCE = 4  # calls of a job that lists may cost beyond those that they have saved


def heads_of(site: Site, run: str, source: Source, repos: Iterable[Repo]) -> dict[Repo, Resolved]:
    """Those that lists tell of, by repo; asking for each of the others says what is the matter with it.

    All calls together are at most four more than one for each repo, however large the owners are. Raises nothing that
    the upstream caused.
    """
    owners: dict[tuple[Kind, str], set[Repo]] = defaultdict(set)
    for repo in repos:
        if repo.owner:
            owners[repo.kind, repo.owner].add(repo)
    crowds = sorted((wanted for wanted in owners.values() if len(wanted) > 1), key=len, reverse=True)
    account = _Account(site, run, source)
    with ThreadPoolExecutor(_AT_ONCE, "list", work_for, (site.stop,)) as lists:
        return {head.asked: head for found in lists.map(account.heads, crowds) for head in found}


class _Account:
    """Lists may lose a few calls, and what other lists have saved. Safe for many threads."""

    def __init__(self, site: Site, run: str, source: Source) -> None:
        self._site, self._run, self._source = site, run, source
        self._saved = _ADVANCE
        self._lock = threading.Lock()

    def heads(self, repos: Collection[Repo]) -> Collection[Resolved]:
        if not self._book(-1):  # the most that a list can lose
            return ()
        try:
            self._site.go_on()
            found = self._source.heads(repos)
        except Exception as error:  # a refusal is not worth a word: each repo is asked for by itself
            tell_crash(self._site, self._run, next(iter(repos)), error)
            return ()
        self._book(1 + len(found.found) - found.calls)
        return found.found

    def _book(self, calls: int) -> bool:
        with self._lock:
            if self._saved + calls < 0:
                return False
            self._saved += calls
            return True
