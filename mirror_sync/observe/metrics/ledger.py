"""What every job and repo came to last, as the metrics show it: filled from the history at the start, then by events.

Times are seconds since 1970, as Prometheus has them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from mirror_sync.domain.content.assurance import Assurance
from mirror_sync.domain.outcome.events import (
    Care,
    ConfigRead,
    Event,
    NamesLooked,
    NamesSeen,
    RepoFinished,
    ReposListed,
    RolloutsLooked,
    RolloutState,
    RunAborted,
    RunFinished,
    RunStarted,
    TargetProbed,
    Tended,
)
from mirror_sync.domain.outcome.report import EMPTIED, WITHDRAWN, RepoOutcome, RepoReport, RepoStatus, RunReport
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.subject import Subject
from mirror_sync.state.records import RunRecord, RunState

_GOOD = (RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED)


class JobOutcome(StrEnum):
    COMPLETE = "complete"
    FAILED = "failed"  # some repo did
    INTERRUPTED = "interrupted"  # by a stop, or the process was killed
    ABORTED = "aborted"  # by a fault of the job as a whole


_ENDS = (JobOutcome.COMPLETE, JobOutcome.FAILED)  # all its repos were looked at


@dataclass(frozen=True, slots=True)
class RepoFigures:
    """`files`, `bytes` and `lag` (seconds) are those of what is published, also after a failure."""

    outcome: RepoOutcome
    code: str
    attempt: float
    success: float | None = None
    lag: float | None = None
    files: int = 0
    bytes: int = 0
    assurance: Assurance = Assurance()

    @property
    def withdrawn(self) -> bool:
        """Whether a person has taken it down: then nothing of it is published."""
        return self.code == WITHDRAWN


@dataclass(frozen=True, slots=True)
class JobFigures:
    """`attempt` is the start of the newest run; `success` the end of the newest complete one, of `duration` seconds;
    `ended` that of the newest that came to its end, whatever became of its repos, which took `took` seconds.

    `pending` repos of the run that goes on are not finished.
    """

    first_seen: float
    attempt: float | None = None
    success: float | None = None
    duration: float | None = None
    ended: float | None = None
    took: float | None = None
    outcome: JobOutcome | None = None
    pending: int = 0

    @property
    def ended_start(self) -> float | None:
        """When the newest run that came to its end had begun."""
        return None if self.ended is None else self.ended - (self.took or 0)


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """One moment of the ledger. `config_read`: when jobs.yaml was read without faults last, None for never.

    `names` of ours and `rollouts`, by target, as they were seen last.
    """

    jobs: Mapping[str, JobFigures] = field(default_factory=dict)
    repos: Mapping[Subject, RepoFigures] = field(default_factory=dict)
    up: Mapping[str, bool] = field(default_factory=dict)
    tended: Mapping[tuple[str, Care], Tended] = field(default_factory=dict)
    config_sound: bool = True
    config_read: float | None = None
    names: Mapping[str, tuple[NamesSeen, ...]] = field(default_factory=dict)
    rollouts: Mapping[str, tuple[tuple[str, Repo, RolloutState], ...]] = field(default_factory=dict)


class Ledger:
    """Safe for many threads. Knows only the jobs of the last `ConfigRead`; `now` gives seconds since 1970."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._jobs: dict[str, JobFigures] = {}
        self._repos: dict[Subject, RepoFigures] = {}
        self._up: dict[str, bool] = {}
        self._tended: dict[tuple[str, Care], Tended] = {}
        self._names: dict[str, tuple[NamesSeen, ...]] = {}
        self._rollouts: dict[str, tuple[tuple[str, Repo, RolloutState], ...]] = {}
        self._runs: dict[str, tuple[str, ...]] = {}
        self._config_sound = True
        self._config_read: float | None = None

    def page(self) -> MetricsSnapshot:
        with self._lock:
            known = dict(self._jobs), dict(self._repos), dict(self._up), dict(self._tended)
            names = dict(self._names), dict(self._rollouts)
            return MetricsSnapshot(*known, self._config_sound, self._config_read, *names)

    def remember_care(self, tended: Iterable[Tended]) -> None:
        """Take in what the history knows of the care of targets."""
        with self._lock:
            for each in tended:
                known = self._tended.get((each.target, each.care))
                if known is None or known.at <= each.at:
                    self._tended[each.target, each.care] = each

    def remember_trust(self, statuses: Iterable[RepoStatus]) -> None:
        """Take in what another process has signed since; `statuses` as the history has them."""
        with self._lock:
            for status in statuses:
                known = self._repos.get(status.subject)
                if known is not None and status.assurance.signed:
                    signed = replace(known.assurance, signed=True)
                    self._repos[status.subject] = replace(known, assurance=signed)

    def remember(self, statuses: Iterable[RepoStatus], runs: Sequence[RunRecord]) -> None:
        """Take in what the history knows of jobs that nothing is known of yet; `runs` newest first."""
        with self._lock:
            fresh = {name for name, state in self._jobs.items() if state.attempt is None}
            for status in statuses:
                if status.job in fresh and status.outcome is not None:
                    self._repos[status.subject] = _recalled(status, status.outcome)
            for run in reversed(tuple(runs)):  # of two that began in one second, too, the newer one is told last
                for job in fresh.intersection(run.jobs):
                    self._jobs[job] = _after(self._jobs[job], run.of(job))

    def __call__(self, event: Event) -> None:  # noqa: C901  one line for each kind of event
        with self._lock:
            match event:
                case RepoFinished():
                    self._finish_repo(event.report)
                case ReposListed() if event.job in self._runs.get(event.run, ()):
                    self._change(event.job, pending=event.repos)
                case RunStarted() if not event.partial:
                    self._runs[event.run] = event.jobs
                    for job in event.jobs:
                        self._change(job, attempt=seconds_of(event.at))
                case RunFinished():
                    self._finish_run(event.report)
                case RunAborted():
                    self._change(event.job, attempt=self._now(), outcome=JobOutcome.ABORTED, pending=0)
                case ConfigRead():
                    self._read_config(event)
                case Tended():
                    self._tended[event.target, event.care] = event
                case NamesLooked():
                    self._names[event.target] = event.repos
                case RolloutsLooked():
                    self._rollouts[event.target] = event.found
                case TargetProbed():
                    self._up[event.target] = event.answered

    def _change(self, job: str, **fields: object) -> None:
        if job in self._jobs:
            self._jobs[job] = replace(self._jobs[job], **fields)  # type: ignore[arg-type]  # each names one of JobState

    def _finish_repo(self, report: RepoReport) -> None:
        if report.job not in self._jobs:
            return  # of a run that a reload let finish
        key = report.subject
        now, before = self._now(), self._repos.get(key)
        if report.outcome in _GOOD:
            # a lag is that of a publication, and stands until the next one
            old = before if before is not None and report.outcome is RepoOutcome.UNCHANGED else None
            lag = report.lag_seconds if old is None else old.lag
            size, known = (report.files, report.bytes), _kept(before, report.assurance, report.outcome)
            state = RepoFigures(report.outcome, report.code, now, now, lag, *size, known)
        elif report.outcome is RepoOutcome.INTERRUPTED and before is not None and before.outcome in _GOOD:
            state = replace(before, attempt=now)  # what is published is as good as it was
        elif before is None or report.code in EMPTIED:
            state = RepoFigures(report.outcome, report.code, now)
        else:
            state = replace(before, outcome=report.outcome, code=report.code, attempt=now)
        self._repos[key] = state
        self._change(report.job, pending=max(0, self._jobs[report.job].pending - 1))

    def _finish_run(self, report: RunReport) -> None:
        for name in self._runs.pop(report.run, ()):
            started, finished = map(seconds_of, report.times_of(name))
            mine = [repo for repo in report.repos if repo.job == name]
            outcome = _outcome(report, name, mine)
            if outcome in _ENDS:
                self._change(name, ended=finished, took=finished - started)
            if outcome is JobOutcome.COMPLETE:
                self._change(name, success=finished, duration=finished - started)
                self._forget_others(name, mine)
            self._change(name, outcome=outcome, pending=0)

    def _forget_others(self, job: str, reports: Iterable[RepoReport]) -> None:
        """What a complete run did not meet, the job names no more."""
        met = {report.subject for report in reports}
        for key in [key for key in self._repos if key.job == job and key not in met]:
            del self._repos[key]

    def _read_config(self, event: ConfigRead) -> None:
        self._config_sound = event.jobs is not None
        if event.jobs is None:
            return
        self._config_read = self._now()
        self._jobs = {job: self._jobs.get(job) or JobFigures(self._now()) for job in event.jobs}
        self._repos = {key: state for key, state in self._repos.items() if key.job in self._jobs}


def seconds_of(at: str) -> float:
    """ISO 8601 to seconds since 1970."""
    return datetime.fromisoformat(at).timestamp()


def _outcome(report: RunReport, job: str, repos: Iterable[RepoReport]) -> JobOutcome:
    if report.interrupted and job not in report.done:
        return JobOutcome.INTERRUPTED
    return JobOutcome.FAILED if any(repo.failed for repo in repos) else JobOutcome.COMPLETE


def _kept(before: RepoFigures | None, now: Assurance, outcome: RepoOutcome) -> Assurance:
    """Of what is unchanged, what is not told now stays as it was told before."""
    if before is None or outcome is not RepoOutcome.UNCHANGED:
        return now
    old = before.assurance
    return replace(now, scanned_at=now.scanned_at or old.scanned_at)


def _recalled(status: RepoStatus, outcome: RepoOutcome) -> RepoFigures:
    return RepoFigures(
        outcome,
        status.code,
        attempt=seconds_of(status.last_attempt) if status.last_attempt else 0.0,
        success=seconds_of(status.last_success) if status.last_success else None,
        lag=status.lag_seconds,
        files=status.files,
        bytes=status.bytes,
        assurance=status.assurance,
    )


def _after(state: JobFigures, run: RunRecord) -> JobFigures:
    """A job after a run that is remembered, as it went for this job; `state` is the one before it."""
    started = seconds_of(run.started)
    state = replace(state, first_seen=min(state.first_seen, started), attempt=started)
    if run.state is RunState.RUNNING:
        return state
    if run.state in (RunState.COMPLETE, RunState.FAILED) and run.finished is not None:
        finished = seconds_of(run.finished)
        state = replace(state, ended=finished, took=finished - started)
        if run.state is RunState.COMPLETE:
            state = replace(state, success=finished, duration=finished - started)
    return replace(state, outcome=JobOutcome(run.state))
