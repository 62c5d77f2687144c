"""What others have asked for and what became of it: whole jobs, or single repos of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from mirror_sync.domain.audit_record import BY_DAEMON, Actor
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.state.records import RunRecord


class Slot(NamedTuple):
    """Where a run goes: one at a time for all of a job, and one beside it for single repos."""

    job: str
    whole: bool

    def __str__(self) -> str:
        return self.job if self.whole else f"{self.job} (single repos)"


class RequestState(StrEnum):
    """What became of a request; the socket and the webhook answer with these words."""

    STARTED = "started"
    WAITS = "waits"  # until the run that goes on has ended
    MERGED = "merged"  # with one that waits already
    PAUSED = "paused"  # by a person: nothing is started
    CLOSED = "closed"  # outside of the hours of the job: nothing is started
    PASSED_OVER = "passed-over"  # not among what the job's ranking took last: nothing is started

    @property
    def idle(self) -> bool:
        """Nothing runs, and nothing will."""
        return self in (RequestState.PAUSED, RequestState.CLOSED, RequestState.PASSED_OVER)


@dataclass(frozen=True, slots=True)
class Started:
    """What a request came to in one job; `repo` None for all of the job."""

    job: str
    repo: str | None
    state: RequestState


@dataclass(slots=True)
class RequestQueue:
    """What was asked for and has not begun. For one thread at a time."""

    _whole: set[str] = field(default_factory=set)
    _repos: dict[str, set[Repo]] = field(default_factory=dict)
    _orders: set[Slot] = field(default_factory=set)
    _actors: dict[Slot, Actor] = field(default_factory=dict)

    def add(self, job: str, repo: Repo | None, actor: Actor, *, order: bool = False) -> bool:
        """False when it waits already. `order`: a person wants it, and all that it merges with, at any hour.

        Of several that ask for what is done in one run it is the first `actor` who has it done, or the first person.
        """
        self._ask(Slot(job, whole=repo is None), actor, order=order)
        if order:
            self._orders.add(Slot(job, whole=repo is None or job in self._whole))
        if job in self._whole:
            return False
        if repo is None:
            self._whole.add(job)
            return True
        repos = self._repos.setdefault(job, set())
        new = repo not in repos
        repos.add(repo)
        return new

    def holds(self, lane: Slot) -> bool:
        """Whether something waits for this slot."""
        return lane.job in (self._whole if lane.whole else self._repos)

    def is_order(self, lane: Slot) -> bool:
        """Whether a person wants what waits for this slot, at any hour."""
        return lane in self._orders

    def actor(self, lane: Slot) -> Actor:
        """Who has what waits for this slot done; the daemon where nobody asked."""
        return self._actors.get(lane, BY_DAEMON)

    def take(self, lane: Slot) -> frozenset[Repo]:
        """The repos that waited; a run of the whole job brings them, too."""
        for slot in (lane, Slot(lane.job, whole=False)):
            self._actors.pop(slot, None)
        self._orders -= {lane, Slot(lane.job, whole=False)}
        if lane.whole:
            self._whole.discard(lane.job)
        return frozenset(self._repos.pop(lane.job, ()))

    def keep(self, jobs: Collection[str]) -> None:
        """Forget what was asked of other jobs."""
        self._whole.intersection_update(jobs)
        self._repos = {job: repos for job, repos in self._repos.items() if job in jobs}
        self._orders = {lane for lane in self._orders if lane.job in jobs}
        self._actors = {lane: actor for lane, actor in self._actors.items() if lane.job in jobs}

    def _ask(self, lane: Slot, actor: Actor, *, order: bool) -> None:
        known = self._actors.get(lane)
        if known is None or (order and known.kind is not actor.kind):
            self._actors[lane] = actor


def passed_over(job: Job, repo: Repo, statuses: Iterable[RepoStatus], runs: Iterable[RunRecord]) -> bool:
    """Whether the last whole run of a job with a ranking had a list, and the repo was not in it."""
    if job.ranking is None or not any(run.is_whole(job.name) for run in runs):
        return False
    known = [status.pattern for status in statuses if status.job == job.name]
    return bool(known) and not any(pattern.is_glob or pattern.matches(repo) for pattern in known)


def words(begun: Iterable[Started]) -> str:
    """A line for each, for a person."""
    said = {
        RequestState.STARTED: "started",
        RequestState.WAITS: "runs already; it starts again when that has ended",
        RequestState.MERGED: "waits already, and runs only once",
        RequestState.PAUSED: "is paused: nothing is started; see mirror-sync resume",
        RequestState.CLOSED: "is outside of its hours: nothing is started",
        RequestState.PASSED_OVER: "is not among the repos that its select took last: nothing is started; trigger the "
        "job to have it look again",
    }
    return "\n".join(f"job {one.job}{f', {one.repo}' if one.repo else ''}: {said[one.state]}" for one in begun)
