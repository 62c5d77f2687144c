"""What has moved among many repos that a job spells out, in fewer calls than one for each."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.engine.faults import tell_crash
from mirror_sync.engine.stopping import work_for
from mirror_sync.engine.sync.hints import Hints

_AT_ONCE = 4  # lists
_ADVANCE = 4  # calls of a job that lists may cost beyond those that they have saved


def heads_of(hints: Hints, repos: Iterable[Repo]) -> dict[Repo, Resolved]:
    """Those that lists tell of, as far as lists are believed; asking for each of the others says how it stands.

    All calls together are at most four more than one for each repo, however large the owners are. Raises nothing that
    the upstream caused.
    """
    owners: dict[tuple[Kind, str], set[Repo]] = defaultdict(set)
    for repo in repos:
        if repo.owner:
            owners[repo.kind, repo.owner].add(repo)
    crowds = sorted((wanted for wanted in owners.values() if len(wanted) > 1), key=len, reverse=True)
    account = _Account(hints)
    with ThreadPoolExecutor(_AT_ONCE, "list", work_for, (hints.context.stop,)) as lists:
        return {repo: head for found in lists.map(account.heads, crowds) for repo, head in found.items()}


def _owner(repos: Collection[Repo]) -> str:
    return next(f"{repo.kind}:{repo.owner}" for repo in repos)


class _Account:
    """Lists may lose a few calls, and what other lists have saved. Safe for many threads."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._saved = _ADVANCE
        self._lock = threading.Lock()

    def heads(self, repos: Collection[Repo]) -> Mapping[Repo, Resolved]:
        context = self._hints.context
        if not self._book(-1):  # the most that a list can lose
            return {}
        try:
            context.go_on()
            found = self._hints.source.heads(repos)
            listed = {head.asked: head for head in found.found}
            believed = self._hints.believed(_owner(repos), listed)
        except Exception as error:  # a refusal is not worth a word: each repo is asked for by itself
            tell_crash(context, self._hints.run, next(iter(repos)), error)
            return {}
        self._book(1 + sum(head is listed[repo] for repo, head in believed.items()) - found.calls)
        return believed

    def _book(self, calls: int) -> bool:
        with self._lock:
            if self._saved + calls < 0:
                return False
            self._saved += calls
            return True
