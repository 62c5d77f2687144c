"""Runs jobs: every repo of every job once, one failing never stopping the others, and a report at the end."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mirror_sync.domain.formats.file_class import may_run
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.cost import CHECK, Calls, UpstreamCost, least_wait, publishing, scanning
from mirror_sync.domain.outcome.events import RepoFinished, ReposListed, RunFinished, RunStarted
from mirror_sync.domain.outcome.report import PlanReport, RepoOutcome, RepoPlan, RepoReport, RunReport
from mirror_sync.domain.work import DENIED, Task, TaskResult, Unlisted, remarks
from mirror_sync.engine.acts import decisions_recorded, hold_recorded, tokens_recorded
from mirror_sync.engine.beside_prune import find_withdrawn_lists, release_published
from mirror_sync.engine.context import REPOS_AT_ONCE, RunContext
from mirror_sync.engine.faults import to_outcome
from mirror_sync.engine.stages import Change
from mirror_sync.engine.stopping import running, work_for
from mirror_sync.engine.sync.decide import Decider
from mirror_sync.engine.sync.expand import gather
from mirror_sync.engine.sync.heads import ListedBefore
from mirror_sync.engine.sync.plan_totals import Freight
from mirror_sync.errors import Interrupted, StoreError

if TYPE_CHECKING:
    from mirror_sync.engine.sync.repo_sync import JobRun

_CODE_PATHS = 10  # of a repo that run code, which a plan names

Result = TypeVar("Result", RepoReport, RepoPlan)


def sync_jobs(context: RunContext, jobs: Sequence[Job], all_jobs: Sequence[Job]) -> RunReport:
    """Bring the repos of `jobs` up to date, one job after the other. Raises nothing that a repo caused."""
    run, started = uuid.uuid4().hex[:12], context.now()
    only_some = any(job.only is not None for job in jobs)
    context.tell(RunStarted(run, tuple(job.name for job in jobs), started, only_some))
    repos: list[RepoReport] = []
    done: list[str] = []
    times: dict[str, tuple[str, str]] = {}
    left = jobs_left = 0
    ended, before = False, ListedBefore(jobs, context.monotonic)
    try:
        for job in jobs:
            if context.stop.is_set():  # else it would connect to machines, and write that it began
                jobs_left += 1
                continue
            began = context.now()
            with running(context.stop):
                undone = _sync_job(context, run, job, all_jobs, repos, before)
            times[job.name] = (began, context.now())
            left += undone
            if not undone and not context.stop.is_set():
                done.append(job.name)
        ended = True
    finally:  # a run that began has an end, for everybody who watches
        interrupted = context.stop.is_set() or left > 0 or not ended
        report = RunReport(run, started, context.now(), tuple(repos), interrupted, left, jobs_left, tuple(done), times)
        context.tell(RunFinished(report))
    return report


def plan_jobs(context: RunContext, jobs: Sequence[Job], all_jobs: Sequence[Job]) -> PlanReport:
    """What a sync would do; writes nothing to the target. Raises nothing that a repo caused."""
    run = uuid.uuid4().hex[:12]
    plans: list[RepoPlan] = []
    freights: dict[str, Freight] = {}
    for job in jobs:
        if context.stop.is_set():
            break
        freight = freights.setdefault(job.target, Freight(context.targets[job.target]))
        _plan_job(context, run, job, all_jobs, plans, freight)
    targets = tuple(freight.total() for freight in freights.values())
    return PlanReport(tuple(plans), context.stop.is_set(), tuple(_costs(context, jobs, plans)), targets)


def _costs(context: RunContext, jobs: Sequence[Job], plans: Sequence[RepoPlan]) -> Iterator[UpstreamCost]:
    """By upstream, in the order of jobs; what is left of each budget is as its last answer said."""
    upstreams = {job.name: job.upstream for job in jobs}
    for name in dict.fromkeys(name for name in upstreams.values() if name in context.sources):
        mine = [plan for plan in plans if upstreams[plan.job] == name]
        calls = Calls(sum(plan.api_calls for plan in mine), sum(plan.resolver_calls for plan in mine))
        yield UpstreamCost(name, calls.api, calls.resolvers, least_wait(calls, context.sources[name].budget()))


@contextmanager
def open_job_run(context: RunContext, run: str, job: Job, all_jobs: Sequence[Job]) -> Iterator[JobRun]:
    """Two pools, since a file waits for its parts: one pool for both could fill up with files that wait."""
    from mirror_sync.engine.sync.repo_sync import JobRun
    from mirror_sync.engine.transfer.file_transfer import Transfer
    from mirror_sync.engine.transfer.lanes import Lanes
    from mirror_sync.engine.transfer.segment_pool import SegmentPool

    target, source = context.targets[job.target], context.source(job)
    with (
        target.single_flight.at_work(),
        SegmentPool(job.segments, partial(work_for, context.stop), context.monotonic) as segments,
        Lanes(job.workers, "file", partial(work_for, context.stop)) as files,
    ):
        transfer = Transfer(context, target, segments)
        decider = Decider.of(context, source, target, all_jobs, files.short.map)
        yield JobRun(run, context, decider, source, target, all_jobs, transfer, files.short, files.long)


def _sync_job(
    context: RunContext,
    run: str,
    job: Job,
    all_jobs: Sequence[Job],
    repos: list[RepoReport],
    before: ListedBefore,
) -> int:
    """Adds what became of every repo to `repos`; returns how many are left undone because of a stop."""
    from mirror_sync.engine.sync.repo_sync import report_of, sync_repo, with_lag  # what transfers: no plan needs it

    def work(item: Task | Unlisted) -> RepoReport:
        context.go_on()
        report = (
            report_of(item, item.result) if isinstance(item, Unlisted) else with_lag(context, sync_repo(job_run, item))
        )
        try:
            hold_recorded(context, context.targets[job.target], run, report)
            if report.outcome is RepoOutcome.UNCHANGED and (repo := report.one_repo) is not None:
                release_published(context.targets[job.target], repo)
        except StoreError as error:
            report = report_of(item, to_outcome(context, run, job, report.pattern, error))
        context.tell(RepoFinished(run, report))
        return report

    try:
        with _executor_at_work(context) as at_once, open_job_run(context, run, job, all_jobs) as job_run:
            find_withdrawn_lists(job_run.target)
            tokens_recorded(context, job_run.target, run)
            decisions_recorded(context, job_run.target, run, job)  # before anything is done by them
            items = _gather(context, run, job, all_jobs, before)
            job_run.decider.published_view.over({item.repo for item in items if isinstance(item, Task)})
            return _for_each(context.stop, items, work, repos, at_once)
    except Exception as error:  # what stops one job must not stop the others
        for item in _all_of(context, run, job, error):
            repos.append(report_of(item, item.result))
            context.tell(RepoFinished(run, repos[-1]))
        return 0


@contextmanager
def _executor_at_work(context: RunContext) -> Iterator[int]:
    """Yields how many repos of a job are worked on at once. Raises ClusterError when there is nobody to do it."""
    with nullcontext() if context.executor is None else context.executor.at_work(context):
        yield context.repos_at_once if context.executor is None else context.executor.at_once


def _plan_job(
    context: RunContext, run: str, job: Job, all_jobs: Sequence[Job], plans: list[RepoPlan], freight: Freight
) -> None:
    def work(item: Task | Unlisted) -> RepoPlan:
        context.go_on()
        if isinstance(item, Unlisted):
            return _plan_of(item, item.result)
        planned = _planned(context, run, decider, item)
        if isinstance(planned, TaskResult):
            return _plan_of(item, planned, freight.take(item, planned))
        with closing(planned.listing):
            return _plan_of(item, planned, freight.take(item, planned))

    try:
        source, target = context.source(job), context.targets[job.target]
        with ThreadPoolExecutor(job.workers, "document") as documents:
            decider = Decider.of(context, source, target, all_jobs, documents.map)
            items = list(gather(context, run, job, all_jobs))
            decider.published_view.over({item.repo for item in items if isinstance(item, Task)})
            _for_each(context.stop, items, work, plans)
    except Exception as error:  # as above
        plans += [_plan_of(item, item.result) for item in _all_of(context, run, job, error)]


def _gather(
    context: RunContext, run: str, job: Job, all_jobs: Sequence[Job], before: ListedBefore
) -> list[Task | Unlisted]:
    if context.stop.is_set():
        return []
    items = [item for item in gather(context, run, job, all_jobs, before) if not _is_denial(item)]
    context.tell(ReposListed(run, job.name, len(items)))
    return items


def _is_denial(item: Task | Unlisted) -> bool:
    """A wish of the operator: no gap of the mirror, which a report of a run would be of."""
    return isinstance(item, Unlisted) and item.result.code == DENIED


def _for_each(
    stop: threading.Event,
    items: Sequence[Task | Unlisted],
    work: Callable[[Task | Unlisted], Result],
    results: list[Result],
    at_once: int = REPOS_AT_ONCE,
) -> int:
    """Adds the results, in the order of finishing; returns how many were left undone because of a stop.

    What was interrupted in its midst has a result, and is left all the same. Each thread takes the next item when it is
    done with one: nothing is held of each of very many. What `work` raises ends its thread, and is raised in the end.
    """
    rest, turn = iter(items), threading.Lock()

    def work_on() -> int:
        left = 0
        while True:
            with turn:
                item = next(rest, None)
            if item is None:
                return left
            try:
                result = work(item)
            except Interrupted:
                left += 1  # the stop may be another's: our own ends the rest by itself
                continue
            results.append(result)
            left += result.outcome is RepoOutcome.INTERRUPTED

    with ThreadPoolExecutor(at_once, "repo", work_for, (stop,)) as repos:
        threads = [repos.submit(work_on) for _ in range(min(at_once, len(items)))]
    return sum(thread.result() for thread in threads)


def _all_of(context: RunContext, run: str, job: Job, error: Exception) -> list[Unlisted]:
    """A job that failed as a whole."""
    revisions = ", ".join(job.revisions)
    return [Unlisted(job, pattern, revisions, to_outcome(context, run, job, pattern, error)) for pattern in job.asked]


def _planned(context: RunContext, run: str, decider: Decider, task: Task) -> TaskResult | Change:
    try:
        task, _, checked = decider.check(task)
        return checked if isinstance(checked, TaskResult) else decider.plan_change(task, checked)
    except Interrupted:
        raise
    except Exception as error:  # whatever stops one repo must not stop the others
        return to_outcome(context, run, task.job, task.requested, error)


def _plan_of(item: Task | Unlisted, planned: TaskResult | Change, fetch: Sequence[int] = ()) -> RepoPlan:
    """`fetch` has the sizes of what comes for this repo, and for none that was planned before."""
    check = Calls() if isinstance(item, Unlisted) or item.resolved is not None else CHECK
    chosen = "" if isinstance(item, Unlisted) else item.chosen
    if isinstance(planned, TaskResult):
        check = Calls() if isinstance(item, Task) and item.head is not None else check
        said, known = (planned.outcome, planned.commit, planned.reason, planned.code), planned.assurance
        code = known.code_files or 0, known.code_paths
        plan = RepoPlan(*item.subject.parts, *said, api_calls=check.api, code_files=code[0], code_paths=code[1])
        return replace(plan, chosen=chosen)
    calls = check
    if planned.root is None:
        calls += publishing(planned.files, fetch)
        if planned.task.job.scan is not None and planned.task.job.scan.hub:
            calls += scanning(len(fetch))
    size = sum(fetch)
    running = sorted(filter(may_run, planned.listing.listed()))
    return RepoPlan(
        *item.subject.parts,
        outcome=RepoOutcome.PUBLISHED,
        commit=planned.resolved.commit,
        reason=remarks(planned.resolved),
        fetch_files=len(fetch),
        fetch_bytes=size,
        reuse_files=planned.files - len(fetch),
        reuse_bytes=planned.size - size,
        remove_files=planned.plan.delete_files,
        remove_bytes=planned.plan.delete_bytes,
        api_calls=calls.api,
        resolver_calls=calls.resolvers,
        code_files=len(running),
        code_paths=tuple(running[:_CODE_PATHS]),
        chosen=chosen,
    )
