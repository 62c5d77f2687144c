"""`traffic`: who reads a target, by the logs of its nginx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mirror_sync.app.configured import Configured
from mirror_sync.domain.outcome.notices import Alarm
from mirror_sync.domain.outcome.traffic import Traffic, TrafficReport
from mirror_sync.domain.times import iso_utc
from mirror_sync.engine.published import mirrored_repos, published_snapshots
from mirror_sync.errors import DocumentError
from mirror_sync.front.protocols.access_log import count_hits, lines_of
from mirror_sync.logger import Logger
from mirror_sync.state.traffic_file import keep_traffic, told_before

_log = Logger()


class MeasureTraffic:
    """What is found is kept in the state folder. `alarm` is told of clients that were not told of before."""

    def __init__(self, configured: Configured, state_dir: Path, alarm: Callable[[Alarm], None]) -> None:
        self._configured, self._state_dir, self._alarm = configured, state_dir, alarm

    def __call__(self, target: str, logs: Sequence[str]) -> TrafficReport:
        """DocumentError where no line of the logs can be read; OSError."""
        store = self._configured.store(target)
        traffic = Traffic(mirrored_repos(store))
        lines, unread = count_hits(lines_of(logs), traffic.add)
        if unread and unread == lines:
            raise DocumentError(f"{', '.join(logs)}: no line is of a front's JSON log; what was counted before stays")
        report = traffic.report(published_snapshots(store), datetime.now(UTC), unread)
        self._tell_of_unusual(target, report)
        keep_traffic(self._state_dir, target, report)
        return report

    def _tell_of_unusual(self, target: str, report: TrafficReport) -> None:
        """Once: a log may be read again and again."""
        known = told_before(self._state_dir, target)
        new = tuple(one for one in report.unusual if (one.kind, one.client, one.day.isoformat()) not in known)
        for one in new:
            _log.warning("traffic.unusual", target=target, **one.encode())
        if new:
            self._alarm(Alarm(target, iso_utc(datetime.now(UTC)), new))
