"""Brings one revision of one repo up to date: decide, transfer, publish."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from dataclasses import dataclass, field, replace

from mirror_sync.domain.digest import CommitId, Promise, Sha256
from mirror_sync.domain.events import RepoPlanned
from mirror_sync.domain.job import Job
from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.domain.plan import carry_out
from mirror_sync.domain.refs import Ref
from mirror_sync.domain.report import RepoOutcome, RepoReport
from mirror_sync.engine.decide import Change, Decider, Settled, failure, renamed
from mirror_sync.engine.flights import Flights
from mirror_sync.engine.gather import DEFAULT_BRANCH, Task
from mirror_sync.engine.index import git_oids
from mirror_sync.engine.publish import Snapshot, publish_documents, publish_refs
from mirror_sync.engine.site import Site, Target
from mirror_sync.engine.transfer import Origin, Transfer
from mirror_sync.errors import Interrupted, MirrorError, RevisionNotFound
from mirror_sync.ports import Source


@dataclass(frozen=True, slots=True)
class Bench:
    """What the repos of one job share in a run; `files` runs the files in flight, `jobs` are all configured ones."""

    run: str
    site: Site
    source: Source
    target: Target
    jobs: Sequence[Job]
    transfer: Transfer
    flights: Flights
    files: Executor


@dataclass(slots=True)
class Tally:
    """What one repo moved; counted by many threads."""

    fetched_files: int = 0
    fetched_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, file: RemoteFile) -> None:
        with self._lock:
            self.fetched_files += 1
            self.fetched_bytes += file.size


def sync_repo(bench: Bench, task: Task) -> RepoReport:
    """Carry out one task. Every failure becomes a report with its reason; only Interrupted leaves."""
    started = time.monotonic()
    tally = Tally()
    try:
        bench.site.go_on()
        report = _sync(bench, task, tally)
    except Interrupted:
        raise
    except MirrorError as error:
        report = report_of(task, failure(error))
    return replace(
        report,
        seconds=round(time.monotonic() - started, 3),
        fetched_files=tally.fetched_files,
        fetched_bytes=tally.fetched_bytes,
    )


def report_of(task: Task, settled: Settled) -> RepoReport:
    return RepoReport(
        job=task.job.name,
        kind=task.repo.kind,
        repo=task.repo.id,
        revision=task.revision,
        outcome=settled.outcome,
        commit=settled.commit,
        reason=settled.reason,
        code=settled.code,
        files=settled.files,
    )


def _sync(bench: Bench, task: Task, tally: Tally) -> RepoReport:
    decider = Decider(bench.source, bench.target, bench.jobs, bench.files.map)
    found = decider.look(task)
    if isinstance(found, Settled):
        return report_of(task, found)
    with bench.target.lock(task.repo):
        change = decider.compare(task, found)
        return report_of(task, change) if isinstance(change, Settled) else _carry_out(bench, task, change, tally)


def _carry_out(bench: Bench, task: Task, change: Change, tally: Tally) -> RepoReport:
    _announce(bench, task, change)
    ref = _ref(bench, task, change.resolved.commit)
    root = change.root or _bring_snapshot(bench, task, change, tally)
    bench.site.go_on()
    publish_refs(bench.target.store, task.repo, (change.resolved, root), ref)
    settled = Settled(RepoOutcome.PUBLISHED, change.resolved.commit, renamed(change.resolved), "", change.files)
    moved = change.plan.fetch_bytes + change.plan.reuse_bytes
    return replace(
        report_of(task, settled),
        reused_files=change.files - tally.fetched_files,
        reused_bytes=moved - tally.fetched_bytes,
    )


def _announce(bench: Bench, task: Task, change: Change) -> None:
    plan = change.plan
    bench.site.tell(
        RepoPlanned(
            run=bench.run,
            job=task.job.name,
            repo=task.repo,
            revision=task.revision,
            commit=change.resolved.commit,
            fetch_files=len(plan.fetch),
            fetch_bytes=plan.fetch_bytes,
            reuse_files=len(plan.reuse),
            reuse_bytes=plan.reuse_bytes,
            delete_files=len(plan.delete),
        )
    )


def _ref(bench: Bench, task: Task, commit: CommitId) -> Ref | None:
    """The upstream's own name for the revision; a commit asked for by its id needs none."""
    if CommitId.matches(task.revision):
        return None
    named = f"refs/heads/{DEFAULT_BRANCH}" if task.revision == DEFAULT_BRANCH else task.revision
    found = Ref.of_full_name(named, commit)
    if found is not None:
        return found
    for ref in bench.source.refs(task.repo):
        if ref.answers_to(task.revision):
            return replace(ref, target=commit)
    raise RevisionNotFound(f"{task.repo} has no branch or tag {task.revision}; name a full commit id to pin one")


def _bring_snapshot(bench: Bench, task: Task, change: Change, tally: Tally) -> Sha256:
    proved = change.present | _bring_files(bench, task, change, tally)
    manifest = carry_out(change.plan, change.base, proved)
    snapshot = Snapshot(
        resolved=change.resolved,
        manifest=manifest,
        history=bench.source.history(task.repo, change.resolved.commit),
        selection=task.job.selection,
        verdict=change.verdict,
    )
    root = publish_documents(bench.target.store, snapshot, change.known_documents, bench.files.map)
    bench.target.index.learn(git_oids(manifest))
    return root


def _bring_files(bench: Bench, task: Task, change: Change, tally: Tally) -> dict[Promise, Sha256]:
    """Fetch all that the plan says; the first failure stops the rest, since the snapshot cannot be published then."""
    origin = Origin(bench.run, bench.source, task.repo, change.resolved.commit)

    def bring(file: RemoteFile) -> Sha256:
        bench.site.go_on()
        digest, mine = bench.flights.share(file.promise, lambda: bench.transfer.bring(origin, file))
        if mine:
            tally.add(file)
        return digest

    flights = {file.promise: bench.files.submit(bring, file) for file in change.plan.fetch}
    try:
        _wait_for_all(list(flights.values()))
    finally:
        for flight in flights.values():
            flight.cancel()
        wait(flights.values())
    return {promise: flight.result() for promise, flight in flights.items()}


def _wait_for_all(flights: Sequence[Future[Sha256]]) -> None:
    done, _ = wait(flights, return_when=FIRST_EXCEPTION)
    for flight in done:
        flight.result()
