"""The program's verbs, over what was assembled."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

import structlog

from mirror_sync.app.catalogues import Catalogues
from mirror_sync.app.fingerprints import fingerprints_of, places_of
from mirror_sync.app.ranked import still_meant
from mirror_sync.catalogue.publication import PublishResult
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.content.difference import Difference
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.upstream import BudgetState
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.outcome.events import Care, Event, Observer, Tended, tell_all
from mirror_sync.domain.outcome.notices import Alarm, Hooks
from mirror_sync.domain.outcome.report import PlanReport, PruneReport, RepoStatus, RunReport, VerifyReport
from mirror_sync.domain.outcome.traffic import Traffic, TrafficReport
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.domain.times import iso_utc
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.published import mirrored_repos, published_snapshots
from mirror_sync.engine.published_names import published_as
from mirror_sync.engine.run import plan_jobs, sync_jobs
from mirror_sync.engine.stopping import Until
from mirror_sync.engine.upkeep.compare_snapshots import difference
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.engine.upkeep.sweep import sweep_uploads
from mirror_sync.engine.upkeep.verify import Scope, Verification
from mirror_sync.engine.vanished import is_emptied
from mirror_sync.errors import DocumentError, StoreError, StoreUnavailable, UsageError, Vanished
from mirror_sync.front.hub.access_log import count_hits, lines_of
from mirror_sync.observe.notify.hook_delivery import HookDelivery
from mirror_sync.observe.notify.news import News
from mirror_sync.observe.notify.state_notices import Notices
from mirror_sync.owners import is_there
from mirror_sync.ports.store import Store
from mirror_sync.state.history import RUNS_KEPT, History
from mirror_sync.state.locks import kept_checkpoint
from mirror_sync.state.records import RunRecord
from mirror_sync.state.traffic_file import keep_traffic, told_before
from mirror_sync.wiring.adapters import open_store
from mirror_sync.wiring.assembly import Assembly

_LAST_WORDS = 3.0  # seconds that hooks get after a stop
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

    `stop` ends every verb early. `learn` is told the secrets that come up while it works, as the keys of a role.
    `reading`: for the verbs that change nothing, and then nothing is written in the state folder.
    OSError when the state folder cannot be written, or is none.
    """

    def __init__(
        self,
        settings: Settings,
        observers: Sequence[Observer] = (),
        stop: threading.Event | None = None,
        learn: Callable[[Iterable[str]], None] = lambda _: None,
        *,
        reading: bool = False,
    ) -> None:
        self.settings, self._learn, self._reading = settings, learn, reading
        if reading and is_there(settings.state_dir) and not settings.state_dir.is_dir():  # it would look empty
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(settings.state_dir))
        self.stop = stop or threading.Event()
        self._observers = tuple(observers)
        self._hook_delivery = HookDelivery(self.settings.hooks)
        self._overhears: list[Observer] = []
        history = settings.state_dir / "history.db"
        self._history = _Once(lambda: History(history, places=places_of(settings), reading=reading))
        self._assembled = _Once(self._assemble)
        self._tell = _Once(self._told)
        self._catalogues = _Once(lambda: Catalogues(settings, self.history, self._tell(), self.stop))

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
        self,
        names: Sequence[str] = (),
        repos: Collection[Repo] | None = None,
        until: datetime | None = None,
        *,
        anew: bool = False,
    ) -> RunReport:
        """Bring the named jobs' repos up to date: all of them, or `repos` alone. What fails is in the report.

        A run that goes on at `until` is stopped as by `stop`: what came is kept, and the report says what is left.
        `anew`: a target that has lost all that was published there was emptied on purpose.
        """
        only = None if repos is None else frozenset(repos)
        jobs = self.jobs(names) if only is None else tuple(replace(job, only=only) for job in self.jobs(names))
        context = self._context
        if until is not None:
            context = replace(context, stop=Until(self.stop, until, context.clock))
        if anew:
            context = replace(context, remembered=lambda target: frozenset())
        report = sync_jobs(context, jobs, self.settings.jobs)
        targets = {job.name: job.target for job in jobs}
        doubted = {targets[repo.job] for repo in report.repos if repo.code == Vanished.code}
        self._publish_catalogues({job.target for job in jobs}, doubted)
        return report

    def plan(self, names: Sequence[str] = ()) -> PlanReport:
        """What a sync would do; writes nothing to a target."""
        return plan_jobs(self._context, self.jobs(names), self.settings.jobs)

    def verify(self, scope: Scope | None = None) -> VerifyReport:
        """Re-hash what the targets publish; go on where an interrupted verify of the same scope had stopped.

        UsageError for a repo of the scope that no target publishes.
        """
        scope = scope or Scope()
        if scope.repo is not None:
            self._expect(scope.repo)
        with kept_checkpoint(self.settings.state_dir, scope.place) as checkpoint:
            report = Verification(self._context, scope, self.settings.jobs, checkpoint).run()
        if scope.repo is not None and report.ok and not report.repos:  # taken down meanwhile
            raise UsageError(f"nothing of {scope.repo} is mirrored")
        if scope.whole and not report.interrupted:
            wrong = Counter(fault.target for fault in (*report.faults, *report.unreadable))
            self._tended(Care.VERIFY, report.targets, wrong)
        return report

    def _expect(self, repo: Repo) -> None:
        """UsageError for what is nowhere; the StoreError of a target that may have it, and cannot be read."""
        known: set[Repo] = set()
        silent: StoreError | None = None
        for name, target in self._context.targets.items():
            try:
                here = {*mirrored_repos(target.store), *self._published_in(name)}
                if published_as(target.store, repo, here) is not None:
                    return
                known |= here
            except StoreError as error:
                silent = error
        if silent is not None:
            raise silent
        near = did_you_mean(RepoPattern(repo.kind, repo.id), (RepoPattern(one.kind, one.id) for one in known))
        raise UsageError(f"nothing of {repo} is mirrored{near}")

    def _tended(self, care: Care, targets: Iterable[str], faults: Mapping[str, int]) -> None:
        for name in targets:
            self._tell()(Tended(name, care, self._context.now(), faults.get(name, 0)))

    def tend(self, care: Care) -> None:
        """What the daemon does to all targets when it is due; the log and the history say what came of it."""
        if care is Care.PRUNE:
            for problem in self.prune().problems:
                _log.error("tending.failed", care=care, reason=problem)
            return
        care_of = self.settings.maintenance
        report = self.verify(Scope(sample=care_of.sample, rate=care_of.rate))
        doubted = {fault.target for fault in report.faults if fault.code == Vanished.code}
        self._publish_catalogues({job.target for job in self.settings.jobs}, doubted)

    def prune(self, *, dry_run: bool = False, everything: str | None = None) -> PruneReport:
        """Remove what nothing refers to any more, and uploads that nobody went on with; `dry_run` removes nothing.

        `everything` names a target that may lose all its blobs where it publishes no repo; UsageError for one that is
        none.
        """
        if everything is not None:
            self.store(everything)
        if not dry_run:
            self.sweep()
        report = Prune(self._context, self.settings.jobs, dry_run=dry_run, everything=everything).run()
        if not dry_run:
            self._tended(Care.PRUNE, report.ended, report.faults)
            self._publish_catalogues({job.target for job in self.settings.jobs}, report.faults)
        return report

    def publish_catalogue(self, target: str) -> PublishResult:
        """Bring the catalogue of a target up to date, all of it compared with what is there.

        UsageError for a target that is none, or where jobs.yaml switches the catalogue off; StoreError, OSError.
        """
        self.store(target)
        if self.settings.site is None:
            raise UsageError(f"{self.settings.path.name} switches the catalogue off; remove site: {{enabled: false}}")
        return self._catalogues().publish_anew(self._context.targets[target])

    def sweep(self) -> None:
        """Remove from every target what uploads have left that nobody went on with for a week.

        What goes wrong is logged: not every S3-compatible server can list them, and they harm nobody.
        """
        for target in self._context.targets.values():
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
        """Who reads a target, by the logs of its nginx; what is found is kept in the state folder.

        DocumentError where no line of them can be read; OSError.
        """
        store = self.store(target)
        traffic = Traffic(mirrored_repos(store))
        lines, unread = count_hits(lines_of(logs), traffic.add)
        if unread and unread == lines:
            raise DocumentError(f"{', '.join(logs)}: no line is of a front's JSON log; what was counted before stays")
        report = traffic.report(published_snapshots(store), datetime.now(UTC), unread)
        self._tell_of_unusual(target, report)
        keep_traffic(self.settings.state_dir, target, report)
        return report

    def _tell_of_unusual(self, target: str, report: TrafficReport) -> None:
        """Once: a log may be read again and again."""
        known = told_before(self.settings.state_dir, target)
        new = tuple(one for one in report.unusual if (one.kind, one.client, one.day.isoformat()) not in known)
        for one in new:
            _log.warning("traffic.unusual", target=target, **one.encode())
        if new:
            self._hook_delivery(Alarm(target, iso_utc(datetime.now(UTC)), new))

    def remembered(self) -> tuple[tuple[RepoStatus, ...], tuple[RunRecord, ...]]:
        """What the history knows: every repo that a job still names, and the runs, newest first.

        OSError when it can be neither read nor made.
        """
        jobs = {job.name: job for job in self.settings.jobs}
        runs = self.history.runs(RUNS_KEPT)
        meant = still_meant(self.status(), self.settings.jobs, runs)
        return tuple(status for status in meant if _names(jobs[status.job], status)), runs

    def tended(self) -> tuple[Tended, ...]:
        """The last verify and prune of each target of jobs.yaml. OSError without a history."""
        return tuple(each for each in self.history.tended() if each.target in self.settings.targets)

    def budgets(self) -> Mapping[str, Mapping[str, BudgetState]]:
        """By upstream and kind of call, what its last answers left; empty before the first run."""
        context = self._assembled.made
        return {} if context is None else {name: source.budget() for name, source in context.sources.items()}

    def probe(self, target: str) -> bool:
        """Whether a target answers: one look for a key that need not be there."""
        try:
            self._context.targets[target].store.stat(_ANY_KEY)
        except (StoreError, OSError) as error:
            _log.debug("target.silent", target=target, reason=str(error))
            return False
        return True

    def store(self, target: str) -> Store:
        """A target's store, as a front reads it. UsageError for a name that is none."""
        if target not in self.settings.targets:
            known = ", ".join(self.settings.targets)
            raise UsageError(f"{self.settings.path.name} has no target {target!r}; it has: {known}")
        unsigned = self.settings.front.bucket == "public"
        return open_store(self.settings.targets[target], unsigned=unsigned, learn=self._learn)

    def work(self, work_items: int, on_ready: Callable[[str], None]) -> None:
        """Be a worker of the scheduler that jobs.yaml names, `work_items` at once, until SIGTERM or SIGINT.

        Must be called in the main thread. `on_ready` gets the worker's address. UsageError where jobs.yaml names no
        scheduler; ClusterError when none answers, or when it is lost.
        """
        if self.settings.engine is None:
            raise UsageError(
                f"{self.settings.path.name} names no scheduler; write engine: {{kind: dask, address: ...}}"
            )
        from mirror_sync.cluster.dask_library import import_distributed

        import_distributed()
        from mirror_sync.cluster.worker import WorkerProcess, WorkerRole

        process = WorkerProcess(
            self.settings.engine.address, WorkerRole(self._context, fingerprints_of(self.settings), work_items)
        )
        self._overhears.append(process.overhear)
        process.run(on_ready)

    def close(self) -> None:
        """Wait for hooks under way, a moment only after a stop; close the history, if it was opened."""
        self._hook_delivery.close(_LAST_WORDS if self.stop.is_set() else _patience(self.settings.hooks))
        if self._history.made is not None:
            self._history.made.close()

    @property
    def _context(self) -> RunContext:
        return self._assembled()

    def _notices(self) -> Observer:
        """Before the history: what it remembers then is what was known before."""
        return Notices(self.history.latest, self._hook_delivery)

    def _assemble(self) -> RunContext:
        assembly = Assembly(self.settings, self.stop, self._learn, reading=self._reading)
        return replace(assembly.context(self._tell(), self.history.looked), remembered=self._published_in)

    def _published_in(self, target: str) -> frozenset[Repo]:
        """The repos that were published in a target, as the history knows, and that a job of it names still.

        What no job names any more may have been taken down on purpose. StoreUnavailable without a history.
        """
        place = place_of(self.settings.targets[target])
        try:
            rows = [row.one_repo for row in self.history.latest() if row.place == place and row.commit]
        except OSError as error:
            raise StoreUnavailable(f"what was published in target {target} is not known: {error}") from error
        jobs = [job for job in self.settings.jobs if job.target == target]
        return frozenset(repo for repo in rows if repo is not None and any(job.means(repo) for job in jobs))

    def _told(self) -> Observer:
        return News(self.history.latest, tell_all((self._notices(), self.history, *self._observers, self._overheard)))

    def _publish_catalogues(self, targets: Collection[str], doubted: Collection[str] = ()) -> None:
        """None goes into a `doubted` target that has lost everything: that may be the folder below a mount."""
        for name in sorted(targets):
            if name not in doubted or not self._is_emptied(name):
                self._catalogues().publish(self._context.targets[name])

    def _is_emptied(self, target: str) -> bool:
        """Not where that cannot be read: whoever writes there then is told."""
        with suppress(StoreError):
            return is_emptied(self._context.targets[target].store, self._published_in(target))
        return False

    def _overheard(self, event: Event) -> None:
        for observer in self._overhears:
            observer(event)


def _patience(hooks: Hooks) -> float:
    """Seconds that the slowest hook may take."""
    return max((hook.timeout.total_seconds() for each in hooks.values() for hook in each), default=0.0)


def _names(job: Job, status: RepoStatus) -> bool:
    repo = status.one_repo  # None: a pattern that could not be listed has a row, too
    return repo is not None and job.names(repo) and job.follows(status.revision)
