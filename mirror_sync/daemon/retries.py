"""What failed for a reason that may pass is run again soon, and not only when its job is due; and what is in doubt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from mirror_sync.domain.outcome.report import DOUBTFUL, RepoReport, RunReport
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import MAY_PASS
from mirror_sync.logger import Logger
from mirror_sync.owners import cause
from mirror_sync.state.tries import Try, read_tries, write_tries

_log = Logger()

_CLOCK_CHECK = 60.0  # seconds between two readings of the clock, which may be set

_Key = tuple[str, Repo | None]


@dataclass(frozen=True, slots=True)
class Ladder:
    """How long after a failure each of its tries comes, in seconds; then the job's next time is waited for.

    Each is up to `spread` of itself later, so that not all that an outage struck come back at one moment.
    """

    steps: tuple[float, ...] = (60.0, 300.0, 900.0, 3600.0)
    spread: float = 0.2

    def wait(self, number: int, chance: float) -> float | None:
        """Before the `number`th try, from 1; None when there is no such. `chance` in [0, 1)."""
        if number > len(self.steps):
            return None
        return self.steps[number - 1] * (1 + self.spread * chance)


class Retries:
    """Learns from runs what failed, and says when it is due again. Safe for many threads.

    `start(job, repos)` begins a run of these repos, of the whole job for None, and returns whether it does; `random`
    gives numbers in [0, 1).
    """

    def __init__(
        self,
        ladder: Ladder,
        start: Callable[[str, Collection[Repo] | None], bool],
        random: Callable[[], float],
    ) -> None:
        self._ladder, self._start, self._random = ladder, start, random
        self._folder: Path | None = None
        self._waiting: dict[_Key, Try] = {}
        self._begun: dict[_Key, int] = {}  # the number of the try that runs, or is about to
        self._lock = threading.Condition()

    def take(self, folder: Path, jobs: Mapping[str, bool]) -> None:
        """From now on for these jobs, whose tries are kept in the folder; what it holds is gone on with.

        The value says whether a job runs as a whole at the start: then there is nothing to go on with.
        """
        with self._lock:
            if self._folder != folder:
                self._folder = folder
                self._waiting = {(one.job, one.repo): one for one in read_tries(folder) if not jobs.get(one.job, True)}
            self._waiting = {key: one for key, one in self._waiting.items() if key[0] in jobs}
            self._keep()

    def learn(self, job: str, repos: Collection[Repo] | None, came: RunReport | Exception | None) -> None:
        """What a run of these repos of a job, None for all of it, came to: a report, what ended it, or nothing at all.

        The report of all says all there is; one of single repos only of those. What ends a run without a report has
        failed all that it was of. For what did not begin the job's next time is waited for.
        """
        asked = frozenset({None}) if repos is None else frozenset[Repo | None](repos)
        seen, struck = _found(came, asked)
        with self._lock:
            if repos is None and isinstance(came, RunReport):
                seen |= {repo for name, repo in (*self._begun, *self._waiting) if name == job}
            begun = {repo: self._begun.pop((job, repo), 0) for repo in seen | asked}
            for repo in seen:
                self._waiting.pop((job, repo), None)
            chance = self._random()
            for repo in struck:
                self._put((job, repo), begun[repo] + 1, chance)
            self._keep()

    def leave(self) -> None:
        """Nothing is tried again here: another daemon has the jobs."""
        with self._lock:
            self._waiting, self._begun = {}, {}
            self._keep()

    def keep_trying(self, stop: threading.Event) -> None:
        """Start what is due, until the stop: in a thread of its own, which `wake` has look at the stop."""
        while not stop.is_set():
            least = 0.0
            try:
                for job, tries in groupby(self._ready(), key=lambda one: one.job):
                    self._begin(job, list(tries))
            except Exception as error:  # without this thread nothing would be tried again, and nobody told
                _log.error("tries.failed", reason=f"{type(error).__name__}: {error}", exc_info=True)
                least = _CLOCK_CHECK
            with self._lock:
                first = min((one.at for one in self._waiting.values()), default=None)
                wait = _CLOCK_CHECK if first is None else (first - datetime.now(UTC)).total_seconds()
                wait = max(least, min(wait, _CLOCK_CHECK))
                if wait > 0 and not stop.is_set():
                    self._lock.wait(wait)

    def wake(self) -> None:
        """Look again at once at what is due, and whether to stop."""
        with self._lock:
            self._lock.notify_all()

    def _ready(self) -> list[Try]:
        """What is due by now, by job; from here on it counts as begun."""
        now = datetime.now(UTC)
        with self._lock:
            ready = [one for one in self._waiting.values() if one.at <= now]
            for one in ready:
                del self._waiting[one.job, one.repo]
                self._begun[one.job, one.repo] = one.number
            if ready:
                self._keep()
        return sorted(ready, key=lambda one: one.job)

    def _begin(self, job: str, tries: Iterable[Try]) -> None:
        repos = [one.repo for one in tries]
        single = None if None in repos else [repo for repo in repos if repo is not None]
        try:
            started = self._start(job, single)
        except Exception as error:  # a try that failed, too
            _log.error("tries.failed", job=job, reason=f"{type(error).__name__}: {error}", exc_info=True)
            self.learn(job, single, error)
            return
        if started:
            _log.info("job.tried-again", job=job, repos="all" if single is None else len(single))
            return
        with self._lock:  # paused, outside of its hours, or gone: its next time does it
            for repo in repos:
                self._begun.pop((job, repo), None)

    def _put(self, key: _Key, number: int, chance: float) -> None:
        wait = self._ladder.wait(number, chance)
        if wait is not None:
            self._waiting[key] = Try(*key, datetime.now(UTC) + timedelta(seconds=wait), number)

    def _keep(self) -> None:
        """Note what waits, and have its first moment waited for."""
        self._lock.notify_all()
        if self._folder is None:
            return
        try:
            write_tries(self._folder, self._waiting.values())
        except OSError as error:  # they are tried all the same
            _log.warning("tries.not-written", reason=cause(error, self._folder))


def _found(
    came: RunReport | Exception | None, asked: frozenset[Repo | None]
) -> tuple[frozenset[Repo | None], frozenset[Repo | None]]:
    """Of which repos it says something, and which of them are to be tried again."""
    if came is None:
        return frozenset(), frozenset()
    if isinstance(came, Exception):
        return asked, asked
    struck = frozenset(_named(repo) for repo in came.repos if _may_pass(repo))
    return frozenset(map(_named, came.repos)), frozenset({None}) if None in struck else struck


def _may_pass(report: RepoReport) -> bool:
    """A failure that may pass, or what another endpoint said while the first was silent: that may be behind."""
    return (report.failed and report.code in MAY_PASS) or report.code in DOUBTFUL or report.unconfirmed


def _named(report: RepoReport) -> Repo | None:
    """None for a pattern that could not be listed: nobody knows what it stands for but a run of the whole job."""
    return report.one_repo
