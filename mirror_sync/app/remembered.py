"""What this machine remembers: of each repo, of runs, of the care of targets, and what was published where."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mirror_sync.app.ranked import still_meant
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import Tended
from mirror_sync.domain.outcome.replicas import STATUS, ReplicaStatus
from mirror_sync.domain.outcome.report import EMPTIED, RepoStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import StoreError, StoreUnavailable
from mirror_sync.owners import PRIVATE, write_anew
from mirror_sync.state.file_lock import hold
from mirror_sync.state.history import RUNS_KEPT, History
from mirror_sync.state.records import RunRecord
from mirror_sync.state.target_memory import replica_memory

_WORD_FILE = "machine"
_WORD = re.compile("[0-9a-f]{12}")


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

    def replicas(self) -> tuple[ReplicaStatus, ...]:
        """How far each replica is, as this machine found last; nothing is asked of them."""
        return replicas_of(self._settings)

    def published_in(self, target: str) -> frozenset[Repo]:
        """The repos that were published in a target, as the history knows, and that a job of it names still.

        What no job names any more may have been taken down on purpose. StoreUnavailable without a history.
        """
        place = place_of(self._settings.targets[target])
        try:
            rows = [row for row in self._history().latest() if row.place == place and row.commit]
        except OSError as error:
            raise StoreUnavailable(f"what was published in target {target} is not known: {error}") from error
        jobs = [job for job in self._settings.jobs if job.target == target]
        return frozenset(
            repo
            for row in rows
            if (repo := row.one_repo) is not None and any(_may_mean(job, row, repo) for job in jobs)
        )


def _may_mean(job: Job, row: RepoStatus, repo: Repo) -> bool:
    """A job that may take any repo there is has only to do with what it took."""
    return job.means(repo) and (not job.is_wide or row.job == job.name)


def replicas_of(settings: Settings, target: str | None = None) -> tuple[ReplicaStatus, ...]:
    """How far each replica is, or those of one target, as this machine found last."""
    found = []
    for name, place in settings.targets.items():
        for replica in place.replicas if target in (None, name) else ():
            status = ReplicaStatus(name, replica.name)
            with suppress(StoreError):  # what is remembered may be lost
                memory = replica_memory(settings.state_dir, place_of(replica.at), reading=True)
                status = status.recalled(memory.recall(STATUS, ""))
            found.append(status)
    return tuple(found)


def machine_word(folder: Path) -> str:
    """What this machine is called among those that publish a target: by chance, once, and kept in the state folder.

    It tells nobody where it stands, and outlives a change of the host's name. Where it is lost, another one comes; what
    was said under the old one is forgotten as that of any other machine. OSError when the folder cannot be written.
    """
    folder.mkdir(PRIVATE, parents=True, exist_ok=True)
    path = folder / _WORD_FILE
    with hold(folder / f"{_WORD_FILE}.lock"):
        with suppress(FileNotFoundError):
            kept = path.read_text(encoding="utf-8", errors="replace").strip()
            if _WORD.fullmatch(kept):
                return kept
        made = secrets.token_hex(6)
        write_anew(path, f"{made}\n", synced=False)
        return made


def _names(job: Job, status: RepoStatus) -> bool:
    repo = status.one_repo  # None: a pattern that could not be listed has a row, too
    return repo is not None and job.names(repo) and job.follows(status.revision)
