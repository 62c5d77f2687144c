"""What the daemon knows of itself for those that watch it: read at a scrape, and twice a minute from the targets."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mirror_sync.app.triggers import due_after
from mirror_sync.app.wishlist import wished_in
from mirror_sync.daemon.front_watch import FrontWatch
from mirror_sync.daemon.health import Pulse, Readiness, readiness
from mirror_sync.daemon.lease import Lease
from mirror_sync.daemon.timetable import Timetable
from mirror_sync.domain.content.upstream import BudgetState
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.job.job import Cron, Every, Job
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.domain.job.way_gauge import WayPace
from mirror_sync.domain.outcome.events import ConfigRead, TargetProbed, Tended
from mirror_sync.domain.outcome.replicas import ReplicaStatus
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.domain.outcome.traffic import Oddity
from mirror_sync.errors import StoreError
from mirror_sync.logger import Logger
from mirror_sync.net.certificate import ServerCertificate
from mirror_sync.observe.metrics.ledger import JobFigures
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.observe.metrics.readings import Disk, Due, LeaseFigures, Readings, ReplicaFigures
from mirror_sync.owners import is_there, state_hindrance
from mirror_sync.state.pauses import Pauses
from mirror_sync.state.reads_file import last_keep, last_tiers
from mirror_sync.state.records import RunRecord
from mirror_sync.state.traffic_file import kept_refused, kept_unusual
from mirror_sync.state.wishes import FILE as WISHES_FILE

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings

PROBED = 30.0  # seconds between two looks at the targets and disks
PATIENCE = 60.0  # seconds after which a target that is asked and says nothing counts as one that does not answer

_log = Logger()


class WatchedMirror(Protocol):
    """What is looked at of a mirror. Safe for several threads; `remembered` raises OSError."""

    def remembered(self) -> tuple[Sequence[RepoStatus], Sequence[RunRecord]]:
        """The last outcome of every repo that a job names, and the runs, newest first."""
        ...

    def status(self) -> Sequence[RepoStatus]:
        """What is remembered of every repo."""
        ...

    def replica_states(self) -> Iterable[ReplicaStatus]:
        """How far replicas are, as was found last."""
        ...

    def tended(self) -> Iterable[Tended]:
        """The last verify and prune of each target."""
        ...

    def budgets(self) -> Mapping[str, Mapping[str, BudgetState]]:
        """What the rate limits leave, by upstream and kind of call."""
        ...

    def speeds(self) -> Mapping[str, Mapping[str, WayPace]]:
        """How quick each of several endpoints is, by upstream and address."""
        ...

    def signing_since(self, target: str) -> tuple[str, str]:
        """The fingerprint of the key that signed last in a target, and since when; empty for none."""
        ...

    def probe(self, target: str) -> bool:
        """Whether a target answers."""
        ...


class DaemonWatch:
    """Tells `metrics` and answers for it. `running` gives the names of the jobs whose runs go on.

    Targets and disks are looked at in a thread of their own: one that hangs holds up no scrape.
    """

    def __init__(
        self, metrics: Metrics, timetable: Timetable, running: Callable[[], Collection[str]], stop: threading.Event
    ) -> None:
        self.metrics, self.pulse = metrics, Pulse()
        self._timetable, self._running, self._stop = timetable, running, stop
        self._current: tuple[Settings, WatchedMirror] | None = None
        self._asked: tuple[str, float] | None = None  # the target that has yet to answer, and since when
        self._disks: dict[str, Disk] = {}
        self._hindrance: str | None = None
        self._lease: tuple[str, Lease] | None = None  # of several daemons, and which target holds it
        self._front = FrontWatch(stop)
        metrics.read = self.readings

    def take(self, settings: Settings, mirror: WatchedMirror) -> None:
        """From now on this mirror is watched, and the jobs of these settings."""
        self._current = settings, mirror
        self._front.take(settings)
        self.metrics(ConfigRead(tuple(job.name for job in settings.jobs if job.schedule is not None)))
        try:
            self.metrics.ledger.remember(*mirror.remembered())
            self.metrics.ledger.remember_care(mirror.tended())
        except OSError as error:
            _log.warning("metrics.nothing-remembered", reason=str(error))

    def stand(self, target: str, lease: Lease) -> None:
        """Several daemons share the jobs, by a lease in this target."""
        self._lease = target, lease

    def refuse(self) -> None:
        """jobs.yaml was read and cannot be used."""
        self.metrics(ConfigRead(None))

    def start(self) -> None:
        """Begin to ask the targets, in a thread that ends with the program."""
        threading.Thread(target=self._keep_probing, name="probe", daemon=True).start()
        threading.Thread(target=self._front.keep_looking, name="front", daemon=True).start()

    def readiness(self) -> Readiness:
        """Whether the daemon serves its purpose now, and if not, why."""
        self._doubt()
        trouble = "" if self._lease is None else self._lease[1].standing.trouble
        return readiness(self.metrics.ledger.page(), self._jobs(), self._stop, trouble)

    def readings(self) -> Readings:
        """What a scrape reads at this moment; nothing before the first jobs.yaml."""
        if self._current is None:
            return Readings(ha=self._standing())
        self._doubt()
        unusual, counted = traffic_of(self._current[0])
        budgets, disks = self._current[1].budgets(), dict(self._disks)
        known = unusual, counted, self._hindrance, _signing(*self._current), refused_of(self._current[0])
        ends = _certificate_ends(self._current[0])
        settings, mirror = self._current
        more = mirror.speeds(), _replicas(*self._current), _wished(settings, mirror), keeps_of(settings)
        shared = self._standing(), self._front.figures, tiers_of(settings)
        return Readings(self._jobs(), budgets, disks, self.pulse.age, *known, ends, *more, *shared)

    def _standing(self) -> dict[str, LeaseFigures]:
        if self._lease is None:
            return {}
        target, lease = self._lease
        found = lease.standing
        return {target: LeaseFigures(found.leads, found.since.timestamp(), found.contact, found.changes)}

    def _jobs(self) -> dict[str, Due]:
        if self._current is None:
            return {}
        next_runs, running = self._timetable.next_runs(), self._running()
        states = self.metrics.ledger.page().jobs
        paused = Pauses(self._current[0].state_dir).all()
        waits, begun = self._others()
        return {
            job.name: Due(
                target=job.target,
                running=job.name in running,
                next_run=next_runs[job.name].timestamp() if job.name in next_runs else None,
                overdue=0.0 if waits or job.name in paused else overdue(job, states[job.name], time.time(), begun(job)),
            )
            for job in self._current[0].jobs
            if job.name in states
        }

    def _others(self) -> tuple[bool, Callable[[Job], float]]:
        """Whether another daemon has the jobs now; and when a job was last begun by any of them, in seconds since 1970:
        what others did is not in the history of this machine.
        """
        if self._lease is None:
            return False, lambda job: 0.0
        lease = self._lease[1]
        standing, marks, now = lease.standing, lease.marks(), time.time()
        since = standing.since.timestamp()
        return not standing.leads, lambda job: now - marks[job.name].age if job.name in marks else since

    def _keep_probing(self) -> None:
        while not self._stop.is_set():
            if self._current is not None:
                self._probe(*self._current)
            self._stop.wait(PROBED)

    def _probe(self, settings: Settings, mirror: WatchedMirror) -> None:
        """At the disk of the state folder, at each target and its disk, and at what others have done to targets."""
        with suppress(OSError):  # a verify by hand is another process's
            self.metrics.ledger.remember_care(mirror.tended())
            if settings.trust.key is not None:  # and so is a sign
                self.metrics.ledger.remember_trust(mirror.status())
        self._probe_state(settings.state_dir)
        disks = {"state_dir": disk_of(settings.state_dir)}
        for name in sorted({job.target for job in settings.jobs if job.schedule is not None}):
            self._asked = name, time.monotonic()
            answered = mirror.probe(name)
            if (folder := _folder_of(settings.targets[name])) is not None:
                disks[f"target:{name}"] = disk_of(folder)
            self._asked = None
            self.metrics(TargetProbed(name, answered))
        self._disks = {name: disk for name, disk in disks.items() if disk is not None}

    def _probe_state(self, folder: Path) -> None:
        """What keeps us from writing there is told when it begins, with whose it is."""
        found = state_hindrance(folder)
        if found and found != self._hindrance:
            _log.error("state.not-writable", reason=found)
        self._hindrance = found

    def _doubt(self) -> None:
        asked = self._asked
        if asked is not None and time.monotonic() - asked[1] > PATIENCE:
            self.metrics(TargetProbed(asked[0], answered=False))


def _replicas(settings: Settings, mirror: WatchedMirror) -> dict[tuple[str, str], ReplicaFigures]:
    alerts = {
        (name, one.name): one.alert_behind for name, target in settings.targets.items() for one in target.replicas
    }
    now, found = datetime.now(UTC), {}
    for one in mirror.replica_states() if alerts else ():
        at, alert = moment(one.published), alerts.get((one.target, one.name))
        found[one.target, one.name] = ReplicaFigures(
            published=None if at is None else at.timestamp(),
            behind=one.seconds_behind(now),
            snapshots=one.snapshots,
            failing=bool(one.reason),
            alert_behind=None if alert is None else alert.total_seconds(),
        )
    return found


def _signing(settings: Settings, mirror: WatchedMirror) -> dict[str, tuple[str, str]]:
    """By target; nothing where jobs.yaml names no key to sign with."""
    if settings.trust.key is None:
        return {}
    return {name: mirror.signing_since(name) for name in settings.targets}


def _wished(settings: Settings, mirror: WatchedMirror) -> dict[str, int]:
    """By target what is wanted and not mirrored; no series where nobody has asked yet, or that cannot be read."""
    if not is_there(settings.state_dir / WISHES_FILE):
        return {}
    try:
        return wished_in(settings, tuple(mirror.status()))
    except (StoreError, OSError):
        return {}


def traffic_of(settings: Settings) -> tuple[dict[tuple[str, str], int], dict[str, float]]:
    """What the traffic command has kept: clients by target and kind, and the last request by target."""
    unusual: dict[tuple[str, str], int] = {}
    counted: dict[str, float] = {}
    for target in settings.targets:
        last, found = kept_unusual(settings.state_dir, target)
        if last:
            counted[target] = datetime.fromisoformat(last).timestamp()
            kinds = Counter(one["kind"] for one in found)
            unusual |= {(target, kind): kinds[kind] for kind in Oddity}
    return unusual, counted


def refused_of(settings: Settings) -> dict[tuple[str, str], int]:
    """What the traffic command has kept of requests that were refused, by target and why."""
    found = {target: kept_refused(settings.state_dir, target) for target in settings.targets}
    return {(target, why): count for target, counts in found.items() for why, count in counts.items()}


def keeps_of(settings: Settings) -> dict[str, dict[str, float]]:
    """What the last prune of each target with a bound came to, by the words of its report."""
    found: dict[str, dict[str, float]] = {}
    for name, target in settings.targets.items():
        kept = None if target.keep is None else last_keep(settings.state_dir, name)
        if kept is not None:
            found[name] = {
                **{word: float(kept[word]) for word in ("limit", "left")},
                "repos": float(len(kept["repos"])),
            }
            if kept["since"] is not None:
                found[name]["since"] = datetime.fromisoformat(kept["since"]).timestamp()
    return found


def tiers_of(settings: Settings) -> dict[str, dict[str, float]]:
    """The bytes in each tier of targets that have some, as the last pass left them."""
    found = {name: last_tiers(settings.state_dir, name) for name, one in settings.targets.items() if one.tiers}
    return {name: {tier: float(last[tier]) for tier in ("warm", "cold")} for name, last in found.items() if last}


def overdue(job: Job, state: JobFigures, now: float, elsewhere: float = 0.0) -> float:
    """Seconds since a job should have run, after the beginning of its last run that came to its end; 0 in time.

    That repos of it failed is no lateness: they have a signal of their own. `elsewhere`: when another daemon last began
    it, in seconds since 1970.
    """
    last = state.ended_start or state.first_seen
    since = datetime.fromtimestamp(max(last, elsewhere), UTC)
    due: datetime | None
    match job.schedule:
        case Every() as schedule if state.ended is None and elsewhere <= last:  # such a job runs at the start
            due = since if schedule.only is None else schedule.only.opens(since)
        case Every() | Cron() as schedule:
            due = due_after(schedule, since)
        case None:
            due = None
    return 0.0 if due is None else max(0.0, now - due.timestamp())


def _certificate_ends(settings: Settings) -> float | None:
    """When the front's does; None where there is none, or it cannot be read."""
    tls = settings.front.tls
    if tls is None:
        return None
    try:
        return ServerCertificate(Path(tls.certificate), Path(tls.key)).ends().timestamp()
    except (OSError, ValueError):
        return None


def disk_of(folder: Path) -> Disk | None:
    """None when the system will not say: the series ends then, and the target's own says that it is down."""
    try:
        found = os.statvfs(_existing(folder))
    except OSError:
        return None
    free = found.f_bavail * found.f_frsize
    return Disk(free, (found.f_blocks - found.f_bfree) * found.f_frsize + free)


def _folder_of(target: Target) -> Path | None:
    return target.root if isinstance(target, DirectoryTarget) else None


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it: it is made when something is written to it."""
    return next((place for place in (folder, *folder.parents) if is_there(place)), folder)
