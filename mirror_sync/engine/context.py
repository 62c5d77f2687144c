"""What the engine is given: sources, targets, a clock, a way to stop, somebody to tell, somebody who brings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from mirror_sync.domain.access.access_tokens import AccessToken
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.freshness import LastCheck
from mirror_sync.domain.job.bandwidth import Portion
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.keep import Keep, ReadTimes
from mirror_sync.domain.job.targets import Tiers
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.outcome.report import RepoReport
from mirror_sync.domain.outcome.traffic import WantedRepo
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.subject import Subject
from mirror_sync.domain.times import iso_utc
from mirror_sync.domain.work import WorkItem
from mirror_sync.engine.memory_budget import MemoryBudget
from mirror_sync.engine.published import Seal, unsealed
from mirror_sync.engine.single_flight import SingleFlight
from mirror_sync.engine.space import Room
from mirror_sync.engine.stages import MoreStages
from mirror_sync.errors import Interrupted
from mirror_sync.ports.audit import Audit, NoAudit
from mirror_sync.ports.memory import ContentIndex, NoNotes, NoReadCache, ReadCache, UploadNotes
from mirror_sync.ports.source import Source
from mirror_sync.ports.store import Store
from mirror_sync.ports.tiering import Tiering

_PROPAGATION = 60.0  # seconds
_MEMORY = 160 * 1024 * 1024  # bytes
REPOS_AT_ONCE = 4  # of a job; each may hold one listing in memory


class Refill:
    """How far this process has filled a target's index from what is published there: by one walk, that all wait for.

    `walked` are the repos whose snapshots were walked to their end: a walk that failed is gone on with behind these.
    `failed` counts the walks that did.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.walked: set[Repo] = set()
        self.failed = 0


class RepoLocks:
    """A lock for each repo between the threads of this process; other processes know nothing of it."""

    def __init__(self) -> None:
        self._locks: dict[Repo, threading.Lock] = {}
        self._making = threading.Lock()

    def __call__(self, repo: Repo) -> threading.Lock:
        with self._making:
            return self._locks.setdefault(repo, threading.Lock())


class Withheld:
    """Whether lists of digests that are given to nobody lay in a target when this process first looked there.

    Then one that died before may have published what stands on them: see `withdrawn_lists`.
    """

    def __init__(self) -> None:
        self.found: bool | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where jobs publish. `notes` let uploads be gone on with, `read_cache` spares reading what has not changed.

    A repo has two locks on this machine. `lock` is held by who brings, mends or removes what it names, perhaps for
    hours; `refs_lock` for the moment between a read of its refs.json and the PUT (`published.change_refs`). Who holds
    the second one takes neither.

    `grace`: a blob that nothing refers to is spared by prunes for so long after it was written. All machines that
    write to a target must agree on it. `single_flight` is what the jobs of this process bring there, `room` what
    that needs, `refill` how far they have filled the index. `audit`: where it is written what is done there; `seal`:
    what is done with a refs.json before it is put. `keep` bounds what it holds. `tiers`: when its files go cold,
    which `tiering` does; None for both where they never do.
    """

    name: str
    store: Store
    index: ContentIndex
    lock: Callable[[Repo], AbstractContextManager[object]]
    notes: UploadNotes = NoNotes()
    grace: timedelta = timedelta(hours=48)
    read_cache: ReadCache = NoReadCache()
    audit: Audit = NoAudit()
    seal: Seal = field(default=unsealed, repr=False, compare=False)
    single_flight: SingleFlight = field(default_factory=SingleFlight, repr=False, compare=False)
    room: Room = field(default_factory=Room, repr=False, compare=False)
    refill: Refill = field(default_factory=Refill, repr=False, compare=False)
    keep: Keep | None = None
    tiers: Tiers | None = None
    tiering: Tiering | None = field(default=None, repr=False, compare=False)
    withheld: Withheld = field(default_factory=Withheld, repr=False, compare=False)
    refs_lock: Callable[[Repo], AbstractContextManager[object]] = field(
        default_factory=RepoLocks, repr=False, compare=False
    )

    @property
    def settling_time(self) -> float:
        """Seconds within which a call to the store that was made has taken effect: see decision 0005."""
        return min(_PROPAGATION, self.grace.total_seconds() / 4)


class RepoExecutor(Protocol):
    """Brings changed repos up to date elsewhere: carries work items out. Safe for many threads."""

    at_once: int  # work items that may be brought to `bring` side by side

    def at_work(self, context: RunContext) -> AbstractContextManager[object]:
        """Work items are brought inside the block only. Raises ClusterError when nobody could take one."""
        ...

    def bring(self, context: RunContext, work_item: WorkItem) -> RepoReport:
        """Carry one out, once, while the caller holds the repo's lock.

        What goes wrong with the repo is in the report, and so is a stop: what was put of large files is noted then.
        Raises ClusterError when nobody carried it out, and Interrupted for a stop before anything was planned.
        """
        ...


@dataclass(frozen=True, slots=True)
class RunContext:
    """`stop` asks every loop to end early; `memory` bounds the bytes of file content held at once, by all
    jobs together. `executor` brings changed repos up to date; None for the threads of this process.

    `sources` by upstream; `own` gives a job that has limits of its own its upstream, None to all others.

    `remembered` gives the repos that were published in a target, as far as this machine knows, and that jobs of it name
    still; StoreError where that cannot be read.

    `stages` are those of every snapshot beside the engine's own: the machines of a cluster are given the same.

    `monotonic` counts seconds; `sleep` waits so many, or until the stop when it is None. `last_check` gives the
    last check of a subject that is known. `portion`: what this process may take of the limits of bandwidth. `actor` has
    done what is done: each verb is told, and nothing is done for nobody. `config` is the digest of the jobs.yaml by
    which it is done; None where there is none. `demand` gives what readers of a target asked for, by how many; None
    where nobody counted, and DocumentError where that cannot be read. `tokens` are those of readers; None where there
    are none, or nobody can tell. `signer` is the fingerprint of the key that signs, empty for none. `repos_at_once` of
    a job are worked on by the threads of this process. `reads` counts who reads a target now, when it is asked.
    `wanted_now`: the repos that a person's command names for this run, and those that readers asked the daemon's fronts
    for not long ago.
    """

    sources: Mapping[str, Source]
    targets: Mapping[str, Target]
    tell: Observer
    clock: Callable[[], datetime]
    stop: threading.Event
    memory: MemoryBudget = field(default_factory=lambda: MemoryBudget(_MEMORY), repr=False, compare=False)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] | None = None
    executor: RepoExecutor | None = None
    own: Callable[[Job], Source | None] = lambda job: None
    last_check: Callable[[Subject], LastCheck | None] = lambda subject: None
    portion: Portion = field(default_factory=Portion, repr=False, compare=False)
    remembered: Callable[[str], frozenset[Repo]] = lambda target: frozenset()
    stages: MoreStages = MoreStages()
    actor: Actor | None = None
    config: Sha256 | None = None
    tokens: Callable[[], Sequence[AccessToken] | None] = lambda: None
    signer: str = ""
    repos_at_once: int = REPOS_AT_ONCE
    demand: Callable[[str], Sequence[WantedRepo] | None] = lambda target: None
    reads: Callable[[Target], ReadTimes] = lambda target: ReadTimes()
    wanted_now: frozenset[Repo] = frozenset()

    @property
    def by(self) -> Actor:
        """Who has it done. RuntimeError, a fault of the program, where no verb said."""
        if self.actor is None:
            raise RuntimeError("something was about to be done for nobody")
        return self.actor

    def source(self, job: Job) -> Source:
        """The upstream as the job may use it. KeyError for an upstream that is none."""
        own = self.own(job)
        return self.sources[job.upstream] if own is None else own

    def go_on(self) -> None:
        """Raise Interrupted when the run was asked to stop."""
        if self.stop.is_set():
            raise Interrupted("stopped before the end")

    def pause(self, seconds: float) -> None:
        """Wait; Interrupted when the run was asked to stop meanwhile."""
        if self.sleep is not None:
            self.sleep(seconds)
        elif seconds > 0:
            self.stop.wait(seconds)
        self.go_on()

    def now(self) -> str:
        """ISO 8601 in UTC, in seconds."""
        return iso_utc(self.clock())
