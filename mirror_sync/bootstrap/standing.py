"""What this machine knows of a target, for the catalogue: its jobs as jobs.yaml has them, beside the history."""

from __future__ import annotations

import platform
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from urllib.parse import urlsplit

from mirror_sync.bootstrap.sides import places_of
from mirror_sync.catalogue.known import Known, KnownJob
from mirror_sync.config.places import place_of
from mirror_sync.config.settings import HubUpstream, Settings, SiteSettings
from mirror_sync.domain.catalogue import Day, Overview, ShownJob
from mirror_sync.domain.job import Cron, Every, Job, Schedule
from mirror_sync.domain.times import iso_utc
from mirror_sync.inventory.inventory import Memory, take_inventory
from mirror_sync.inventory.next_runs import JobLine
from mirror_sync.inventory.pauses import Pauses
from mirror_sync.observers.history import RUNS_KEPT, History, RunRecord, RunState, Size
from mirror_sync.observers.traffic_file import kept_days

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def known_of(settings: Settings, history: History, target: str) -> Known:
    """OSError when the history cannot be read."""
    jobs = [job for job in settings.jobs if job.target == target]
    runs, now = history.runs(RUNS_KEPT), datetime.now(UTC)
    memory = Memory(history.latest(), runs, places_of(settings), Pauses(settings.state_dir).all())
    inventory = take_inventory(jobs, memory, now)
    site = settings.site or SiteSettings()
    own = Machine(settings, now)
    return Known(
        machine=own.name,
        version=version("mirror-sync"),
        at=now,
        lines=inventory.lines,
        jobs=tuple(own.job(job, line, runs) for job, line in zip(jobs, inventory.jobs, strict=True)),
        name=site.name,
        url=site.url,
        traffic=_traffic(settings, target),
        grow=partial(_grow, history, place_of(settings.targets[target])),
    )


class Machine:
    """This machine, as the others know it: by a word that tells nobody where it stands."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        self._settings, self._at = settings, iso_utc(now)
        self.name = sha256(f"{platform.node()}\n{settings.state_dir}".encode()).hexdigest()[:12]

    def job(self, job: Job, line: JobLine, runs: tuple[RunRecord, ...]) -> KnownJob:
        complete = (run for run in runs if job.name in run.jobs and run.state is RunState.COMPLETE)
        last = line.last_run
        shown = ShownJob(
            name=job.name,
            schedule=_schedule(job.schedule),
            repos=0,  # counted where what is published is known
            mirrored=0,
            last_started=last.started if last else None,
            last_finished=last.finished if last else None,
            last_state=last.state if last else "",
            next_run=None if line.next_run is None else iso_utc(line.next_run),
            paused=line.paused,
        )
        succeeded = next((run.finished for run in complete), None)
        return KnownJob(shown, self.name, self._at, self._address(job.upstream), succeeded)

    def _address(self, upstream: str) -> str:
        """Empty for a folder, whose place is nobody's business; without a name and a password in it."""
        found = self._settings.upstreams[upstream]
        if not isinstance(found, HubUpstream):
            return ""
        parts = urlsplit(found.endpoints[0])
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _grow(history: History, place: str, today: Overview) -> tuple[Day, ...]:
    history.measure(place, Size(today.at[:10], today.repos, today.files, today.bytes))
    return tuple(Day(size.day, size.bytes, size.repos) for size in history.growth(place))


def _traffic(settings: Settings, target: str) -> tuple[Day, ...]:
    """What was counted of this target; nothing where that cannot be read."""
    return tuple(
        Day(day["day"], day["bytes"], downloads=day["downloads"], clients=day["clients"])
        for day in kept_days(settings.state_dir, target)
    )


def _schedule(schedule: Schedule | None) -> str:
    match schedule:
        case Every():
            return f"every {_length(schedule.interval)}"
        case Cron():
            zone = "" if schedule.timezone == "UTC" else f" {schedule.timezone}"
            return f"cron {schedule.expression}{zone}"
    return "by hand"


def _length(interval: timedelta) -> str:
    """6h, 1h30m."""
    left, said = round(interval.total_seconds()), ""
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        said += f"{count}{unit}" if count else ""
    return said or "0s"
