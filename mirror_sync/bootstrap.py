"""Assembles the program from its settings: the only place that names every adapter."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

import structlog
from filelock import FileLock, Timeout

from mirror_sync.config.places import place_of
from mirror_sync.config.settings import DirectoryTarget, DirectoryUpstream, Settings
from mirror_sync.config.settings import Target as TargetSettings
from mirror_sync.config.settings import Upstream as UpstreamSettings
from mirror_sync.domain.bandwidth import Bandwidth
from mirror_sync.domain.difference import Difference
from mirror_sync.domain.events import Event, Observer, tell_all
from mirror_sync.domain.job import Job
from mirror_sync.domain.keys import refs_key
from mirror_sync.domain.notices import Hooks
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.report import PlanReport, PruneReport, RepoStatus, RunReport, VerifyReport
from mirror_sync.domain.traffic import Traffic, TrafficReport
from mirror_sync.domain.upstream import BudgetState
from mirror_sync.engine.crew import Crew
from mirror_sync.engine.difference import difference
from mirror_sync.engine.prune import Prune
from mirror_sync.engine.published import mirrored_repos, published_snapshots
from mirror_sync.engine.run import PARTS_AT_ONCE, REPOS_AT_ONCE, plan_jobs, sync_jobs
from mirror_sync.engine.site import Site, Target
from mirror_sync.engine.stopping import Until, stop_of_run
from mirror_sync.engine.sweep import sweep_uploads
from mirror_sync.engine.verify import Scope, Verification
from mirror_sync.errors import Interrupted, StoreError, StoreUnavailable, UsageError
from mirror_sync.front.access_log import count_hits, lines_of
from mirror_sync.observers.checkpoint import FileCheckpoint
from mirror_sync.observers.courier import Courier
from mirror_sync.observers.history import RUNS_KEPT, History, RunRecord
from mirror_sync.observers.notices import Notices
from mirror_sync.observers.traffic_file import keep_traffic
from mirror_sync.ports import Source, Store
from mirror_sync.sources.budget import Budgets, Waiting
from mirror_sync.sources.failover import FailoverSource
from mirror_sync.sources.pacing import Timing
from mirror_sync.sources.ration import Ration, Rations
from mirror_sync.sources.retrying import RetryingSource, RetryPolicy
from mirror_sync.stores.index import SqliteIndex
from mirror_sync.stores.looks import SqliteLooks
from mirror_sync.stores.notes import SqliteNotes

_LOCK_POLL = 0.2  # seconds between two looks at the stop event
_LAST_WORDS = 3.0  # seconds that hooks get after a stop
_CONNECTIONS = 32  # to one host, for those who run no jobs: the fronts, verify, prune
_ANY_KEY = refs_key(Repo(Kind.MODEL, "mirror-sync/probe"))

Made = TypeVar("Made")

_log = structlog.get_logger("mirror_sync.bootstrap")


class _Once(Generic[Made]):
    """Makes a value when it is first asked for; threads that ask at once get the same one."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make, self._lock = make, threading.Lock()
        self.made: Made | None = None

    def __call__(self) -> Made:
        with self._lock:
            if self.made is None:
                self.made = self._make()
            return self.made


class Mirror:
    """The program, assembled. Safe for several threads; each verb may be called again and again.

    `stop` ends every verb early. OSError when the state folder cannot be written.
    """

    def __init__(
        self, settings: Settings, observers: Sequence[Observer] = (), stop: threading.Event | None = None
    ) -> None:
        self.settings = settings
        self.stop = stop or threading.Event()
        self._observers = tuple(observers)
        self._courier = Courier(self.settings.hooks)
        self._overhears: list[Observer] = []
        self._history = _Once(lambda: History(self.settings.state_dir / "history.db", places=places_of(settings)))
        self._assembled = _Once(self._assemble)

    @property
    def history(self) -> History:
        return self._history()

    def jobs(self, names: Sequence[str] = ()) -> tuple[Job, ...]:
        """All jobs, or those named, in the order of jobs.yaml. UsageError for a name that is none."""
        known = {job.name: job for job in self.settings.jobs}
        for name in names:
            if name not in known:
                raise UsageError(f"{self.settings.path.name} has no job {name!r}; it has: {', '.join(known)}")
        return tuple(job for job in self.settings.jobs if not names or job.name in names)

    def sync(
        self, names: Sequence[str] = (), repos: Collection[Repo] | None = None, until: datetime | None = None
    ) -> RunReport:
        """Bring the named jobs' repos up to date: all of them, or `repos` alone. What fails is in the report.

        A run that goes on at `until` is stopped as by `stop`: what came is kept, and the report says what is left.
        """
        only = None if repos is None else frozenset(repos)
        jobs = self.jobs(names) if only is None else tuple(replace(job, only=only) for job in self.jobs(names))
        site = self._site
        if until is not None:
            site = replace(site, stop=Until(self.stop, until, site.clock))
        return sync_jobs(site, jobs, self.settings.jobs)

    def plan(self, names: Sequence[str] = ()) -> PlanReport:
        """What a sync would do; writes nothing to a target."""
        return plan_jobs(self._site, self.jobs(names), self.settings.jobs)

    def verify(self, scope: Scope | None = None) -> VerifyReport:
        """Re-hash what the targets publish; go on where an interrupted verify of the same scope had stopped."""
        checkpoint = FileCheckpoint(self.settings.state_dir / "verify.json")
        return Verification(self._site, scope, self.settings.jobs, checkpoint).run()

    def prune(self, *, dry_run: bool = False) -> PruneReport:
        """Remove what nothing refers to any more, and uploads that nobody went on with; `dry_run` removes nothing."""
        if not dry_run:
            self.sweep()
        return Prune(self._site, self.settings.jobs, dry_run=dry_run).run()

    def sweep(self) -> None:
        """Remove from every target what uploads have left that nobody went on with for a week.

        What goes wrong is logged: not every S3-compatible server can list them, and they harm nobody.
        """
        for target in self._site.targets.values():
            if self.stop.is_set():
                return
            try:
                count = sweep_uploads(target)
            except StoreError as error:
                _log.warning("sweep.failed", target=target.name, reason=str(error))
                continue
            if count:
                _log.info("sweep.done", target=target.name, uploads=count)

    def status(self) -> tuple[RepoStatus, ...]:
        """What is remembered of every repo of the jobs that exist now."""
        names = {job.name for job in self.settings.jobs}
        return tuple(status for status in self.history.latest() if status.job in names)

    def diff(self, target: str, repo: Repo, before: str | None = None, after: str | None = None) -> Difference:
        """What changed between two snapshots that a target publishes. UsageError for what is not mirrored."""
        return difference(self.store(target), repo, before, after)

    def traffic(self, target: str, logs: Sequence[str]) -> TrafficReport:
        """Who reads a target, by the logs of its nginx; kept as traffic.json in the state folder."""
        store = self.store(target)
        traffic = Traffic(mirrored_repos(store))
        unread = count_hits(lines_of(logs), traffic.add)
        report = traffic.report(published_snapshots(store), datetime.now(UTC), unread)
        keep_traffic(self.settings.state_dir, report)
        return report

    def remembered(self) -> tuple[tuple[RepoStatus, ...], tuple[RunRecord, ...]]:
        """What the history knows: every repo that a job still names, and the runs, newest first.

        OSError when it can be neither read nor made.
        """
        jobs = {job.name: job for job in self.settings.jobs}
        named = (status for status in self.history.latest() if status.job in jobs)
        return tuple(status for status in named if _names(jobs[status.job], status)), self.history.runs(RUNS_KEPT)

    def budgets(self) -> Mapping[str, Mapping[str, BudgetState]]:
        """By upstream and kind of call, what its last answers left; empty before the first run."""
        site = self._assembled.made
        return {} if site is None else {name: source.budget() for name, source in site.sources.items()}

    def probe(self, target: str) -> bool:
        """Whether a target answers: one look for a key that need not be there."""
        try:
            self._site.targets[target].store.stat(_ANY_KEY)
        except (StoreError, OSError) as error:
            _log.debug("target.silent", target=target, reason=str(error))
            return False
        return True

    def store(self, target: str) -> Store:
        """A target's store, as a front reads it. UsageError for a name that is none."""
        if target not in self.settings.targets:
            known = ", ".join(self.settings.targets)
            raise UsageError(f"{self.settings.path.name} has no target {target!r}; it has: {known}")
        return open_store(self.settings.targets[target], unsigned=self.settings.front.bucket == "public")

    def _notices(self) -> Observer:
        """Before the history: what it remembers then is what was known before."""
        return Notices(self.history.latest, self._courier)

    def work(self, errands: int, on_ready: Callable[[str], None]) -> None:
        """Be a worker of the scheduler that jobs.yaml names, `errands` at once, until SIGTERM or SIGINT.

        Must be called in the main thread. `on_ready` gets the worker's address. UsageError where jobs.yaml names no
        scheduler; ClusterError when none answers, or when it is lost.
        """
        if self.settings.engine is None:
            raise UsageError(
                f"{self.settings.path.name} names no scheduler; write engine: {{kind: dask, address: ...}}"
            )
        from mirror_sync.cluster.link import import_distributed

        import_distributed()
        from mirror_sync.cluster.worker import Post, WorkerProcess

        process = WorkerProcess(self.settings.engine.address, Post(self._site, sides_of(self.settings), errands))
        self._overhears.append(process.overhear)
        process.run(on_ready)

    def close(self) -> None:
        """Wait for hooks under way, a moment only after a stop; close the history, if it was opened."""
        self._courier.close(_LAST_WORDS if self.stop.is_set() else _patience(self.settings.hooks))
        if self._history.made is not None:
            self._history.made.close()

    @property
    def _site(self) -> Site:
        return self._assembled()

    def _assemble(self) -> Site:
        tell = tell_all((self._notices(), self.history, *self._observers, self._overheard))
        budgets = Budgets(Waiting(self._sleep, random.random, tell))
        plain = {name: self._plain(upstream, budgets, tell) for name, upstream in self.settings.upstreams.items()}
        common = self._ration(self.settings.bandwidth, self.settings.connections)
        rations = Rations(self._ration)

        def own(job: Job) -> Source | None:  # as the job says, which may be another machine's
            ration = rations.of(job)
            return self._source((ration + common).on(plain[job.upstream]), tell) if ration else None

        return Site(
            sources={name: self._source(common.on(source), tell) for name, source in plain.items()},
            own=own,
            targets={name: self._target(target) for name, target in self.settings.targets.items()},
            tell=tell,
            clock=partial(datetime.now, UTC),
            stop=self.stop,
            looked=self.history.looked,
            crew=self._crew(),
        )

    def _crew(self) -> Crew | None:
        engine = self.settings.engine
        if engine is None:
            return None
        from mirror_sync.cluster.crew import DaskCrew

        return DaskCrew(engine.address, engine.wait, sides_of(self.settings))

    def _overheard(self, event: Event) -> None:
        for observer in self._overhears:
            observer(event)

    def _plain(self, upstream: UpstreamSettings, budgets: Budgets, tell: Observer) -> Source:
        jobs = (job for job in self.settings.jobs if job.upstream == upstream.name)
        return _plain_source(upstream, budgets, connections_of(jobs), tell)

    def _ration(self, bandwidth: Bandwidth, connections: int | None) -> Ration:
        return Ration.of(bandwidth, connections, Timing(self._sleep), partial(self._sleep, 0.0))

    def _source(self, limited: Source, tell: Observer) -> Source:
        """Repetitions stand outside the limits: who waits for the next try holds no connection."""
        return RetryingSource(limited, RetryPolicy(), tell, self._sleep, random.random)

    def _sleep(self, seconds: float) -> None:
        if stop_of_run(self.stop).wait(seconds):
            raise Interrupted("stopped while waiting")

    def _target(self, target: TargetSettings) -> Target:
        state = self.settings.state_dir
        jobs = (job for job in self.settings.jobs if job.target == target.name)
        place = place_of(target)
        return Target(
            name=target.name,
            store=open_store(target, connections_of(jobs)),
            index=SqliteIndex(state / "index.db", place),
            notes=SqliteNotes(state / "uploads.db", place),
            lock=partial(self._locked, state / "locks" / sha256(place.encode()).hexdigest()[:12]),
            grace=target.grace,
            looks=SqliteLooks(state / "looks.db", place),
        )

    @contextmanager
    def _locked(self, folder: Path, repo: Repo) -> Iterator[None]:
        """One writer a repo and target on this machine; waiting for it can be stopped."""
        path = folder / f"{repo.kind.plural}-{repo.id.replace('/', '--')}.lock"
        lock = FileLock(path, thread_local=False, is_singleton=False)
        while True:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=_LOCK_POLL)
                break
            except Timeout:
                if stop_of_run(self.stop).is_set():
                    raise Interrupted(f"stopped while waiting for {path}") from None
            except OSError as error:
                raise StoreUnavailable(f"{path}: {error.strerror or error}") from error
        try:
            yield
        finally:
            lock.release()


def _patience(hooks: Hooks) -> float:
    """Seconds that the slowest hook may take."""
    return max((hook.timeout.total_seconds() for each in hooks.values() for hook in each), default=0.0)


def _names(job: Job, status: RepoStatus) -> bool:
    try:
        return job.names(Repo(status.kind, status.repo)) and job.follows(status.revision)
    except ValueError:
        return False  # a pattern that could not be listed has a row, too


def places_of(settings: Settings) -> dict[str, str]:
    """Where each job publishes: the same text for the same place, however its target is named."""
    return {job.name: place_of(settings.targets[job.target]) for job in settings.jobs}


def sides_of(settings: Settings) -> dict[str, str]:
    """What each upstream and target is, without secrets, in a word: other machines must mean the same by a name."""
    named = {f"upstream {name}": repr(side) for name, side in settings.upstreams.items()}
    named |= {f"target {name}": repr(side) for name, side in settings.targets.items()}
    return {name: sha256(said.encode()).hexdigest()[:16] for name, said in named.items()}


def connections_of(jobs: Iterable[Job]) -> int:
    """As many connections to one host as these jobs can keep busy side by side."""
    return max(_CONNECTIONS, sum(job.workers + PARTS_AT_ONCE + REPOS_AT_ONCE for job in jobs))


def open_store(target: TargetSettings, connections: int = _CONNECTIONS, *, unsigned: bool = False) -> Store:
    """The adapter for a target's settings. It connects at its first call. `unsigned` reads a public bucket."""
    if isinstance(target, DirectoryTarget):
        from mirror_sync.stores.directory import DirectoryStore

        return DirectoryStore(target.root)
    from mirror_sync.stores.s3 import S3Options, S3Store

    options = S3Options(
        endpoint_url=target.endpoint_url,
        region=target.region,
        access_key=target.access_key or "",
        secret_key=target.secret_key or "",
        addressing=target.addressing,
        sign_parts=target.sign_parts,
        max_connections=connections,
        unsigned=unsigned,
    )
    return S3Store(target.bucket, target.prefix, options)


def _plain_source(upstream: UpstreamSettings, budgets: Budgets, connections: int, tell: Observer) -> Source:
    if isinstance(upstream, DirectoryUpstream):
        from mirror_sync.sources.directory import DirectorySource

        return DirectorySource(upstream.root)
    from mirror_sync.sources.hub import HubSource
    from mirror_sync.sources.network import Timeouts
    from mirror_sync.sources.transport import Transport

    limits = upstream.timeouts
    timeouts = Timeouts(
        connect=limits.connect,
        read=limits.stall,
        first_byte=limits.first_byte,
        min_rate=limits.min_rate,
        over=limits.over,
    )
    transport = Transport(timeouts=timeouts, connections=connections)
    return FailoverSource(
        [
            HubSource(
                endpoint,
                upstream.token,
                transport,
                budget=budgets.of(endpoint, upstream.token, upstream.reserve),
                allow_private=upstream.allow_private,
                tell=tell,
            )
            for endpoint in upstream.endpoints
        ]
    )
