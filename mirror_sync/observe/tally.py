"""Counts what happens in runs, so that progress can be shown at any moment: cheap to tell, cheap to read."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mirror_sync.domain.outcome.events import (
    BytesFetched,
    Event,
    FileFinished,
    FileStarted,
    PartsFound,
    RepoFinished,
    RepoPlanned,
    ReposListed,
    RunFinished,
    RunStarted,
    Verified,
)
from mirror_sync.domain.outcome.report import RepoOutcome

_WINDOW = 10.0  # seconds over which the rate is taken


@dataclass(frozen=True, slots=True)
class InFlight:
    """A file on its way; sizes in bytes, `rate` in bytes a second since its start."""

    repo: str
    path: str
    size: int
    done: int
    rate: float


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment. Sizes in bytes, `rate` in bytes a second, `left` in seconds or None when nobody can say: while repos
    are not planned yet, nobody knows what they bring.

    `job` is the one that was listed last, the `job_number`th of `jobs`; `repos` are its own while one run goes on
    alone. `share` of all jobs is done, from 0 to 1, and never less than before: each repo counts for as much as each
    other, one on its way for the part that has come of it. `verified` is how far a verification came, None where none
    goes on.
    """

    runs: int
    repos: int
    repos_done: int
    files: int
    files_done: int
    bytes: int
    bytes_done: int
    rate: float
    left: float | None
    in_flight: tuple[InFlight, ...]
    verified: Verified | None = None
    share: float = 0.0
    job: str = ""
    job_number: int = 1
    jobs: int = 1


_COUNTED = (
    *(BytesFetched, PartsFound, FileStarted, FileFinished, RepoPlanned, RepoFinished, ReposListed),
    *(RunStarted, RunFinished, Verified),
)


class Tally:
    """An observer that counts; the counts begin anew when a run starts while no other goes on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._runs = 0
        self._verified: Verified | None = None
        self._repos = self._repos_done = self._files = self._files_done = self._bytes = self._bytes_done = 0
        self._job, self._shown = "", 0.0
        self._forget()

    @staticmethod
    def hears(kind: type[Event]) -> bool:
        """Whether events of a class are counted."""
        return issubclass(kind, _COUNTED)

    def __call__(self, event: Event) -> None:
        with self._lock:
            match event:
                case BytesFetched():
                    self._came += event.count
                    self._count_bytes(event)
                case PartsFound():
                    self._count_bytes(event)
                case FileStarted() | FileFinished():
                    self._count_file(event)
                case RepoPlanned() | RepoFinished():
                    self._count_repo(event)
                case ReposListed():
                    self._list(event)
                case RunStarted():
                    if self._runs == 0:
                        self._forget()
                    self._runs += 1
                    self._jobs += event.jobs
                case RunFinished():
                    self._runs = max(self._runs - 1, 0)
                case Verified():
                    self._verified = event

    def now(self) -> Progress:
        with self._lock:
            rate = self._rate()
            missing = max(self._bytes - self._bytes_done, 0)
            number = self._number()
            # what a repo that nobody has planned yet brings, nobody knows
            known = number >= len(self._jobs) and self._repos <= self._repos_done + len(self._owed)
            self._shown = max(self._shown, self._share(number))
            return Progress(
                runs=self._runs,
                repos=max(self._repos, self._repos_done),
                repos_done=self._repos_done,
                files=max(self._files, self._files_done),
                files_done=self._files_done,
                bytes=max(self._bytes, self._bytes_done),
                bytes_done=self._bytes_done,
                rate=rate,
                left=missing / rate if rate > 0 and known else None,
                in_flight=tuple(self._files_in_flight()),
                verified=self._verified,
                share=self._shown,
                job=self._job,
                job_number=number,
                jobs=max(len(self._jobs), 1),
            )

    def _number(self) -> int:
        return self._jobs.index(self._job) + 1 if self._job in self._jobs else 1

    def _share(self, number: int) -> float:
        """Of all jobs, those before and what is done of this one; of repos, those that are done and parts of others."""
        parts = sum(
            (self._planned[repo] - max(owed, 0)) / self._planned[repo] for repo, (_, owed) in self._owed.items()
        )
        repos = max(self._repos, self._repos_done + len(self._owed))
        return (number - 1 + min((self._repos_done + parts) / repos if repos else 0.0, 1.0)) / max(len(self._jobs), 1)

    def _list(self, event: ReposListed) -> None:
        if event.job != self._job and self._runs <= 1:  # the next one of the same run: all before is done
            self._repos = self._repos_done = 0
        self._job = event.job
        self._repos += event.repos

    def _files_in_flight(self) -> Iterator[InFlight]:
        now = self._clock()
        for (repo, path), (size, done, start) in self._in_flight.items():
            yield InFlight(repo, path, size, done, rate=max(done, 0) / (now - start) if now > start else 0.0)

    def _forget(self) -> None:
        self._repos = self._repos_done = self._files = self._files_done = self._bytes = self._bytes_done = 0
        self._came = 0  # bytes of those that are done: what was found of an earlier run says nothing of the network
        self._in_flight: dict[tuple[str, str], tuple[int, int, float]] = {}  # size, done, start
        self._owed: dict[str, tuple[int, int]] = {}  # of each repo: files and bytes that are planned and not here
        self._planned: dict[str, int] = {}  # of each of these: bytes, one at the least
        self._jobs: tuple[str, ...] = ()
        self._job, self._shown = "", 0.0
        self._samples: deque[tuple[float, int]] = deque([(self._clock(), 0)])

    def _count_bytes(self, event: BytesFetched | PartsFound) -> None:
        repo = str(event.repo)
        self._bytes_done += event.count
        key = (repo, event.path)
        if key in self._in_flight:
            size, done, start = self._in_flight[key]
            self._in_flight[key] = (size, done + event.count, start)
        if repo in self._owed:
            files, size = self._owed[repo]
            self._owed[repo] = (files, size - event.count)

    def _count_file(self, event: FileStarted | FileFinished) -> None:
        repo = str(event.repo)
        if isinstance(event, FileStarted):
            self._in_flight[repo, event.path] = (event.size, 0, self._clock())
            return
        self._in_flight.pop((repo, event.path), None)
        if event.stored:
            self._files_done += 1
            if repo in self._owed:
                files, size = self._owed[repo]
                self._owed[repo] = (files - 1, size)

    def _count_repo(self, event: RepoPlanned | RepoFinished) -> None:
        if isinstance(event, RepoPlanned):
            repo = str(event.repo)
            self._files += event.fetch_files
            self._bytes += event.fetch_bytes
            files, size = self._owed.get(repo, (0, 0))
            self._owed[repo] = (files + event.fetch_files, size + event.fetch_bytes)
            self._planned[repo] = max(self._planned.get(repo, 0) + event.fetch_bytes, 1)
            return
        name = f"{event.report.kind}:{event.report.repo}".removeprefix("model:")
        files, size = self._owed.pop(name, (0, 0))
        self._planned.pop(name, None)
        if event.report.outcome is RepoOutcome.INTERRUPTED:
            return
        self._repos_done += 1
        if event.report.failed:
            # what a failed repo still owes will not come in this run
            self._files -= max(files, 0)
            self._bytes -= max(size, 0)

    def _rate(self) -> float:
        now = self._clock()
        if self._came == 0:
            self._samples.clear()  # the time before the first byte says nothing about the network
        self._samples.append((now, self._came))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW:  # noqa: PLR2004  two points make a line
            self._samples.popleft()
        (start, before) = self._samples[0]
        return max(self._came - before, 0) / (now - start) if now > start else 0.0
