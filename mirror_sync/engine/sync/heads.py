"""What has moved among many repos that a job spells out, in fewer calls than one for each."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mirror_sync.domain.content.refs import DEFAULT_BRANCH
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.engine.faults import tell_crash
from mirror_sync.engine.stopping import work_for
from mirror_sync.engine.sync.hints import Hints

_AT_ONCE = 4  # lists
_ADVANCE = 4  # calls of a job that lists may cost beyond those that they have saved


_FRESH = 600.0  # seconds for which a later job of a run goes by a list that an earlier one has read


class ListedBefore:
    """What lists told of repos that later jobs of the same run spell out: an owner's list is read once for all of them.

    Safe for many threads. What has been taken is forgotten.
    """

    def __init__(self, jobs: Sequence[Job], monotonic: Callable[[], float]) -> None:
        self._now, self._lock = monotonic, threading.Lock()
        self._later: dict[tuple[str, Kind, str], set[Repo]] = defaultdict(set)
        self._told: dict[tuple[str, Repo], tuple[float, Resolved]] = {}
        for job in jobs[1:]:
            if asks_lists(job):
                for pattern in job.asked:
                    if not pattern.is_glob:
                        self._later[job.reads, pattern.kind, pattern.owner].add(pattern.repo)

    def take(self, upstream: str, repos: Collection[Repo]) -> dict[Repo, Resolved]:
        """What was told of some repos not long ago."""
        with self._lock:
            told = {repo: self._told.pop((upstream, repo)) for repo in repos if (upstream, repo) in self._told}
            since = self._now() - _FRESH
            return {repo: head for repo, (at, head) in told.items() if at >= since}

    def beyond(self, upstream: str, repos: Collection[Repo]) -> set[Repo]:
        """Repos of the same owner that later jobs may ask for: each once."""
        first = next(iter(repos))
        with self._lock:
            return self._later.pop((upstream, first.kind, first.owner), set()) - set(repos)

    def keep(self, upstream: str, heads: Iterable[Resolved]) -> None:
        """Remember what was told of repos that nobody has asked for yet."""
        with self._lock:
            now = self._now()
            self._told.update(((upstream, head.queried), (now, head)) for head in heads)


def asks_lists(job: Job) -> bool:
    """What a run was asked for by name is asked for by itself: somebody knows that it has moved."""
    return DEFAULT_BRANCH in job.revisions and job.only is None


def heads_of(
    hints: Hints, repos: Iterable[Repo], upstream: str = "", before: ListedBefore | None = None
) -> dict[Repo, Resolved]:
    """Those that lists tell of, as far as lists are believed; asking for each of the others says how it stands.

    All calls together are at most four more than one for each repo, however large the owners are. Raises nothing that
    the upstream caused. `before`: what lists of this `upstream` told earlier in the run, and may tell for later jobs.
    """
    owners: dict[tuple[Kind, str], set[Repo]] = defaultdict(set)
    for repo in repos:
        if repo.owner:
            owners[repo.kind, repo.owner].add(repo)
    crowds = sorted((wanted for wanted in owners.values() if len(wanted) > 1), key=len, reverse=True)
    account = _Account(hints, upstream, before)
    with ThreadPoolExecutor(_AT_ONCE, "list", work_for, (hints.context.stop,)) as lists:
        return {repo: head for found in lists.map(account.heads, crowds) for repo, head in found.items()}


def _owner(repos: Collection[Repo]) -> str:
    return next(f"{repo.kind}:{repo.owner}" for repo in repos)


class _Account:
    """Lists may lose a few calls, and what other lists have saved. Safe for many threads."""

    def __init__(self, hints: Hints, upstream: str, before: ListedBefore | None) -> None:
        self._hints, self._upstream, self._before = hints, upstream, before
        self._saved = _ADVANCE
        self._lock = threading.Lock()

    def heads(self, repos: Collection[Repo]) -> Mapping[Repo, Resolved]:
        context = self._hints.context
        listed = {} if self._before is None else self._before.take(self._upstream, repos)
        asks = len(repos) - len(listed) > 1
        if asks and not self._book(-1):  # the most that a list can lose
            return {}
        try:
            context.go_on()
            calls, more = self._ask([repo for repo in repos if repo not in listed]) if asks else (1, {})
            listed |= {repo: head for repo, head in more.items() if repo in repos}
            believed = self._hints.believed(_owner(repos), listed)
        except Exception as error:  # a refusal is not worth a word: each repo is asked for by itself
            tell_crash(context, self._hints.run, next(iter(repos)), error)
            return {}
        others = len(more) - sum(repo in repos for repo in more)  # which cost later jobs no call
        self._book(1 + others + sum(head is listed[repo] for repo, head in believed.items()) - calls)
        return believed

    def _ask(self, repos: Collection[Repo]) -> tuple[int, dict[Repo, Resolved]]:
        """One list, for later jobs too: how many calls it took, and what it told."""
        beyond = set() if self._before is None else self._before.beyond(self._upstream, repos)
        found = self._hints.source.heads([*repos, *beyond])
        if self._before is not None:
            self._before.keep(self._upstream, (head for head in found.found if head.queried in beyond))
        return found.calls, {head.queried: head for head in found.found}

    def _book(self, calls: int) -> bool:
        with self._lock:
            if self._saved + calls < 0:
                return False
            self._saved += calls
            return True
