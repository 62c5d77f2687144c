"""Which snapshots a target need not keep, by the retention of the jobs that name their repos; and lets them go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job import Job, owners
from mirror_sync.domain.refs import Refs
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.retention import most_generous
from mirror_sync.engine.published import Mapper, mirrored_repos, published_at, put_refs, read_refs
from mirror_sync.engine.site import Target
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import DocumentError, KeyMissing, MirrorError
from mirror_sync.ports import read_document


class Expiry:
    """Applies retention to the repos of one target; `now` in seconds by its clock.

    The time of publication of a snapshot is that of its root document: it is put last, and again when the same snapshot
    is published again. It is known on every machine and after any loss of local state.
    """

    def __init__(self, target: Target, jobs: Sequence[Job], now: float, mapper: Mapper = map) -> None:
        self._target, self._jobs, self._now, self._mapper = target, jobs, now, mapper

    def expired(self) -> Iterator[tuple[Repo, tuple[CommitId, ...]]]:
        """Repos that have something to lose. A repo that no job names keeps everything."""
        for repo in mirrored_repos(self._target.store):
            commits = self._expired_of(repo, read_refs(self._target.store, repo))
            if commits:
                yield repo, commits

    def let_go(self, repo: Repo) -> tuple[CommitId, ...]:
        """Un-publish what has expired of a repo, with one PUT; decided again under its lock."""
        with self._target.lock(repo):
            refs = read_refs(self._target.store, repo)
            commits = self._expired_of(repo, refs)
            if commits:
                put_refs(self._target.store, repo, refs.without(commits))
        return commits

    def digests(self, repo: Repo, commits: Sequence[CommitId]) -> frozenset[Sha256]:
        """All that these snapshots name, as far as it can be read."""
        walk = Walk(partial(read_document, self._target.store), _pass_over, self._mapper)
        refs = read_refs(self._target.store, repo)
        named = ((commit, root) for commit in commits if (root := refs.root_of(commit)) is not None)
        return frozenset(node.digest for commit, root in named for node in walk.snapshot(Place(repo, commit), root))

    def _expired_of(self, repo: Repo, refs: Refs) -> tuple[CommitId, ...]:
        jobs = owners(self._jobs, self._target.name, repo)
        if not jobs or set(refs.snapshots) <= {ref.target for ref in refs.refs}:
            return ()
        times = ((commit, published_at(self._target.store, root)) for commit, root in refs.snapshots.items())
        published = {commit: when for commit, when in times if when is not None}
        pinned = {revision for job in jobs for revision in job.revisions}
        return most_generous(job.retention for job in jobs).expired(refs, published, pinned, self._now)


def _pass_over(_place: Place, _digest: Sha256, error: MirrorError) -> None:
    if not isinstance(error, KeyMissing | DocumentError):
        raise error
