"""`status --watch`: what stands above the lines of repos: what the daemon does, files on their way, jobs, next runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from mirror_sync.app.inventory import Inventory
from mirror_sync.app.next_runs import JobLine
from mirror_sync.cli.output.status_text import next_run_text
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.observe.figures import age, counted, in_bytes, in_time
from mirror_sync.observe.tally import InFlight, Progress
from mirror_sync.state.records import RunState

_JOBS = ("LAST RUN", "BEGAN", "NEXT RUN", "MIRRORED", "JOB")
_FILES = ("DONE", "SIZE", "RATE", "LEFT", "FILE")
_FEWEST = 3  # jobs, and files, that are named on however low a screen


def watch_text(inventory: Inventory, progress: Progress | None, page: TextLayout, now: datetime, height: int) -> str:
    """`progress` is the daemon's, None where none answers. A quarter of `height` lines for jobs, and for files."""
    room = max(height // 4, _FEWEST)
    parts = [page.sentence(_head(progress, now))]
    if progress is not None and progress.in_flight:
        parts.append(_files(progress, page, room))
    parts += ["", _jobs(inventory, page, now, room), ""]
    return "\n".join(parts)


def _head(progress: Progress | None, now: datetime) -> str:
    """13:35:02 UTC, daemon: 80% of job 1 of 2, models: 3 of 10 repos, 1.2 GB of 4.0 GB, 80 MB/s, 2m left."""
    clock = f"{now:%H:%M:%S} UTC"
    if progress is None:
        return f"{clock}, no daemon answers here: what goes on is known of runs alone"
    if not progress.runs:
        return f"{clock}, daemon: nothing goes on"
    which = f"{progress.job_number} of {progress.jobs}, " if progress.jobs > 1 else ""
    told = [
        f"{clock}, daemon: {100 * progress.share:.0f}% done; job {which}{progress.job or 'not listed yet'}",
        f"{progress.repos_done:,} of {counted(progress.repos, 'repo')}",
    ]
    if progress.bytes:
        told.append(f"{in_bytes(progress.bytes_done)} of {in_bytes(progress.bytes)}, {in_bytes(progress.rate)}/s")
    if progress.left is not None:
        told.append(f"{in_time(progress.left)} left")
    return ", ".join(told)


def _files(progress: Progress, page: TextLayout, room: int) -> str:
    """Those that take longest, in the order of their start, which stands still."""
    longest = sorted(progress.in_flight, key=lambda file: file.done - file.size)[:room]
    rows = [_file(file) for file in progress.in_flight if file in longest]
    table = page.table(_FILES, rows, dispensable=("LEFT", "SIZE"))
    more = len(progress.in_flight) - len(rows)
    return f"{table}\nand {counted(more, 'file')} more on their way" if more > 0 else table


def _file(file: InFlight) -> Row:
    share = f"{100 * min(max(file.done, 0), file.size) // file.size}%" if file.size else "-"
    left = in_time((file.size - file.done) / file.rate) if file.rate > 0 else "-"
    return Row((share, in_bytes(file.size), f"{in_bytes(file.rate)}/s", left, f"{file.repo} {file.path}"))


def _jobs(inventory: Inventory, page: TextLayout, now: datetime, room: int) -> str:
    """Those that run, that are due, and that are so next."""
    jobs = sorted(inventory.jobs, key=_urgency)
    rows = [Row(tuple(_cells(inventory, job, now))) for job in jobs[:room]]
    table = page.table(_JOBS, rows, dispensable=("BEGAN", "MIRRORED"))
    more = len(jobs) - len(rows)
    return f"{table}\nand {counted(more, 'job')} more" if more > 0 else table


def _urgency(job: JobLine) -> tuple[bool, bool, float]:
    runs = job.last_run is not None and job.last_run.state is RunState.RUNNING
    return (not runs, not job.due, float("inf") if job.next_run is None else job.next_run.timestamp())


def _cells(inventory: Inventory, job: JobLine, now: datetime) -> Iterator[str]:
    lines = [line for line in inventory.lines if line.job == job.name]
    yield "never" if job.last_run is None else job.last_run.state
    yield "-" if job.last_run is None else f"{age(job.last_run.started, now)} ago"
    yield next_run_text(job, now)
    yield f"{sum(line.state.mirrored for line in lines):,} of {len(lines):,}"
    yield job.name
