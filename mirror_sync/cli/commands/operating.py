"""What is asked of the daemon, or done in its place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mirror_sync.cli.invocation import Invocation
from mirror_sync.config.keys.time_values import interval
from mirror_sync.daemon.control import ask_daemon
from mirror_sync.daemon.requests import words
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.errors import UsageError
from mirror_sync.owners import hindrance
from mirror_sync.state.pauses import Pauses, pause_lines

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings
    from mirror_sync.wiring.program import Mirror


def sync_scheduled(mirror: Mirror) -> RunReport:
    """Every job that has a schedule, once. UsageError where none has."""
    names = [job.name for job in mirror.settings.jobs if job.schedule is not None]
    if not names:
        raise UsageError(f"{mirror.settings.path.name}: no job has a schedule; run mirror-sync sync")
    paused = Pauses(mirror.settings.state_dir).all()
    left = [name for name in names if name not in paused]
    if not left:
        raise UsageError("; ".join(pause_lines(paused)))
    return mirror.sync(left)


def pause_job(invocation: Invocation, job: str, length: str | None) -> None:
    """UsageError for no job, and for no duration."""
    settings = _having(invocation, job)
    try:
        until = None if length is None else datetime.now(UTC) + interval(length)
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from error
    Pauses(settings.state_dir).pause(job, until)
    invocation.print("\n".join(pause_lines({job: until})))


def resume_job(invocation: Invocation, job: str) -> None:
    """UsageError for no job."""
    was = Pauses(_having(invocation, job).state_dir).resume(job)
    invocation.print(f"job {job}: {'runs again when it is due' if was else 'was not paused'}")


def paused_now(settings: Settings) -> str:
    """A line for each job that there is and that is paused; empty for none."""
    names = {job.name for job in settings.jobs}
    return "\n".join(pause_lines({job: end for job, end in Pauses(settings.state_dir).all().items() if job in names}))


def unwritable(settings: Settings) -> Iterator[str]:
    """Why a sync could not write the state folder, or a target that is a directory; as whoever we are."""
    places = {"state_dir": settings.state_dir}
    places |= {f"target {name}": one.root for name, one in settings.targets.items() if isinstance(one, DirectoryTarget)}
    for name, path in places.items():
        if path.exists() and not path.is_dir():
            yield f"{name}: {path} is a file; name a folder"
        elif why := hindrance(path):
            yield f"{name}: {path} cannot be written: {why}"


def _having(invocation: Invocation, job: str) -> Settings:
    settings = invocation.owned()
    names = [one.name for one in settings.jobs]
    if job not in names:
        raise UsageError(f"{settings.path.name} has no job {job!r}; it has: {', '.join(names)}")
    return settings


def trigger_now(invocation: Invocation, name: str) -> bool:
    """Whether anything was started, or waits for its turn.

    ConnectionError where no daemon runs; UsageError for what no job is or names.
    """
    begun = ask_daemon(invocation.settings().state_dir, {"trigger": name})
    invocation.print(words(begun))
    return not all(one.state.idle for one in begun)
