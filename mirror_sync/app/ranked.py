"""What is remembered of repos that a ranking took up once, and that its job has no more to do with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.state.records import RunRecord


def still_meant(
    statuses: Sequence[RepoStatus], jobs: Iterable[Job], runs: Sequence[RunRecord]
) -> tuple[RepoStatus, ...]:
    """Leaves out what the last whole run of a job with a ranking passed over: neither ranked nor published any more.

    Without this a repo that failed once and fell out of the ranking would count as failed for ever. Where the last list
    could not be had, nothing is left out. `runs`: newest first.
    """
    starts = {job.name: _last_start(job, runs) for job in jobs if job.ranking is not None}

    def is_met(status: RepoStatus) -> bool:
        return (status.last_attempt or "") >= starts.get(status.job, "")

    unlisted = {status.job for status in statuses if status.pattern.is_glob and is_met(status)}
    return tuple(status for status in statuses if status.job in unlisted or is_met(status))


def _last_start(job: Job, runs: Sequence[RunRecord]) -> str:
    """ISO 8601; empty for never."""
    return next((run.started for run in runs if run.is_whole(job.name)), "")
