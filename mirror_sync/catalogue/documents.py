"""The documents for machines: status.json, and what lists of mirrors read.

tunasync.json is what the manager of https://github.com/tuna/tunasync answers to `/jobs` (internal/status_web.go);
mirrorz.json is version 1.7 of https://github.com/mirrorz-org/mirrorz/blob/master/static/json/site/template.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from mirror_sync.catalogue.known import Known, KnownJob
from mirror_sync.domain.catalogue import Overview, ShownJob
from mirror_sync.domain.line import Line, State
from mirror_sync.domain.repo import Kind

FORMAT = 1
_NEVER = "0001-01-01 00:00:00 +0000"  # how tunasync writes a time that is none: Go's zero
_NEVER_TS = -62135596800  # and its seconds
_SIZES = ("B", "K", "M", "G", "T", "P")
_STEP = 1024
_JOB_LINE = (
    "job",
    "kind",
    "repo",
    "revision",
    "state",
    "reason",
    "commit",
    "published",
    "lag_seconds",
    "files",
    "bytes",
)


def status(known: Known, overview: Overview, lines: Iterable[Line]) -> bytes:
    """status.json: `lines` are free of what is the operator's alone."""
    return _written(
        {
            "format": FORMAT,
            "version": known.version,
            "name": known.name,
            "url": known.url,
            "at": known.now,
            "complete": overview.complete,
            "gaps": overview.gaps,
            "published": {"repos": overview.repos, "files": overview.files, "bytes": overview.bytes},
            "jobs": [_job(job) for job in known.jobs],
            "repos": [{name: getattr(line, name) for name in _JOB_LINE} for line in lines],
        }
    )


def read_status(body: bytes) -> tuple[tuple[KnownJob, ...], tuple[Line, ...]]:
    """The jobs and lines of a status.json; none where it cannot be read: it is written anew."""
    try:
        said = json.loads(body, parse_constant=_refuse)
        if said["format"] != FORMAT:
            return (), ()
        return tuple(map(_read_job, said["jobs"])), tuple(map(_read_line, said["repos"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return (), ()


def tunasync(known: Known, lines: Iterable[Line]) -> bytes:
    """tunasync.json: one entry for each job."""
    sizes = _sizes(lines)
    return _written([_tunasync(job, sizes.get(job.shown.name, 0)) for job in known.jobs])


def mirrorz(known: Known, overview: Overview, lines: Iterable[Line]) -> bytes | None:
    """mirrorz.json; None unless the operator gave the mirror a name and an address."""
    if not (known.name and known.url):
        return None
    sizes = _sizes(lines)
    site = {
        "url": known.url,
        "abbr": known.name,
        "name": known.name,
        "homepage": f"{known.url}/-/",
        "disk": _size(overview.bytes),
    }
    mirrors = [_mirrorz(job, sizes.get(job.shown.name, 0)) for job in known.jobs]
    return _written({"version": 1.7, "site": site, "info": [], "mirrors": mirrors})


def _written(document: Any) -> bytes:
    return (json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False) + "\n").encode()


def _job(job: KnownJob) -> dict[str, Any]:
    rest = {"machine": job.machine, "at": job.at, "upstream": job.upstream, "succeeded": job.succeeded}
    return {**asdict(job.shown), **rest}


def _read_job(said: Mapping[str, Any]) -> KnownJob:
    shown = {name: said[name] for name in ShownJob.__dataclass_fields__}
    for name in ("name", "schedule", "last_state"):
        _text(shown[name])
    for name in ("last_started", "last_finished", "next_run"):
        _time(shown[name])
    succeeded = _time(said["succeeded"])
    counts = {name: int(shown[name]) for name in ("repos", "mirrored")}
    return KnownJob(
        ShownJob(**{**shown, **counts, "paused": bool(shown["paused"])}),
        _text(said["machine"]),
        _time(said["at"]) or "",
        _text(said["upstream"]),
        succeeded,
    )


def _read_line(said: Mapping[str, Any]) -> Line:
    return Line(
        state=State(said["state"]),
        job=_text(said["job"]),
        kind=Kind(said["kind"]),
        repo=_text(said["repo"]),
        revision=_text(said["revision"]),
        reason=_text(said["reason"]),
        commit=None if said["commit"] is None else _text(said["commit"]),
        published=_time(said["published"]),
        lag_seconds=None if said["lag_seconds"] is None else float(said["lag_seconds"]),
        files=int(said["files"]),
        bytes=int(said["bytes"]),
    )


def _text(value: object) -> str:
    """TypeError for what is none; ValueError for half characters, which JSON can name and no page can hold."""
    if not isinstance(value, str):
        raise TypeError(f"text expected, got {value!r}")
    value.encode()
    return value


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _time(value: object) -> str | None:
    """ValueError for anything but a time."""
    if value is None:
        return None
    datetime.fromisoformat(_text(value))
    return _text(value)


def _sizes(lines: Iterable[Line]) -> dict[str, int]:
    """The bytes that each job has mirrored, each repo counted once."""
    largest: dict[tuple[str, Kind, str], int] = {}
    for line in lines:
        key = (line.job, line.kind, line.repo)
        largest[key] = max(largest.get(key, 0), line.bytes)
    sizes: dict[str, int] = {}
    for (job, _, _), size in largest.items():
        sizes[job] = sizes.get(job, 0) + size
    return sizes


def _tunasync(job: KnownJob, size: int) -> dict[str, Any]:
    shown = job.shown
    times = {
        "last_update": job.succeeded,
        "last_started": shown.last_started,
        "last_ended": shown.last_finished,
        "next_schedule": shown.next_run,
    }
    entry: dict[str, Any] = {"name": shown.name, "is_master": True, "status": _tunasync_state(shown)}
    for name, at in times.items():
        entry[name] = _NEVER if at is None else f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S %z}"
        entry[f"{name}_ts"] = _NEVER_TS if at is None else _seconds(at)
    return {**entry, "upstream": job.upstream, "size": _size(size) if size else "unknown"}


def _tunasync_state(job: ShownJob) -> str:
    if job.paused:
        return "paused"
    return {"running": "syncing", "complete": "success", "failed": "failed", "interrupted": "failed"}.get(
        job.last_state, "none"
    )


def _mirrorz(job: KnownJob, size: int) -> dict[str, Any]:
    entry = {"cname": job.shown.name, "desc": "", "url": "/-/", "status": _mirrorz_state(job)}
    return {**entry, **({"upstream": job.upstream} if job.upstream else {}), **({"size": _size(size)} if size else {})}


def _mirrorz_state(job: KnownJob) -> str:
    """A letter and a time for the state, then others for what is known beside it: X is the next run, O the last success
    of one that has failed since."""
    shown = job.shown
    ended, began = shown.last_finished or shown.last_started, shown.last_started
    state = _tunasync_state(shown)
    told = {
        "success": f"S{_seconds(ended)}" if ended else "S",
        "syncing": f"Y{_seconds(began)}" if began else "Y",
        "failed": f"F{_seconds(ended)}" if ended else "F",
        "paused": f"P{_seconds(ended)}" if ended else "P",
    }.get(state, "U")
    if shown.next_run is not None:
        told += f"X{_seconds(shown.next_run)}"
    if job.succeeded is not None and state in ("failed", "syncing"):
        told += f"O{_seconds(job.succeeded)}"
    return told


def _seconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())


def _size(size: int) -> str:
    """As tunasync has it from rsync and du: 1.50G."""
    amount, unit = float(size), 0
    while amount >= _STEP and unit < len(_SIZES) - 1:
        amount, unit = amount / _STEP, unit + 1
    return f"{size}B" if unit == 0 else f"{amount:.2f}{_SIZES[unit]}"
