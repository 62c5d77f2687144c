"""What became of work that failed: one place turns every exception into an answer, so that none ends a run."""

from __future__ import annotations

import traceback

from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import Crashed
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.work import TaskResult, failure, internal_failure
from mirror_sync.engine.context import RunContext
from mirror_sync.errors import Gated, MirrorError


def to_outcome(context: RunContext, run: str, job: Job, named: Repo | RepoPattern, error: Exception) -> TaskResult:
    """What an error makes of a repo of a job, or of what a pattern stands for."""
    tell_crash(context, run, named, error)
    if not isinstance(error, MirrorError):
        return internal_failure(error)
    if isinstance(error, Gated) and not _is_ordered(job, named):
        return TaskResult(RepoOutcome.HELD, None, str(error), error.code)
    return failure(error)


def tell_crash(context: RunContext, run: str, named: Repo | RepoPattern, error: Exception) -> None:
    """What no layer raises on purpose is told, with its traceback."""
    if not isinstance(error, MirrorError):
        context.tell(Crashed(run, named, "".join(traceback.format_exception(error))))


def _is_ordered(job: Job, named: Repo | RepoPattern) -> bool:
    """Of the repos of a glob some are gated for ever: whoever wrote it cannot mend that, and asked for none of them."""
    if isinstance(named, Repo):
        return job.spells_out(named)
    return named.is_glob or job.spells_out(named.repo)
