"""When each job runs next, and what there is to say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.job.job import Every, Job
from mirror_sync.observe.figures import in_time
from mirror_sync.state.records import RunRecord, RunState

_LATE = timedelta(minutes=10)  # a run that waits for its turn behind others is not late yet
_LATE_NOTE = "is late"


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job: `next_run` None when it is run by hand only, or begins with the daemon; `due` when it should have begun.

    `notes` are sentences for a person.
    """

    name: str
    target: str
    scheduled: bool
    next_run: datetime | None
    due: bool
    last_run: RunRecord | None
    notes: tuple[str, ...] = ()
    paused: bool = False


def job_line_of(job: Job, last: RunRecord | None, now: datetime) -> JobLine:
    """`last`: the newest run of the job, as it went for this job."""
    next_run, behind = _next_run(job, last, now)
    return JobLine(
        job.name,
        job.target,
        job.schedule is not None,
        next_run,
        behind > timedelta(0),
        last,
        tuple(_notes(job, last, now, late=behind > _LATE)),
    )


def as_paused(line: JobLine, until: datetime | None) -> JobLine:
    """What is paused is not late, and is due again when the pause ends."""
    said = "until it is resumed" if until is None else f"until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    next_run = None if until is None or line.next_run is None else max(line.next_run, until)
    notes = tuple(note for note in line.notes if not line.due or _LATE_NOTE not in note)
    return replace(line, paused=True, due=False, next_run=next_run, notes=(f"job {line.name} is paused {said}", *notes))


def _next_run(job: Job, last: RunRecord | None, now: datetime) -> tuple[datetime | None, timedelta]:
    """When the job is due next, and for how long it has been. An interval counts from the start of a run."""
    none = timedelta(0)
    if job.schedule is None:
        return None, none
    from mirror_sync.app.triggers import due_after  # APScheduler, which only what has a schedule is worth

    if last is None:
        return (None, none) if isinstance(job.schedule, Every) else (due_after(job.schedule, now), none)
    due = due_after(job.schedule, datetime.fromisoformat(last.started))
    running = last.state is RunState.RUNNING
    behind = none if due is None or running else max(now - due, none)
    if due is not None and due < now and not isinstance(job.schedule, Every):
        due = due_after(job.schedule, now)
    return due, behind


def _notes(job: Job, last: RunRecord | None, now: datetime, *, late: bool) -> Iterator[str]:
    if late and last is not None:
        ago = in_time((now - datetime.fromisoformat(last.started)).total_seconds())
        yield f"job {job.name} {_LATE_NOTE}: it last began {ago} ago; does the daemon run? systemctl status mirror-sync"
    if last is not None and last.state is RunState.INTERRUPTED:
        yield f"job {job.name}: its last run was interrupted; mirror-sync sync {job.name} goes on with it"
    if job.selection != Selection():
        yield f"job {job.name} mirrors a part of each repo: {job.selection}"
