"""Runs jobs: every repo of every job once, one failing never stopping the others, and a report at the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

from mirror_sync.domain.events import RepoFinished, ReposListed, RunFinished, RunStarted
from mirror_sync.domain.job import Job
from mirror_sync.domain.report import PlanReport, RepoOutcome, RepoPlan, RepoReport, RunReport
from mirror_sync.engine.absence import Absences, Proof
from mirror_sync.engine.decide import Decider
from mirror_sync.engine.decision import Settled, failure
from mirror_sync.engine.flights import Flights
from mirror_sync.engine.gather import Task, Unlisted, gather
from mirror_sync.engine.memory import MemoryBudget
from mirror_sync.engine.published import Mirrored
from mirror_sync.engine.site import Site
from mirror_sync.engine.sync import Bench, report_of, sync_repo
from mirror_sync.engine.transfer import Transfer
from mirror_sync.errors import Interrupted, MirrorError

REPOS_AT_ONCE = 4  # of a job; each may hold one listing in memory
PARTS_AT_ONCE = 8  # ranges of large files, over all files of a job

Result = TypeVar("Result")


def sync_jobs(site: Site, jobs: Sequence[Job], all_jobs: Sequence[Job]) -> RunReport:
    """Bring the repos of `jobs` up to date, one job after the other. Raises nothing that a repo caused."""
    run, started = uuid.uuid4().hex[:12], site.now()
    site.tell(RunStarted(run, tuple(job.name for job in jobs), started))
    repos: list[RepoReport] = []
    left = jobs_left = 0
    for job in jobs:
        jobs_left += site.stop.is_set()
        with open_bench(site, run, job, all_jobs) as bench:
            done, skipped = _for_each(site, _gather(bench, job), _syncing(bench))
        repos += done
        left += skipped
    interrupted = site.stop.is_set()
    report = RunReport(run, started, site.now(), tuple(repos), interrupted, left, jobs_left)
    site.tell(RunFinished(report))
    return report


def plan_jobs(site: Site, jobs: Sequence[Job], all_jobs: Sequence[Job]) -> PlanReport:
    """What a sync would do; writes nothing to the target."""
    plans: list[RepoPlan] = []
    for job in jobs:
        if site.stop.is_set():
            break
        source, target = site.sources[job.upstream], site.targets[job.target]
        absences = Absences(target, all_jobs, Proof(source), site.clock)
        with ThreadPoolExecutor(job.workers, "document") as documents:
            decider = Decider(source, target, all_jobs, absences, documents.map)
            done, _ = _for_each(site, list(gather(job, source, Mirrored(target.store))), _planning(site, decider))
        plans += done
    return PlanReport(tuple(plans), interrupted=site.stop.is_set())


@contextmanager
def open_bench(site: Site, run: str, job: Job, all_jobs: Sequence[Job]) -> Iterator[Bench]:
    """Two pools, since a file waits for its parts: one pool for both could fill up with files that wait."""
    target = site.targets[job.target]
    with ThreadPoolExecutor(PARTS_AT_ONCE, "part") as parts, ThreadPoolExecutor(job.workers, "file") as files:
        transfer = Transfer(site, target, MemoryBudget(site.memory), parts)
        source = site.sources[job.upstream]
        yield Bench(run, site, source, target, all_jobs, transfer, Flights(), files, Proof(source))


def _gather(bench: Bench, job: Job) -> list[Task | Unlisted]:
    if bench.site.stop.is_set():
        return []
    items = list(gather(job, bench.source, Mirrored(bench.target.store)))
    bench.site.tell(ReposListed(bench.run, job.name, len(items)))
    return items


def _for_each(
    site: Site, items: Sequence[Task | Unlisted], work: Callable[[Task | Unlisted], Result]
) -> tuple[list[Result], int]:
    """The results, in the order of finishing, and how many were left undone because of a stop."""
    results: list[Result] = []
    with ThreadPoolExecutor(REPOS_AT_ONCE, "repo") as repos:
        for done in as_completed([repos.submit(work, item) for item in items]):
            try:
                results.append(done.result())
            except Interrupted:
                site.stop.set()
    return results, len(items) - len(results)


def _syncing(bench: Bench) -> Callable[[Task | Unlisted], RepoReport]:
    def work(item: Task | Unlisted) -> RepoReport:
        bench.site.go_on()
        report = _unlisted(item) if isinstance(item, Unlisted) else sync_repo(bench, item)
        bench.site.tell(RepoFinished(bench.run, report))
        return report

    return work


def _unlisted(item: Unlisted) -> RepoReport:
    return RepoReport(
        job=item.job.name,
        kind=item.pattern.kind,
        repo=item.pattern.glob,
        revision=item.revision,
        outcome=RepoOutcome.FAILED,
        reason=str(item.error),
        code=item.error.code,
    )


def _planning(site: Site, decider: Decider) -> Callable[[Task | Unlisted], RepoPlan]:
    def work(item: Task | Unlisted) -> RepoPlan:
        site.go_on()
        if isinstance(item, Unlisted):
            return _plan_of(_unlisted(item))
        try:
            seen = decider.look(item)
            found = seen if isinstance(seen, Settled) else decider.compare(item, seen)
        except Interrupted:
            raise
        except MirrorError as error:
            found = failure(error)
        if isinstance(found, Settled):
            return _plan_of(report_of(item, found))
        plan = found.plan
        return RepoPlan(
            job=item.job.name,
            kind=item.repo.kind,
            repo=item.repo.id,
            revision=item.revision,
            outcome=RepoOutcome.PUBLISHED,
            commit=found.resolved.commit,
            fetch_files=len(plan.fetch),
            fetch_bytes=plan.fetch_bytes,
            reuse_files=len(plan.reuse),
            reuse_bytes=plan.reuse_bytes,
            remove_files=len(plan.delete),
            remove_bytes=plan.delete_bytes,
        )

    return work


def _plan_of(report: RepoReport) -> RepoPlan:
    return RepoPlan(
        job=report.job,
        kind=report.kind,
        repo=report.repo,
        revision=report.revision,
        outcome=report.outcome,
        commit=report.commit,
        reason=report.reason,
        code=report.code,
    )
