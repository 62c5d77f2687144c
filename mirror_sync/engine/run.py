"""Runs jobs: every repo of every job once, one failing never stopping the others, and a report at the end."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TypeVar

from mirror_sync.domain.cost import LOOK, Calls, UpstreamCost, least_wait, publishing
from mirror_sync.domain.events import RepoFinished, ReposListed, RunFinished, RunStarted
from mirror_sync.domain.job import Job
from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.domain.report import PlanReport, RepoOutcome, RepoPlan, RepoReport, RunReport
from mirror_sync.engine.absence import Absences, Proof
from mirror_sync.engine.decide import Decider, Sides
from mirror_sync.engine.decision import Change, Settled, remarks
from mirror_sync.engine.faults import settle
from mirror_sync.engine.freight import Freight
from mirror_sync.engine.gather import DENIED, Task, Unlisted, gather
from mirror_sync.engine.glance import Glance
from mirror_sync.engine.lanes import Lanes
from mirror_sync.engine.site import Site
from mirror_sync.engine.stopping import running, work_for
from mirror_sync.engine.sync import Bench, report_of, sync_repo, with_lag
from mirror_sync.engine.transfer import Transfer
from mirror_sync.engine.vanished import Presence
from mirror_sync.errors import Interrupted

REPOS_AT_ONCE = 4  # of a job; each may hold one listing in memory
PARTS_AT_ONCE = 8  # ranges of large files, over all files of a job

Result = TypeVar("Result", RepoReport, RepoPlan)


def sync_jobs(site: Site, jobs: Sequence[Job], all_jobs: Sequence[Job]) -> RunReport:
    """Bring the repos of `jobs` up to date, one job after the other. Raises nothing that a repo caused."""
    run, started = uuid.uuid4().hex[:12], site.now()
    partial = any(job.only is not None for job in jobs)
    site.tell(RunStarted(run, tuple(job.name for job in jobs), started, partial))
    repos: list[RepoReport] = []
    done: list[str] = []
    times: dict[str, tuple[str, str]] = {}
    left = jobs_left = 0
    ended = False
    try:
        for job in jobs:
            jobs_left += site.stop.is_set()
            began = site.now()
            with running(site.stop):
                undone = _sync_job(site, run, job, all_jobs, repos)
            times[job.name] = (began, site.now())
            left += undone
            if not undone and not site.stop.is_set():
                done.append(job.name)
        ended = True
    finally:  # a run that began has an end, for everybody who watches
        interrupted = site.stop.is_set() or left > 0 or not ended
        report = RunReport(run, started, site.now(), tuple(repos), interrupted, left, jobs_left, tuple(done), times)
        site.tell(RunFinished(report))
    return report


def plan_jobs(site: Site, jobs: Sequence[Job], all_jobs: Sequence[Job]) -> PlanReport:
    """What a sync would do; writes nothing to the target. Raises nothing that a repo caused."""
    run = uuid.uuid4().hex[:12]
    plans: list[RepoPlan] = []
    freights: dict[str, Freight] = {}
    for job in jobs:
        if site.stop.is_set():
            break
        freight = freights.setdefault(job.target, Freight(site.targets[job.target]))
        _plan_job(site, run, job, all_jobs, plans, freight)
    targets = tuple(freight.told() for freight in freights.values())
    return PlanReport(tuple(plans), site.stop.is_set(), tuple(_costs(site, jobs, plans)), targets)


def _costs(site: Site, jobs: Sequence[Job], plans: Sequence[RepoPlan]) -> Iterator[UpstreamCost]:
    """By upstream, in the order of jobs; what is left of each budget is as its last answer said."""
    upstreams = {job.name: job.upstream for job in jobs}
    for name in dict.fromkeys(name for name in upstreams.values() if name in site.sources):
        mine = [plan for plan in plans if upstreams[plan.job] == name]
        calls = Calls(sum(plan.api_calls for plan in mine), sum(plan.resolver_calls for plan in mine))
        yield UpstreamCost(name, calls.api, calls.resolvers, least_wait(calls, site.sources[name].budget()))


@contextmanager
def open_bench(site: Site, run: str, job: Job, all_jobs: Sequence[Job]) -> Iterator[Bench]:
    """Two pools, since a file waits for its parts: one pool for both could fill up with files that wait."""
    target, source = site.targets[job.target], site.source(job)
    with (
        target.flights.at_work(),
        ThreadPoolExecutor(PARTS_AT_ONCE, "part", work_for, (site.stop,)) as parts,
        Lanes(job.workers, "file", partial(work_for, site.stop)) as files,
    ):
        transfer, proof = Transfer(site, target, parts), Proof(source)
        seen = Glance(target, site.clock), Presence(site, target)
        yield Bench(run, site, source, target, all_jobs, transfer, files.short, files.long, proof, *seen)


def _sync_job(site: Site, run: str, job: Job, all_jobs: Sequence[Job], repos: list[RepoReport]) -> int:
    """Adds what became of every repo to `repos`; returns how many are left undone because of a stop."""

    def work(item: Task | Unlisted) -> RepoReport:
        site.go_on()
        report = report_of(item, item.found) if isinstance(item, Unlisted) else with_lag(site, sync_repo(bench, item))
        site.tell(RepoFinished(run, report))
        return report

    try:
        with _crew_at_work(site) as at_once, open_bench(site, run, job, all_jobs) as bench:
            items = _gather(site, run, job, all_jobs)
            bench.glance.over({item.repo for item in items if isinstance(item, Task)})
            return _for_each(site.stop, items, work, repos, at_once)
    except Exception as error:  # what stops one job must not stop the others
        for item in _all_of(site, run, job, error):
            repos.append(report_of(item, item.found))
            site.tell(RepoFinished(run, repos[-1]))
        return 0


@contextmanager
def _crew_at_work(site: Site) -> Iterator[int]:
    """Yields how many repos of a job are worked on at once. Raises ClusterError when there is nobody to do it."""
    with nullcontext() if site.crew is None else site.crew.at_work(site):
        yield REPOS_AT_ONCE if site.crew is None else site.crew.at_once


def _plan_job(site: Site, run: str, job: Job, all_jobs: Sequence[Job], plans: list[RepoPlan], freight: Freight) -> None:
    def work(item: Task | Unlisted) -> RepoPlan:
        site.go_on()
        if isinstance(item, Unlisted):
            return _plan_of(item, item.found)
        found = _decide(site, run, decider, item)
        return _plan_of(item, found, freight.take(item, found))

    try:
        source, target = site.source(job), site.targets[job.target]
        absences = Absences(target, all_jobs, Proof(source), site.clock)
        with ThreadPoolExecutor(job.workers, "document") as documents:
            glance, presence = Glance(target, site.clock), Presence(site, target)
            items = list(gather(site, run, job, all_jobs))
            decider = Decider(Sides(source, target, all_jobs, site.go_on, glance, presence), absences, documents.map)
            glance.over({item.repo for item in items if isinstance(item, Task)})
            _for_each(site.stop, items, work, plans)
    except Exception as error:  # as above
        plans += [_plan_of(item, item.found) for item in _all_of(site, run, job, error)]


def _gather(site: Site, run: str, job: Job, all_jobs: Sequence[Job]) -> list[Task | Unlisted]:
    if site.stop.is_set():
        return []
    items = [item for item in gather(site, run, job, all_jobs) if not _is_denial(item)]
    site.tell(ReposListed(run, job.name, len(items)))
    return items


def _is_denial(item: Task | Unlisted) -> bool:
    """A wish of the operator: no gap of the mirror, which a report of a run would be of."""
    return isinstance(item, Unlisted) and item.found.code == DENIED


def _for_each(
    stop: threading.Event,
    items: Sequence[Task | Unlisted],
    work: Callable[[Task | Unlisted], Result],
    results: list[Result],
    at_once: int = REPOS_AT_ONCE,
) -> int:
    """Adds the results, in the order of finishing; returns how many were left undone because of a stop.

    What was interrupted in its midst has a result, and is left all the same.
    """
    left = 0
    with ThreadPoolExecutor(at_once, "repo", work_for, (stop,)) as repos:
        for done in as_completed([repos.submit(work, item) for item in items]):
            try:
                results.append(done.result())
                left += results[-1].outcome is RepoOutcome.INTERRUPTED
            except Interrupted:
                left += 1  # the stop may be another's: our own ends the rest by itself
    return left


def _all_of(site: Site, run: str, job: Job, error: Exception) -> list[Unlisted]:
    """A job that failed as a whole."""
    revisions = ", ".join(job.revisions)
    return [Unlisted(job, pattern, revisions, settle(site, run, job, pattern, error)) for pattern in job.asked]


def _decide(site: Site, run: str, decider: Decider, task: Task) -> Settled | Change:
    try:
        task, refs = decider.named(task)
        seen = decider.look(task, refs)
        return seen if isinstance(seen, Settled) else decider.compare(task, seen)
    except Interrupted:
        raise
    except Exception as error:  # whatever stops one repo must not stop the others
        return settle(site, run, task.job, task.repo, error)


def _plan_of(item: Task | Unlisted, found: Settled | Change, fetch: Collection[RemoteFile] = ()) -> RepoPlan:
    """`fetch` is what comes for this repo, and for none that was planned before."""
    look = Calls() if isinstance(item, Unlisted) or item.resolved is not None else LOOK
    if isinstance(found, Settled):
        look = Calls() if isinstance(item, Task) and item.head is not None else look
        return RepoPlan(*item.named, found.outcome, found.commit, found.reason, found.code, api_calls=look.api)
    calls = look
    if found.root is None:
        calls += publishing(found.files, (file.size for file in fetch))
    size = sum(file.size for file in fetch)
    return RepoPlan(
        *item.named,
        outcome=RepoOutcome.PUBLISHED,
        commit=found.resolved.commit,
        reason=remarks(found.resolved),
        fetch_files=len(fetch),
        fetch_bytes=size,
        reuse_files=found.files - len(fetch),
        reuse_bytes=found.size - size,
        remove_files=len(found.plan.delete),
        remove_bytes=found.plan.delete_bytes,
        api_calls=calls.api,
        resolver_calls=calls.resolvers,
    )
