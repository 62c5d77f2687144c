"""What this machine remembers: of each repo, of runs, of the care of targets, and what was published where."""

from __future__ import annotations

from collections.abc import Callable

from mirror_sync.app.ranked import still_meant
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import Tended
from mirror_sync.domain.outcome.report import EMPTIED, RepoStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import StoreUnavailable
from mirror_sync.state.history import RUNS_KEPT, History
from mirror_sync.state.records import RunRecord


class LocalMemory:
    """All verbs raise OSError when the history can be neither read nor made."""

    def __init__(self, settings: Settings, history: Callable[[], History]) -> None:
        self._settings, self._history = settings, history

    def status(self) -> tuple[RepoStatus, ...]:
        """What is remembered of every repo of the jobs that exist now; of what was taken down, or let go of, nothing is
        published.
        """
        names = {job.name for job in self._settings.jobs}
        known = (status for status in self._history().latest() if status.job in names)
        return tuple(one.emptied() if one.code in EMPTIED else one for one in known)

    def repos_and_runs(self) -> tuple[tuple[RepoStatus, ...], tuple[RunRecord, ...]]:
        """Every repo that a job still names, and the runs, newest first."""
        jobs = {job.name: job for job in self._settings.jobs}
        runs = self._history().runs(RUNS_KEPT)
        meant = still_meant(self.status(), self._settings.jobs, runs)
        return tuple(status for status in meant if _names(jobs[status.job], status)), runs

    def tended(self) -> tuple[Tended, ...]:
        """The last verify and prune of each target of jobs.yaml."""
        return tuple(each for each in self._history().tended() if each.target in self._settings.targets)

    def published_in(self, target: str) -> frozenset[Repo]:
        """The repos that were published in a target, as the history knows, and that a job of it names still.

        What no job names any more may have been taken down on purpose. StoreUnavailable without a history.
        """
        place = place_of(self._settings.targets[target])
        try:
            rows = [row.one_repo for row in self._history().latest() if row.place == place and row.commit]
        except OSError as error:
            raise StoreUnavailable(f"what was published in target {target} is not known: {error}") from error
        jobs = [job for job in self._settings.jobs if job.target == target]
        return frozenset(repo for repo in rows if repo is not None and any(job.means(repo) for job in jobs))


def _names(job: Job, status: RepoStatus) -> bool:
    repo = status.one_repo  # None: a pattern that could not be listed has a row, too
    return repo is not None and job.names(repo) and job.follows(status.revision)
