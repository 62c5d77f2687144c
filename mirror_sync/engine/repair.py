"""Brings from upstream again what verify found wrong."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job import Job, owners
from mirror_sync.domain.manifest import MirroredFile, RemoteFile
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.report import RepoOutcome
from mirror_sync.engine.decision import Seen
from mirror_sync.engine.gather import Task
from mirror_sync.engine.present import expect_kept
from mirror_sync.engine.published import read_refs, read_root
from mirror_sync.engine.reading import Tally
from mirror_sync.engine.run import open_bench
from mirror_sync.engine.site import Site, Target
from mirror_sync.engine.sync import Bench, bring_up_to_date
from mirror_sync.engine.transfer import Origin
from mirror_sync.engine.walk import Place
from mirror_sync.errors import (
    Disabled,
    DocumentError,
    FileNotFound,
    Gated,
    Interrupted,
    KeyMissing,
    MirrorError,
    NotFoundOrPrivate,
    NotSeen,
    RevisionNotFound,
)

_NO_LONGER = (NotFoundOrPrivate, Gated, Disabled, RevisionNotFound, FileNotFound)


class Repair:
    """Repairs blobs and snapshots, through the first job that names the repo; use it as a context manager."""

    def __init__(self, site: Site, jobs: Sequence[Job]) -> None:
        self._site, self._jobs = site, jobs
        self._run = uuid.uuid4().hex[:12]
        self._benches: dict[str, Bench] = {}
        self._open = ExitStack()
        self._tried: dict[tuple[str, Repo, CommitId], str] = {}

    def __enter__(self) -> Repair:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def file(self, target: Target, place: Place, file: MirroredFile) -> str:
        """Fetch a file's content again, at the commit and path that the snapshot names; why not, or empty when done."""
        promised = file.sha256 if file.pointer_size is not None else None
        remote = RemoteFile(file.path, file.size, file.oid, promised, file.pointer_size)
        try:
            bench = self._bench(target, place.repo)
            digest = bench.transfer.bring(Origin(self._run, bench.source, place.repo, place.commit), remote).digest
            expect_kept(target.store, {digest: file.size})
        except MirrorError as error:
            return _why(error)
        return "" if digest == file.sha256 else f"the upstream has other bytes there now, of digest {digest}"

    def snapshot(self, target: Target, place: Place) -> str:
        """Make the documents of a snapshot again from the upstream's listing; why not, or empty when done. Once."""
        key = (target.name, place.repo, place.commit)
        if key not in self._tried:
            try:
                self._tried[key] = self._publish_again(target, place)
            except MirrorError as error:
                self._tried[key] = _why(error)
        return self._tried[key]

    def _publish_again(self, target: Target, place: Place) -> str:
        bench = self._bench(target, place.repo)
        (job, *_) = owners(self._jobs, target.name, place.repo)
        task = Task(_as_selected(job, target, place), place.repo, place.commit)
        resolved = bench.source.resolve(place.repo, place.commit)
        with target.lock(place.repo):
            seen = Seen(resolved, read_refs(target.store, place.repo))
            report = bring_up_to_date(bench, task, seen, Tally(), anew=True)
        return "" if report.outcome is RepoOutcome.PUBLISHED else report.reason

    def _bench(self, target: Target, repo: Repo) -> Bench:
        jobs = owners(self._jobs, target.name, repo)
        if not jobs:
            raise NotFoundOrPrivate(f"no job names {repo} any more, so that there is no upstream to ask")
        job = jobs[0]
        if job.name not in self._benches:
            self._benches[job.name] = self._open.enter_context(open_bench(self._site, self._run, job, self._jobs))
        return self._benches[job.name]


def _as_selected(job: Job, target: Target, place: Place) -> Job:
    """The job with the selection of the published snapshot, where that can still be read."""
    digest = read_refs(target.store, place.repo).root_of(place.commit)
    try:
        return job if digest is None else replace(job, selection=read_root(target.store, digest).selection)
    except (KeyMissing, DocumentError):
        return job


def _why(error: MirrorError) -> str:
    if isinstance(error, Interrupted):
        raise error
    if isinstance(error, _NO_LONGER) and not isinstance(error, NotSeen):
        return f"the upstream no longer has it: {error}"
    return f"not repaired: {error}"
