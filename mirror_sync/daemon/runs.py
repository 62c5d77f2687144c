"""The runs of the daemon: those that are due, and those that somebody asks for."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from mirror_sync.app.wishing import WantedVerdict
from mirror_sync.daemon.requests import RequestQueue, RequestState, Slot, Started, passed_over
from mirror_sync.daemon.watch import WatchedMirror
from mirror_sync.domain.audit_record import BY_DAEMON, BY_WEBHOOK, Actor
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job, denials
from mirror_sync.domain.nearest import did_you_mean, jobs_instead
from mirror_sync.domain.outcome.events import Care, Observer, RunAborted
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.domain.outcome.tier_report import MovedRepo
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.errors import Interrupted, MirrorError, UsageError
from mirror_sync.logger import Logger
from mirror_sync.state.pauses import Pauses

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings

AT_ONCE = 4  # runs that were asked for, beside those that are due
LOOK_AGAIN = 60.0  # seconds until the next look at names, where the last one came to no end

_log = Logger()


class Syncs(WatchedMirror, Protocol):
    """What the daemon needs of a mirror. Safe for several threads."""

    def sync(
        self,
        actor: Actor,
        names: Sequence[str] = (),
        repos: Collection[Repo] | None = None,
        until: datetime | None = None,
    ) -> RunReport:
        """Bring jobs, or single repos of them, up to date for `actor`; a run that goes on at `until` is stopped."""
        ...

    def tend(self, actor: Actor, care: Care) -> None:
        """Verify or prune all targets."""
        ...

    def watch_names(self, actor: Actor) -> float:
        """Look at the names that targets have, and at grey releases; returns in how many seconds to look again."""
        ...

    def look_at_wanted(self, target: str, repo: Repo) -> WantedVerdict:
        """What an upstream and the rules say of a repo that is not here. MirrorError."""
        ...

    def note_asked(self, target: str, repo: Repo) -> None:
        """A reader asks a front for a repo that is not in a target."""
        ...

    def is_taken_down(self, target: str, repo: Repo) -> bool:
        """Whether a person has taken a repo down. StoreError, DocumentError."""
        ...

    def is_cold(self, target: str, digest: Sha256) -> bool:
        """Whether a blob lies in the cold tier of a target alone. StoreError."""
        ...

    def thaw(self, target: str, repo: Repo) -> MovedRepo:
        """Bring back what lies there of a repo. MirrorError, OSError."""
        ...

    def sweep(self) -> None:
        """Remove what uploads have left that nobody goes on with."""
        ...

    def keep_replicas(self) -> None:
        """From now on, until it is closed, copy to the replicas of targets beside all else. Returns at once."""
        ...

    def close(self) -> None:
        """Give back what it holds open."""
        ...


class MayBegin(Protocol):
    """Who of several daemons may begin something now. Safe for several threads."""

    def begin(self, job: str | None) -> bool:
        """Whether a run may begin: asked right before, and told of all of a job. None for anything else."""
        ...

    def ended(self, job: str) -> None:
        """The run of all of a job has come to its end, not to a stop."""
        ...

    def why_not(self) -> str:
        """Why nothing begins here."""
        ...


class OnlyDaemon:
    """The only daemon there is."""

    def begin(self, job: str | None) -> bool:
        return True

    def ended(self, job: str) -> None:
        """Nobody has to know."""

    def why_not(self) -> str:
        return "the daemon is stopping"


Came = RunReport | Exception | None  # what a run came to: what ended it without a report; None: it did not begin


def _is_open(job: Job) -> bool:
    now = datetime.now(UTC)
    closes = _closes(job, now)
    return closes is None or closes > now


def _closes(job: Job, now: datetime) -> datetime | None:
    """When the hours of a job end, `now` outside of them; None where they never do."""
    return job.schedule.only.closes(now) if job.schedule and job.schedule.only else None


class Runs:
    """Safe for many threads. A job runs once at a time as a whole, and once beside that for single repos.

    What nobody ordered (by its schedule, a webhook, a try that follows a failure) begins and ends with the job's hours.

    `tell` gets the runs that end without a report; `on_change` is called when one has begun or ended, `learn` with the
    job, the repos (None for all of it) and what came of each. `turns` says of each whether it may begin.
    """

    def __init__(
        self,
        stop: threading.Event,
        tell: Observer,
        on_change: Callable[[], None],
        learn: Callable[[str, Collection[Repo] | None, Came], None] = lambda job, repos, came: None,
        turns: MayBegin | None = None,
    ) -> None:
        self._stop, self._tell, self._on_change, self._learn = stop, tell, on_change, learn
        self._turns = turns or OnlyDaemon()
        self._changed = threading.Condition()
        self._running: dict[Slot, Syncs] = {}
        self._waiting = RequestQueue()
        self._current: tuple[Settings, Syncs] | None = None
        self._retired: list[Syncs] = []
        self._looking: Syncs | None = None  # the mirror whose names are looked at
        self._pool = ThreadPoolExecutor(AT_ONCE, "asked")

    @property
    def mirror(self) -> Syncs | None:
        """The mirror of the jobs.yaml that holds now; None before the first."""
        with self._changed:
            return None if self._current is None else self._current[1]

    def take(self, settings: Settings, mirror: Syncs) -> None:
        """From now on runs begin on this mirror, with these jobs."""
        with self._changed:
            old, self._current = self._current, (settings, mirror)
            self._waiting.keep({job.name for job in settings.jobs})
            self._retire(None if old is None else old[1])

    def leave(self) -> None:
        """From now on nothing begins until the next `take`, and what was asked for is forgotten."""
        with self._changed:
            old, self._current = self._current, None
            self._waiting.keep(())
            self._retire(None if old is None else old[1])

    def await_end(self) -> None:
        """Return when nothing goes on."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running and self._looking is None)

    def names(self) -> frozenset[str]:
        """The jobs that something runs of."""
        with self._changed:
            return frozenset(lane.job for lane in self._running)

    def lanes(self) -> list[str]:
        """What runs, for a person."""
        with self._changed:
            return sorted(map(str, self._running))

    def due(self, name: str) -> None:
        """Run a job, in this thread; not where it runs already. Whatever happens, it can be tried again.

        A time that comes late, outside of its hours, waits for the next ones; so does a paused job.
        """
        if not self._is_paused(name):
            self._run(Slot(name, whole=True), asked=False)

    def tend(self, care: Care) -> None:
        """Verify or prune all targets, in this thread; not where that goes on already."""
        lane = Slot(f"({care})", whole=True)  # no job can be named so
        with self._changed:
            if self._current is None or self._stop.is_set() or lane in self._running:
                return
            mirror = self._running[lane] = self._current[1]
        self._on_change()
        try:
            if not self._may_begin(lane):
                return
            mirror.tend(BY_DAEMON, care)
            self._note_end(lane)
        except Interrupted:
            pass  # by the end of this daemon, or of its lease: whoever goes on does it again
        except Exception as error:  # whatever it is, the next time may be better
            _log.error("tending.failed", care=care, reason=f"{type(error).__name__}: {error}", exc_info=True)
        finally:
            self._end(lane)

    def watch_names(self) -> float:
        """Look at names and grey releases, in this thread; returns the seconds until it should be done again."""
        with self._changed:
            if self._current is None or self._stop.is_set():
                return LOOK_AGAIN
            mirror = self._looking = self._current[1]
        try:
            if not self._turns.begin(None):
                return LOOK_AGAIN
            return mirror.watch_names(BY_DAEMON)
        except Exception as error:  # whatever it is, the next time may be better
            _log.error("names.not-seen", reason=f"{type(error).__name__}: {error}", exc_info=True)
            return LOOK_AGAIN
        finally:
            with self._changed:
                self._looking = None
                self._retire(None)
                self._changed.notify_all()

    def ask(self, text: str, actor: Actor) -> tuple[Started, ...]:
        """Start the job of that name, or the repo in every job that names it, for `actor`. UsageError where there is
        none.
        """
        named = {job.name: job for job in self._jobs()}
        if text in named:
            return (self._ask(named[text], None, actor),)
        try:
            repo = Repo.parse(text) if "/" in text or ":" in text else None
        except ValueError as error:
            raise UsageError(str(error)) from error
        begun = () if repo is None else self.ask_repo(repo, actor)
        if not begun:
            denied = "" if repo is None else denials(self._jobs(), repo)
            near = "" if repo is None else f": {denied}" if denied else self._meant(repo)
            known = jobs_instead(text, self._jobs()) if repo is None else near
            raise UsageError(f"jobs.yaml has no job {'that names ' * (repo is not None)}{text}{known}")
        return begun

    def _meant(self, repo: Repo) -> str:
        patterns = (pattern for job in self._jobs() for pattern in job.repos)
        return did_you_mean(RepoPattern(repo.kind, repo.id), patterns)

    def ask_repo(self, repo: Repo, actor: Actor) -> tuple[Started, ...]:
        """Likewise; empty where no job names it."""
        jobs = [job for job in self._jobs() if job.names(repo)]
        over = self._passed_over(jobs, repo)
        return tuple(
            Started(job.name, str(repo), RequestState.PASSED_OVER) if job in over else self._ask(job, repo, actor)
            for job in jobs
        )

    def hint(self, repo: Repo, revisions: Collection[str] = ()) -> tuple[Started, ...]:
        """A repo may have changed: as above, for jobs that are within their hours, if they have any.

        Where `revisions` are given, for jobs that follow one of them. The repo goes by its upstream's name.
        """
        named = [(job, job.published(repo)) for job in self._jobs()]
        jobs = [(job, mine) for job, mine in named if job.names(mine)]
        return tuple(
            self._ask(job, mine, BY_WEBHOOK, order=False)
            if _is_open(job)
            else Started(job.name, str(mine), RequestState.CLOSED)
            for job, mine in jobs
            if not revisions or any(map(job.follows, revisions))
        )

    def wanted(self, target: str, repo: Repo) -> tuple[Started, ...]:
        """Somebody asked a front of a target for a repo that is not there: as `hint`, by its name here.

        Of a job with a ranking nothing is started: what it takes, its own runs find.
        """
        named = [job for job in self._jobs() if job.target == target and job.names(repo)]
        return tuple(self._wanted(job, repo) for job in named)

    def _wanted(self, job: Job, repo: Repo) -> Started:
        if job.ranking is not None:
            return Started(job.name, str(repo), RequestState.PASSED_OVER)
        if not _is_open(job):
            return Started(job.name, str(repo), RequestState.CLOSED)
        return self._ask(job, repo, BY_DAEMON, order=False)

    def again(self, name: str, repos: Collection[Repo] | None) -> bool:
        """Try these repos of a job once more, or all of it; not outside of its hours. Whether anything will run."""
        with self._changed:
            jobs = () if self._current is None or self._stop.is_set() else self._current[0].jobs
        job = next((job for job in jobs if job.name == name), None)
        named = None if repos is None or job is None else [repo for repo in repos if job.names(repo)]
        if job is None or named == [] or not _is_open(job) or self._is_paused(name):
            return False
        return not self._put(job, named, BY_DAEMON).idle

    def end(self, grace: float) -> bool:
        """After `stop` was set: wait for `grace` seconds; returns whether all runs have ended."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            self._changed.wait_for(lambda: not self._running and self._looking is None, grace)
            clean = not self._running  # a look that goes on waits for somebody's answer, and has nothing to lose
            self._retire(None if self._current is None else self._current[1])
        return clean

    def _jobs(self) -> Sequence[Job]:
        with self._changed:
            if self._current is None or self._stop.is_set():
                raise UsageError(self._turns.why_not())
            return self._current[0].jobs

    def _is_paused(self, job: str) -> bool:
        with self._changed:
            if self._current is None or job not in Pauses(self._current[0].state_dir).all():
                return False
        _log.info("job.not-started", job=job, reason="it is paused")
        return True

    def _passed_over(self, jobs: Sequence[Job], repo: Repo) -> list[Job]:
        ranked, mirror = [job for job in jobs if job.ranking is not None], self.mirror
        if not ranked or mirror is None:
            return []
        try:
            statuses, runs = mirror.remembered()
        except OSError:  # then nobody knows, and a run finds out
            return []
        return [job for job in ranked if passed_over(job, repo, statuses, runs)]

    def _ask(self, job: Job, repo: Repo | None, actor: Actor, *, order: bool = True) -> Started:
        named = None if repo is None else str(repo)
        if self._is_paused(job.name):
            return Started(job.name, named, RequestState.PAUSED)
        return Started(job.name, named, self._put(job, None if repo is None else [repo], actor, order=order))

    def _put(self, job: Job, repos: Collection[Repo] | None, actor: Actor, *, order: bool = False) -> RequestState:
        """Of the whole job for None. One run begins for all of them."""
        lane = Slot(job.name, whole=repos is None)
        with self._changed:
            wanted = [None] if repos is None else repos
            new = [self._waiting.add(job.name, repo, actor, order=order) for repo in wanted]
            if not any(new):
                return RequestState.MERGED
            if lane in self._running:
                return RequestState.WAITS
        self._begin(lane)
        return RequestState.STARTED

    def _begin(self, lane: Slot) -> None:
        try:
            self._pool.submit(self._run, lane)
        except RuntimeError:  # the pool is shut down: so is the daemon
            _log.info("job.not-started", job=lane.job, reason="the daemon is stopping")

    def _run(self, lane: Slot, *, asked: bool = True) -> None:
        self._bring(lane, asked=asked)
        with self._changed:
            rests = not self._running
        if rests:  # the report is gone by now
            _give_back()

    def _bring(self, lane: Slot, *, asked: bool) -> None:
        with self._changed:
            turn = self._turn(lane, asked=asked)
            if turn is None:
                return
            mirror, until = turn
            late = until is not None and until <= datetime.now(UTC)
            actor = self._waiting.actor(lane) if asked else BY_DAEMON
            waited = frozenset() if late and not asked else self._waiting.take(lane)
            if not late:
                self._running[lane] = mirror
        repos = None if lane.whole else waited
        if late:
            _log.info("job.not-started", job=lane.job, reason="it comes late, outside of its hours")
            self._learn(lane.job, repos, None)
            return
        try:
            self._on_change()
            if not self._may_begin(lane):
                self._learn(lane.job, repos, None)
                return
            came = self._sync(mirror, lane, repos, until, actor)
            self._note_end(lane)
            self._learn(lane.job, repos, came)
        except Exception as error:  # in a thread whose end nobody looks at
            _log.error("job.failed", job=lane.job, reason=f"internal error: {type(error).__name__}: {error}")
        finally:
            self._end(lane)

    def _may_begin(self, lane: Slot) -> bool:
        """The last question before it begins; as long as nobody can answer it, this waits."""
        if self._turns.begin(lane.job if lane.whole else None):
            return True
        _log.info("job.not-started", job=lane.job, reason=self._turns.why_not())
        return False

    def _note_end(self, lane: Slot) -> None:
        if lane.whole:
            self._turns.ended(lane.job)

    def _turn(self, lane: Slot, *, asked: bool) -> tuple[Syncs, datetime | None] | None:
        """The mirror that a run begins on now, and when it has to end; None where nothing is to begin."""
        if self._current is None or self._stop.is_set() or lane in self._running:
            return None
        settings, mirror = self._current
        job = next((job for job in settings.jobs if job.name == lane.job), None)
        if job is None or (asked and not self._waiting.holds(lane)):
            return None
        return mirror, None if self._waiting.is_order(lane) else _closes(job, datetime.now(UTC))

    def _sync(
        self, mirror: Syncs, lane: Slot, repos: Collection[Repo] | None, until: datetime | None, actor: Actor
    ) -> Came:
        """Its report, or what ended it without one, which is said."""
        try:
            return mirror.sync(actor, [lane.job], repos, until)
        except Exception as error:
            known = isinstance(error, MirrorError | OSError)
            code = error.code if isinstance(error, MirrorError) else "os" if known else "internal"
            if lane.whole:  # single repos say nothing of how their job is
                self._tell(RunAborted(lane.job, code))
            said = str(error) if known else f"internal error: {type(error).__name__}: {error}"
            _log.error("job.failed", job=lane.job, reason=said, exc_info=True)
            return error

    def _end(self, lane: Slot) -> None:
        with self._changed:
            del self._running[lane]
            again = self._waiting.holds(lane) and not self._stop.is_set()
            self._changed.notify_all()  # also where a mirror that is closed below raises
            self._retire(None)
        self._on_change()
        if again:
            self._begin(lane)

    def _retire(self, mirror: Syncs | None) -> None:
        """Close mirrors that are no longer current, as soon as nothing runs on them."""
        if mirror is not None:
            self._retired.append(mirror)
        for old in [old for old in self._retired if old not in (*self._running.values(), self._looking)]:
            self._retired.remove(old)
            old.close()


def _give_back() -> None:
    """Have the kernel take what a run has needed and nobody holds: a daemon rests for hours, and malloc keeps it."""
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc's alone
        ctypes.CDLL(None).malloc_trim(0)
