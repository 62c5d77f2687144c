"""The documents for machines: status.json, and what lists of mirrors read.

tunasync.json is what the manager of https://github.com/tuna/tunasync answers to `/jobs` (internal/status_web.go);
mirrorz.json is version 1.7 of https://github.com/mirrorz-org/mirrorz/blob/master/static/json/site/template.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from mirror_sync.catalogue.local_knowledge import KnownJob, LocalKnowledge
from mirror_sync.domain.catalogue import rows
from mirror_sync.domain.catalogue.rows import Overview, RepoRow, ShownJob
from mirror_sync.domain.content.selection import LeftOut
from mirror_sync.domain.outcome.front_counts import FrontDay
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.domain.repo import Kind

FORMAT = 1
_NEVER = "0001-01-01 00:00:00 +0000"  # how tunasync writes a time that is none: Go's zero
_NEVER_TS = -62135596800  # and its seconds
_SIZES = ("B", "K", "M", "G", "T", "P")
_STEP = 1024
_COMPACT = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False)
_JOB_LINE = (
    "job",
    "kind",
    "repo",
    "revision",
    "state",
    "reason",
    "code",
    "commit",
    "published",
    "lag_seconds",
    "files",
    "bytes",
)


@dataclass(frozen=True, slots=True)
class ShownRepo:
    """What lines say of the commit that a repo's page shows: `left`: what patterns leave out, None for unknown."""

    row: RepoRow
    left: tuple[LeftOut, ...] | None = None


Shown = Mapping[tuple[Kind, str], ShownRepo]


def status(
    known: LocalKnowledge, overview: Overview, lines: Iterable[RepoStatus], unused: Mapping[str, str], shown: Shown
) -> bytes:
    """status.json: `lines` are free of what is the operator's alone; `unused` assets by the times since when.

    One that would be too large to be read again has no lines.
    """
    lines = tuple(lines)
    head = _COMPACT.encode(
        {
            "format": FORMAT,
            "version": known.version,
            "name": known.name,
            "url": known.url,
            "at": known.now,
            "complete": overview.complete,
            "gaps": overview.gaps,
            "published": {"repos": overview.repos, "files": overview.files, "bytes": overview.bytes},
            "verified": {"at": overview.verified, "faults": overview.faults},
            "pruned": {"at": overview.pruned},
            "replicas": [
                {"name": one.name, "state": one.state, "published": one.published or None} for one in overview.replicas
            ],
            "front": _front(overview.front),
            "jobs": [_job(job) for job in known.jobs],
            "unused": dict(unused),
            "repos": [],
        }
    )
    made = bytearray(head.removesuffix("]}").encode())
    for number, line in enumerate(lines):  # one after the other: there may be very many
        made += (("," if number else "") + _COMPACT.encode(_line(line, shown))).encode()
    made += b"]}\n"
    return status(known, overview, (), unused, shown) if lines and len(made) > rows.LARGEST else bytes(made)


def tunasync(known: LocalKnowledge, lines: Iterable[RepoStatus]) -> bytes:
    """tunasync.json: one entry for each job."""
    sizes = _sizes(lines)
    return _written([_tunasync(job, sizes.get(job.shown.name, 0)) for job in known.jobs])


def mirrorz(known: LocalKnowledge, overview: Overview, lines: Iterable[RepoStatus]) -> bytes | None:
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
    return (_COMPACT.encode(document) + "\n").encode()


def _front(day: FrontDay | None) -> dict[str, Any] | None:
    if day is None:
        return None
    counts = day.counts
    return {
        "seconds": round(day.seconds),
        "requests": {name: int(count) for name, count in counts.statuses.items()},
        "bytes": int(counts.bytes),
        "hit_ratios": {zone: round(ratio, 4) for zone, ratio in counts.hit_ratios.items()},
    }


def _job(job: KnownJob) -> dict[str, Any]:
    rest = {"machine": job.machine, "at": job.at, "upstream": job.upstream, "succeeded": job.succeeded}
    told = asdict(job.shown)
    del told["checked"]  # which is of what is shown
    return {**told, **rest}


def _line(line: RepoStatus, shown: Shown) -> dict[str, Any]:
    found = shown.get((line.kind, line.repo))
    told = {name: getattr(line, name) for name in _JOB_LINE} | line.assurance.named()
    if found is None or found.row.commit is None or found.row.commit != line.commit:
        return {**told, "left_out": None, "task": None, "licences": None, "parameters": None, "base_models": None}
    row, left = found.row, found.left
    return {
        **told,
        "left_out": None if left is None else [asdict(one) for one in left],
        "task": row.task or None,
        "licences": row.licenses,
        "parameters": row.parameters or None,
        "base_models": row.bases,
    }


def _sizes(lines: Iterable[RepoStatus]) -> dict[str, int]:
    """The bytes that each job has mirrored, each repo counted once."""
    largest: dict[tuple[str, Kind, str], int] = {}
    for line in lines:
        key = (line.job, line.kind, line.repo)
        largest[key] = max(largest.get(key, 0), line.bytes)
    sizes: dict[str, int] = {}
    for (job, *_), size in largest.items():
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
