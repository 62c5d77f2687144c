"""What the history remembers, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.subject import Subject


class RunState(StrEnum):
    """How far a run is, or how it ended."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"  # some repo did
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as remembered; times are ISO 8601 in UTC, `finished` None while it goes on or when its end is unknown.

    `state` is that of the whole; `states` are those of the jobs that came to their end. `asked` are jobs of which
    single repos were asked, in place of `jobs`: of such a job the run says nothing. `times` are those of each job
    alone, where they are known.
    """

    run: str
    jobs: tuple[str, ...]
    started: str
    finished: str | None
    state: RunState
    states: Mapping[str, RunState] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    times: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def state_of(self, job: str) -> RunState:
        """How the run went for one job; as a whole where that was not told."""
        return self.states.get(job, self.state)

    def is_whole(self, job: str) -> bool:
        """Whether it came to its end in all of a job, well or not."""
        return job in self.jobs and self.state_of(job) in (RunState.COMPLETE, RunState.FAILED)

    def of(self, job: str) -> RunRecord:
        """The run as it went for one of its jobs, which began and ended when it did, not when all of them did."""
        started, finished = self.times.get(job, (self.started, self.finished))
        return replace(self, state=self.state_of(job), started=started, finished=finished)


@dataclass(frozen=True, slots=True)
class ChangeRecord(Subject):
    """What one run made of a revision of a repo that was not so before; times are ISO 8601 in UTC.

    `run` is the run's id, as in the log. The other fields are those of its `RepoReport`.
    """

    outcome: RepoOutcome
    at: str
    run: str
    commit: str | None
    reason: str
    code: str
    files: int
    fetched_files: int
    fetched_bytes: int
    reused_files: int
    reused_bytes: int
    seconds: float
    committed: str | None
    published: str | None
    lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class Size:
    """What a place publishes at the end of a day, UTC: repos, and the files and bytes of their newest snapshots."""

    day: str
    repos: int
    files: int
    bytes: int
