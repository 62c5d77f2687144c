"""What `traffic` found of a target, kept in the state folder: all of the last report, and the days of those before it.

A day that several reports tell of keeps the count that saw more bytes, since a log that begins or ends on it saw a part
of it: reports of rotated logs, in any order and however often, never make a day less. Counts of two logs are not added
up, since nobody can know that they do not overlap: a day that two logs share is whole when both are given at once.

And what the daemon counted of the front in the last hours, whatever was read: `front.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mirror_sync.domain.outcome.front_counts import FrontHours
from mirror_sync.domain.outcome.traffic import TrafficReport, WantedRepo
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.owners import write_anew

FRONT = "front.json"
DAYS_KEPT = 400  # the newest that were counted: a year and a month, to compare with


def keep_traffic(folder: Path, target: str, report: TrafficReport) -> None:
    """Replace what was kept of the target, but for days that saw more. A report without a request changes nothing.

    OSError when the folder cannot be written.
    """
    if report.first is None:
        return
    document = report.encode()
    document["days"] = _merged(kept_days(folder, target), document["days"])
    write_anew(_path(folder, target), json.dumps(document), synced=False)


def told_before(folder: Path, target: str) -> frozenset[tuple[str, str, str]]:
    """Kind, client and day of what the last report found unusual."""
    return frozenset((one["kind"], one["client"], one["day"]) for one in kept_unusual(folder, target)[1])


def kept_unusual(folder: Path, target: str) -> tuple[str, tuple[dict[str, str], ...]]:
    """The time of the last request that was counted (ISO 8601), and `kind`, `client` and `day` of what was unusual.

    Empty where nothing was kept, or what cannot be read.
    """
    try:
        kept = json.loads(_path(folder, target).read_text(encoding="utf-8"))
        found = tuple({name: str(one[name]) for name in ("kind", "client", "day")} for one in kept["unusual"])
        return iso_utc(datetime.fromisoformat(kept["last"])), found
    except (OSError, ValueError, KeyError, TypeError):
        return "", ()


def kept_downloads(folder: Path, target: str) -> dict[Repo, int]:
    """How many downloads of each repo the last report found; empty where nothing was kept, or what cannot be read."""
    try:
        kept = json.loads(_path(folder, target).read_text(encoding="utf-8"))["repos"]
        return {Repo.parse(one["repo"]): int(one["downloads"]) for one in kept if int(one["downloads"]) > 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def kept_refused(folder: Path, target: str) -> dict[str, int]:
    """How many requests the last report found refused, by why; empty where nothing was kept, or what cannot be read."""
    try:
        kept = json.loads(_path(folder, target).read_text(encoding="utf-8"))["refused"]
        return {str(why): int(count) for why, count in kept.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def kept_days(folder: Path, target: str) -> tuple[dict[str, Any], ...]:
    """`day` (ISO 8601, UTC), `bytes`, `downloads` and `clients` of each, oldest first; none of what cannot be read."""
    try:
        days = json.loads(_path(folder, target).read_text(encoding="utf-8"))["days"]
        return tuple(
            {"day": str(day["day"]), **{name: int(day[name]) for name in ("downloads", "bytes", "clients")}}
            for day in days
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def kept_repos(folder: Path, target: str) -> tuple[str, str, dict[str, tuple[int, ...]]] | None:
    """The times of the first and the last request that were counted, and by repo the downloads, bytes and clients of
    the last report. None where nothing was counted. OSError, ValueError where what was cannot be read.
    """
    try:
        text = _path(folder, target).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        kept, figures = json.loads(text), ("downloads", "bytes", "clients")
        first, last = (iso_utc(datetime.fromisoformat(kept[name])) for name in ("first", "last"))
        return first, last, {str(one["repo"]): tuple(int(one[name]) for name in figures) for one in kept["repos"]}
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no report of traffic: {error!r}") from error


def kept_demand(folder: Path, target: str) -> tuple[WantedRepo, ...] | None:
    """What readers asked for by the last report, what more of them asked for first. None where nothing was counted.

    OSError, ValueError where what was cannot be read. Names that no repo can have are left out.
    """
    try:
        text = _path(folder, target).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        kept = json.loads(text)
        missed = [(one, int(one["requests"]), str(one["last"]), True) for one in kept["misses"]]
        read = [(one, int(one["downloads"]), str(kept["last"]), False) for one in kept["repos"]]
        found = [
            WantedRepo(repo, requests, int(one["clients"]), last, missed=is_missed)
            for one, requests, last, is_missed in (*missed, *read)
            if (repo := _repo(one["repo"])) is not None
        ]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no report of traffic: {error!r}") from error
    return tuple(sorted(found, key=lambda one: (-one.clients, -one.requests, one.repo)))


def keep_front(folder: Path, hours: FrontHours) -> None:
    """Replace what was kept of the front. OSError when the folder cannot be written."""
    write_anew(folder / FRONT, json.dumps(hours.encode()), synced=False)


def kept_front(folder: Path) -> FrontHours:
    """Nothing where nothing was kept, or what cannot be read: nobody says then that there was nothing."""
    try:
        return FrontHours.decode(json.loads((folder / FRONT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return FrontHours()


def _repo(text: object) -> Repo | None:
    try:
        return Repo.parse(str(text))
    except ValueError:
        return None


def _merged(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    days: dict[str, Mapping[str, Any]] = {}
    for day in (*before, *now):
        known = days.get(day["day"])
        if known is None or day["bytes"] >= known["bytes"]:
            days[day["day"]] = day
    return [days[name] for name in sorted(days)][-DAYS_KEPT:]


def _path(folder: Path, target: str) -> Path:
    return folder / f"traffic-{target}.json"
