"""The daemon's life: start, run jobs when they are due, read jobs.yaml again on SIGHUP, end on SIGTERM."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from socket import gethostname
from typing import TYPE_CHECKING

from mirror_sync.app.triggers import trigger_of
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.daemon.control import controlled, told_progress
from mirror_sync.daemon.health import BEAT
from mirror_sync.daemon.http import answering, leader_route, make_app
from mirror_sync.daemon.lease import LEAST_PATIENCE, LOOKED, Lease, Term
from mirror_sync.daemon.misses import MissDesk, miss_route
from mirror_sync.daemon.notify import Notifier
from mirror_sync.daemon.retries import Ladder, Retries
from mirror_sync.daemon.runs import Came, Runs, Syncs
from mirror_sync.daemon.signals import caught
from mirror_sync.daemon.timetable import Timetable, resumed
from mirror_sync.daemon.watch import DaemonWatch
from mirror_sync.daemon.webhook import webhook_route
from mirror_sync.domain.job.job import Every, Schedule
from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import ConfigError, Fault, MirrorError, StoreDenied, StoreError
from mirror_sync.logger import Logger
from mirror_sync.observe.figures import counted
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.state.pauses import Pauses

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from mirror_sync.config.keys.program_entries import HaEntry
    from mirror_sync.config.settings import Settings

_CARES = {care: f"({care})" for care in Care}  # in the timetable; no job can be named so
GRACE = 8.0  # seconds that running syncs get to end cleanly

_log = Logger()


Load = Callable[[], "Settings"]
MakeMirror = Callable[["Settings", threading.Event], Syncs]


def run_daemon(
    load: Load,
    make_mirror: MakeMirror,
    environ: Mapping[str, str],
    metrics: Metrics | None = None,
    ladder: Ladder | None = None,
) -> bool:
    """Run until SIGTERM or SIGINT; must be called in the main thread. Mirrors must tell `metrics` what happens.

    `ladder` says when what failed is tried again.

    Returns whether every sync ended in time. ConfigError when the first jobs.yaml has faults, or no scheduled job;
    OSError when http.listen cannot be had; StoreError where several daemons cannot agree by the target that they name.
    """
    with caught(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as came, ExitStack() as stack:
        daemon = Daemon(load, make_mirror, Notifier(environ), metrics or Metrics(), ladder or Ladder())
        daemon.start(stack)
        for number in came:
            if number != signal.SIGHUP:
                break
            daemon.reload()
        return daemon.end(GRACE)


class Daemon:
    """Jobs on their schedules, over a mirror that a reload exchanges; of several daemons, while it has their lease."""

    def __init__(
        self, load: Load, make_mirror: MakeMirror, notifier: Notifier, metrics: Metrics, ladder: Ladder
    ) -> None:
        self._load, self._make_mirror, self._notifier = load, make_mirror, notifier
        self._stop = threading.Event()
        self._lease: Lease | None = None
        self._taking = threading.RLock()  # what jobs.yaml says, and whether it is ours to do
        self._settings: Settings | None = None
        self._idle: Syncs | None = None  # a standby's mirror, which is only watched
        self._runs = Runs(self._stop, metrics, self._status_changed, self._learn, self)
        self._timetable = Timetable(self._due)
        self._retries = Retries(ladder, self._runs.again, random.random)
        self._telling = threading.Lock()
        self._watch = DaemonWatch(metrics, self._timetable, self._runs.names, self._stop)
        self._first: Settings | None = None
        self._desk = MissDesk(self._runs.wanted, metrics.misses)

    def start(self, stack: ExitStack) -> None:
        """`stack` ends what answers over HTTP. OSError when that cannot listen: then no job has run yet. StoreError for
        a target that cannot hold the lease of several daemons.
        """
        settings = self._load()
        self._lease = self._leased(settings)
        self._take(settings)
        self._first = settings
        if settings.http.listen is not None:
            routes = self._routes(settings.http.secret, settings.http.asked_by)
            app = make_app(self._watch.metrics.registry, self._watch.pulse, self._watch.readiness, routes)
            _log.info("http.listening", url=stack.enter_context(answering(app, settings.http.listen)))
        told = {"role": self._role, "progress": lambda: told_progress(self._watch.metrics.progress())}
        stack.enter_context(controlled(settings.state_dir, self._runs.ask, told))
        self._timetable.beat(min(BEAT, self._notifier.beat or BEAT), self._beat)
        self._timetable.start()
        self._watch.start()
        threading.Thread(target=self._retries.keep_trying, args=(self._stop,), name="tries", daemon=True).start()
        if self._lease is None:
            self._sweep_beside()
        threading.Thread(target=self._keep_watching_names, name="names", daemon=True).start()
        _log.info("daemon.started", status=self._status())
        self._tell_status(self._notifier.ready)
        if self._lease is not None:  # last: what it begins tells its status, too
            self._lease.start(self)

    def _leased(self, settings: Settings) -> Lease | None:
        """StoreError where the target cannot hold the lease that jobs.yaml asks for."""
        target = settings.leased
        if settings.ha is None or target is None:
            return None
        from mirror_sync.config.load import fault_at
        from mirror_sync.wiring.adapters import open_lease

        seconds = settings.ha.lease.total_seconds()
        place = open_lease(settings.targets[target], max(LEAST_PATIENCE, seconds * LOOKED))
        lease = Lease(place, seconds, gethostname(), self._stop, Pauses(settings.state_dir))
        try:
            lease.prove()
        except StoreDenied:  # which may be given yet, as a disk may be mounted
            raise
        except StoreError as error:
            raise ConfigError((fault_at(settings.path, ("ha",), str(error)),)) from error
        self._watch.stand(target, lease)
        return lease

    def lead(self, term: Term) -> None:
        """The lease is ours until `term` is set: the jobs begin, and go on where another daemon has left them."""
        with self._taking:
            settings = self._settings
            if settings is not None and not self._stop.is_set():
                self._begin(settings, term)
        self._sweep_beside()
        self._status_changed()

    def leave(self, reason: str) -> None:
        """It is ours no more, or may not be: all ends that goes on, and nothing begins."""
        self._status_changed()
        with self._taking:
            self._timetable.replace({})
            self._retries.leave()
            self._runs.leave()
            if self._settings is not None:
                self._watch_alone(self._settings)
        self._runs.await_end()
        _log.info("daemon.left", reason=reason)
        self._status_changed()

    def begin(self, job: str | None) -> bool:
        """See `MayBegin`."""
        return self._lease is None or self._lease.begin(job)

    def ended(self, job: str) -> None:
        """See `MayBegin`."""
        if self._lease is not None:
            self._lease.ended(job)

    def why_not(self) -> str:
        """See `MayBegin`."""
        return "the daemon is stopping" if self._lease is None else self._lease.why_not()

    def _away(self) -> str:
        """Why another daemon has to be asked; empty where this one works."""
        return "" if self._lease is None or self._lease.term is not None else self._lease.why_not()

    def _role(self) -> str:
        return "" if self._lease is None else str(self._lease.standing)

    def _status_changed(self) -> None:
        self._tell_status(self._notifier.status)

    def _routes(self, secret: str | None, asked_by: str | None) -> list[BaseRoute]:
        routes: list[BaseRoute] = []
        if secret is not None:
            routes.append(webhook_route(secret, self._runs.hint, self._watch.metrics.webhooks, away=self._away))
        if asked_by is not None:
            routes.append(miss_route(asked_by, self._desk, self._away))
        if self._lease is not None:
            lease = self._lease
            routes.append(leader_route(lambda: lease.standing))
        return routes

    def reload(self) -> None:
        """Read jobs.yaml again; with faults everything stays as it was."""
        self._notifier.reloading()
        try:
            settings = self._load()
            self._take(settings)
            self._warn_of_what_stays(settings)
            _log.info("daemon.reloaded", status=self._status())
        except ConfigError as error:
            self._watch.refuse()
            for fault in error.faults:
                _log.error("config.fault", reason=str(fault))
            _log.error("daemon.not-reloaded", reason="jobs.yaml has faults; the jobs stay as they were")
        except (MirrorError, OSError) as error:
            self._watch.refuse()
            _log.error("daemon.not-reloaded", reason=f"{error}; the jobs stay as they were")
        self._tell_status(self._notifier.ready)

    def end(self, grace: float) -> bool:
        """Stop all syncs cleanly within `grace` seconds; returns whether they all did."""
        self._notifier.stopping()
        _log.info("daemon.stopping", running=self._runs.lanes())
        self._stop.set()
        self._retries.wake()
        self._timetable.stop()
        clean = self._runs.end(grace)
        if self._lease is not None:
            self._lease.end(clean=clean)
        if clean:
            _log.info("daemon.stopped")
        else:
            _log.error("daemon.stopped", reason="a sync did not end in time", running=self._runs.lanes())
        return clean

    def _take(self, settings: Settings) -> None:
        schedules = _schedules(settings)
        if not schedules:
            raise _fault(
                settings, f"{counted(len(settings.jobs), 'job')}, and none has a schedule; nothing would ever run"
            )
        _check(schedules, settings)
        for warning in settings.warnings:
            _log.warning("config.warning", reason=str(warning))
        with self._taking:
            self._settings = settings
            term = self._stop if self._lease is None else self._lease.term
            if term is None:
                self._watch_alone(settings)
            else:
                self._begin(settings, term)

    def _watch_alone(self, settings: Settings) -> None:
        """As a standby: metrics and health are told of what there is, and nothing is done."""
        old, self._idle = self._idle, self._make_mirror(settings, self._stop)
        self._watch.take(settings, self._idle)
        if old is not None:
            old.close()

    def _begin(self, settings: Settings, stop: threading.Event) -> None:
        """From now on these jobs run, until the stop."""
        mirror = self._make_mirror(settings, stop)
        self._runs.take(settings, mirror)
        self._desk.take(settings, mirror)
        self._watch.take(settings, mirror)  # before any of them can run
        mirror.keep_replicas()
        self._retries.take(settings.state_dir, {job.name: _runs_at_start(job.schedule) for job in settings.jobs})
        entries = _schedules(settings) | {_CARES[care]: cron for care, cron in settings.maintenance.schedules.items()}
        lease, first = self._lease, dict[str, datetime]()
        if lease is not None:
            first = resumed(entries, lease.marks(), lease.alive_since(), datetime.now(UTC))
        self._timetable.replace(entries, first)
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    def _due(self, name: str) -> None:
        care = next((care for care, entry in _CARES.items() if entry == name), None)
        if care is None:
            self._runs.due(name)
        else:
            self._runs.tend(care)

    def _learn(self, job: str, repos: Collection[Repo] | None, came: Came) -> None:
        self._desk.learn(job, repos, came)
        if not self._stop.is_set() and not self._away():  # what the end of a lease has cut off is another daemon's
            self._retries.learn(job, repos, came)

    def _beat(self) -> None:
        self._watch.pulse.beat()
        if self._notifier.beat is not None:
            self._notifier.alive()

    def _warn_of_what_stays(self, settings: Settings) -> None:
        for key in ("http", "state_dir"):
            if getattr(settings, key) != getattr(self._first, key):
                _log.warning(
                    "config.warning", reason=f"{key} has changed: the daemon answers where it did until the next start"
                )
        if self._first is not None and _lease_of(settings) != _lease_of(self._first):
            reason = "ha, or the target that holds the lease, has changed: it holds as it was until the next start"
            _log.warning("config.warning", reason=reason)

    def _sweep_beside(self) -> None:
        threading.Thread(target=self._sweep, name="sweep", daemon=True).start()

    def _sweep(self) -> None:
        """Once, beside the jobs: what transfers have left that nobody went on with only takes up space."""
        mirror = self._runs.mirror
        try:
            if mirror is not None:
                mirror.sweep()
        except Exception as error:
            _log.error("sweep.failed", reason=f"{type(error).__name__}: {error}", exc_info=True)

    def _keep_watching_names(self) -> None:
        """Also where nothing runs: a grey release that is bad waits for no schedule."""
        while not self._stop.is_set():
            self._stop.wait(self._runs.watch_names())

    def _tell_status(self, tell: Callable[[str], None]) -> None:
        """What was found out last is said last, whichever threads tell."""
        with self._telling:
            tell(self._status())

    def _status(self) -> str:
        """One line for `systemctl status`."""
        running = ", ".join(self._runs.lanes())
        due = self._timetable.next_run()
        waits = f"next {due[0]} at {due[1]:%Y-%m-%d %H:%M:%S} UTC" if due else "no job is due"
        if self._lease is not None:
            standing = self._lease.standing
            waits = f"{standing}; {waits}" if standing.leads else str(standing)
        return f"running {running}; {waits}" if running else waits


def _schedules(settings: Settings) -> dict[str, Schedule]:
    return {job.name: job.schedule for job in settings.jobs if job.schedule is not None}


def _lease_of(settings: Settings) -> tuple[HaEntry | None, str]:
    """How daemons agree on who works, and where."""
    return settings.ha, "" if settings.leased is None else place_of(settings.targets[settings.leased])


def _runs_at_start(schedule: Schedule | None) -> bool:
    return isinstance(schedule, Every) and schedule.only is None


def _check(schedules: Mapping[str, Schedule], settings: Settings) -> None:
    """Find what no trigger can be made of before anything changes."""
    for name, schedule in schedules.items():
        try:
            trigger_of(schedule)
        except ValueError as error:
            raise _fault(settings, f"the schedule of {name}: {error}") from error


def _fault(settings: Settings, message: str) -> ConfigError:
    return ConfigError((Fault(str(settings.path), 1, 1, "jobs", message),))
