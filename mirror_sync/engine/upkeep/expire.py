"""Which snapshots a target need not keep, by the retention of the jobs that name their repos; and lets them go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial

from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.rewritten import time_of
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.retention import Retention, most_generous
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.engine.context import Target
from mirror_sync.engine.published import Mapper, change_refs, published_at, rewritten_roots
from mirror_sync.engine.sync.selecting import Concerned
from mirror_sync.engine.upkeep.marks import AT_ONCE, batches
from mirror_sync.engine.upkeep.published_repos import PublishedRepos
from mirror_sync.engine.walk import Place, Walk, pass_over
from mirror_sync.ports.store import read_document

Letting = Callable[[Repo, Mapping[CommitId, Sha256]], AbstractContextManager[object]]
_NO_LETTING: Letting = lambda repo, roots: nullcontext()  # noqa: E731
Times = Mapping[Sha256, float | None]  # of publication, by the digest of a root


class Expiry:
    """Applies retention to the repos of one target; `now` in seconds by its clock.

    The time of publication of a snapshot is that of its root document: it is put last, and again when the same snapshot
    is published again. It is known on every machine and after any loss of local state. `keep_alive` is called again and
    again, by the thread that asks, and may raise Interrupted.
    """

    def __init__(
        self,
        target: Target,
        published: PublishedRepos,
        jobs: Sequence[Job],
        now: float,
        mapper: Mapper = map,
        keep_alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._target, self._published, self._now = target, published, now
        self._concerned = Concerned(target, jobs)
        self._mapper, self._keep_alive = mapper, keep_alive
        self._at = iso_utc(datetime.fromtimestamp(now, UTC))

    def expired(self) -> Iterator[tuple[Repo, tuple[CommitId, ...]]]:
        """Repos that have something to lose; one that no job names keeps everything. Raises as PublishedRepos does."""
        for repos in batches(self._published.repos(), AT_ONCE):
            self._keep_alive()
            read = dict(zip(repos, self._mapper(self._published.refs, repos), strict=True))
            some = {repo: refs for repo, refs in read.items() if self._may_expire(repo, refs)}
            times = self._times(tuple(some.values()))
            for repo, refs in some.items():
                commits = self._expired_of(repo, refs, times)
                if commits:
                    yield repo, commits

    def let_go(self, repo: Repo, letting: Letting = _NO_LETTING) -> tuple[CommitId, ...]:
        """Un-publish what has expired of a repo, with one PUT; decided again under its lock.

        To know the ages may take long, and so may `letting`, which is told the repo and the roots that go, by their
        commits; they go inside of it. Other machines, and whoever moves a name, do not ask for this lock: refs.json is
        read once more, and what somebody has published or named meanwhile stays.
        """
        with self._target.lock(repo):
            refs, before = self._published.refs(repo), None
            while refs != before:
                commits = self._expired_of(repo, refs, self._times((refs,)))
                if not commits:
                    break
                self._keep_alive()
                refs, before = self._published.refs(repo), refs
            else:
                with letting(repo, {commit: refs.snapshots[commit] for commit in commits}):
                    let_go = partial(self._without_idle, commits, refs)
                    now = change_refs(self._target, repo, let_go)
                commits = () if now is None else tuple(one for one in commits if one not in now.snapshots)
        return commits

    def _without_idle(self, commits: Sequence[CommitId], before: Refs, now: Refs) -> Refs | None:
        """Without those that are published as they were, and that no name has been led to since; None for none."""
        idle = [one for one in commits if now.snapshots.get(one) == before.snapshots[one] and one not in now.named]
        return now.without(idle).logged(now, self._at, "prune") if idle else None

    def digests(self, repo: Repo, commits: Sequence[CommitId]) -> frozenset[Sha256]:
        """All that these snapshots name, as far as it can be read."""
        walk = Walk(partial(read_document, self._target.store), pass_over, self._mapper)
        refs = self._published.refs(repo)
        named: set[Sha256] = set()
        for commit in commits:
            root = refs.root_of(commit)
            for node in () if root is None else walk.snapshot(Place(repo, commit), root):
                self._keep_alive()
                named.add(node.digest)
        return frozenset(named)

    def _may_expire(self, repo: Repo, refs: Refs) -> bool:
        """Whether the times of its snapshots are worth asking for."""
        jobs = self._concerned(repo)
        if not jobs or len(refs.snapshots) <= _retention(jobs).snapshots:
            return False
        return not refs.named.issuperset(refs.snapshots)

    def _times(self, several: Sequence[Refs]) -> Times:
        """Of all snapshots. Raises StoreError, and DocumentError where a time that was kept cannot be read."""
        found: dict[Sha256, float | None] = {}
        for some in batches((root for refs in several for root in refs.snapshots.values()), AT_ONCE):
            self._keep_alive()
            found |= zip(some, self._mapper(partial(published_at, self._target.store), some), strict=True)
        for refs in several:
            for root, rewritten in rewritten_roots(self._target.store, refs).items():
                modified = found.get(root)
                if modified is not None:
                    found[root] = time_of(modified, rewritten)
        return found

    def _expired_of(self, repo: Repo, refs: Refs, times: Times) -> tuple[CommitId, ...]:
        jobs = self._concerned(repo)
        if not jobs:
            return ()
        asked = ((commit, times.get(root)) for commit, root in refs.snapshots.items())
        published = {commit: when for commit, when in asked if when is not None}
        pinned = {revision for job in jobs for revision in job.revisions}
        return _retention(jobs).expired(refs, published, pinned, self._now)


def _retention(jobs: Iterable[Job]) -> Retention:
    return most_generous(job.retention for job in jobs)
