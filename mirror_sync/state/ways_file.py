"""By which ways files came: how quick each of several endpoints was, and the bytes that came by roads of jobs.

A small file in the state folder, for `status`: what was measured at the end of the last run, and bytes since this
machine began to count them.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.way_gauge import WayPace
from mirror_sync.domain.outcome.events import Event, RoadTaken, RunFinished
from mirror_sync.domain.times import iso_utc
from mirror_sync.owners import PRIVATE, write_anew
from mirror_sync.state.file_lock import hold

FILE = "ways.json"


@dataclass(frozen=True, slots=True)
class RoadBytes:
    """Bytes of files that a road has, too, by the road they came by, "" for the job's own upstream.

    `since` in ISO 8601.
    """

    since: str
    bytes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ways:
    """What is known of roads by job, and of endpoints by upstream and address."""

    roads: Mapping[str, RoadBytes] = field(default_factory=dict)
    endpoints: Mapping[str, Mapping[str, WayPace]] = field(default_factory=dict)

    def of(self, jobs: Collection[Job]) -> Ways:
        """What concerns these jobs as they are now: their roads, and the endpoints that their upstreams still have."""
        roads = {job.name: one for job in jobs if job.roads and (one := self.roads.get(job.name)) is not None}
        upstreams = {job.upstream for job in jobs}
        return Ways(roads, {name: paces for name, paces in self.endpoints.items() if name in upstreams})

    def encode(self) -> dict[str, Any]:
        """As it is written, and as `status --json` has it."""
        return {
            "roads": {job: asdict(one) for job, one in self.roads.items()},
            "endpoints": {
                name: {address: asdict(pace) for address, pace in paces.items()}
                for name, paces in self.endpoints.items()
            },
        }


class WaysCounter:
    """An observer: counts what came by roads, and writes it down when a run ends. Safe for many threads and processes.

    `speeds` are those of all upstreams by now.
    """

    def __init__(self, folder: Path, speeds: Callable[[], Mapping[str, Mapping[str, WayPace]]]) -> None:
        self._folder, self._speeds = folder, speeds
        self._counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """OSError when the state folder cannot be written."""
        if isinstance(event, RoadTaken):
            with self._lock:
                self._counted[event.job][event.road] += event.bytes
        elif isinstance(event, RunFinished):
            self._write(event.report.finished)

    def _write(self, now: str) -> None:
        measured = {name: paces for name, paces in self._speeds().items() if any(pace.asked for pace in paces.values())}
        with self._lock:
            counted = {job: dict(came) for job, came in self._counted.items()}
            self._counted.clear()
        if not (measured or counted):
            return
        self._folder.mkdir(PRIVATE, parents=True, exist_ok=True)
        with hold(self._folder / f"{FILE}.lock"):
            kept = kept_ways(self._folder)
            roads = dict(kept.roads)
            for job, came in counted.items():
                before = roads.get(job, RoadBytes(now, {}))
                roads[job] = RoadBytes(before.since, dict(Counter(before.bytes) + Counter(came)))
            ways = Ways(roads, {**kept.endpoints, **measured})
            write_anew(self._folder / FILE, json.dumps(ways.encode(), indent=2), synced=False)


def kept_ways(folder: Path) -> Ways:
    """What was written down last; nothing where nothing was, or what nobody wrote. OSError where it cannot be read."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        try:
            kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Ways()
        roads = {
            str(job): RoadBytes(
                iso_utc(datetime.fromisoformat(one["since"]).astimezone(UTC)),
                {str(road): int(count) for road, count in one["bytes"].items()},
            )
            for job, one in kept["roads"].items()
        }
        endpoints = {
            str(name): {str(address): _pace(pace) for address, pace in paces.items()}
            for name, paces in kept["endpoints"].items()
        }
        return Ways(roads, endpoints)
    return Ways()


def _pace(kept: Mapping[str, Any]) -> WayPace:
    asked, errors = int(kept["asked"]), int(kept["errors"])
    return WayPace(float(kept["first_byte"]), float(kept["rate"]), asked, errors, bool(kept["taken"]))
