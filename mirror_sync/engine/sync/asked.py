"""Whether somebody has asked for a repo since its target let go of it: only then a sync brings it again.

By a run for this repo that a person orders, or by a reader, who asked a front for it: also where that led elsewhere,
since from here nothing can have been given. A schedule, a webhook and a try after a failure ask for nothing: else the
next run would bring back what the last prune let go of.
"""

from __future__ import annotations

import threading
from datetime import datetime

from mirror_sync.domain.job.keep import ReadTimes
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.times import iso_utc
from mirror_sync.domain.work import Task, TaskResult
from mirror_sync.engine.context import RunContext, Target


class AskedAgain:
    """Of one target and run: what readers asked for is counted once, when a repo is met that was let go of."""

    def __init__(self, context: RunContext, target: Target) -> None:
        self._context, self._target = context, target
        self._reads: ReadTimes | None = None
        self._lock = threading.Lock()

    def since(self, task: Task, since: datetime) -> bool:
        """Whether somebody has asked for it since. StoreError."""
        if self._context.wanted_now & {task.repo, task.requested}:
            return True
        with self._lock:
            if self._reads is None:
                self._reads = self._context.reads(self._target)
            known = self._reads.asked, self._reads.read
            last = max(times.get(repo, 0.0) for times in known for repo in (task.repo, task.requested))
        return last >= since.timestamp()


def let_go_of(gone: Gone, task: Task) -> TaskResult:
    """What a report says of it."""
    reason = (
        f"let go of on {iso_utc(gone.since)}: nobody had read it for long, and the target needed room; it comes again "
        f"when a reader asks for it, or by mirror-sync sync {task.job.name} --repo {task.requested}"
    )
    return TaskResult(RepoOutcome.HELD, None, reason, LET_GO)
