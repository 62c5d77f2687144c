"""`trigger`, `pause` and `resume`: when the daemon starts a job, and when it does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.completing import names_of_jobs_and_repos
from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Job, command
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings

_STANDBY = "standby"  # how it says so


@command
def trigger(
    invocation: Invocation,
    name: Annotated[
        str,
        typer.Argument(
            metavar="JOB|REPO", help="A job, or org/name or dataset:org/name.", autocompletion=names_of_jobs_and_repos
        ),
    ],
) -> None:
    """Have the daemon start a job now, or a single repo.

    A repo starts in every job that names it. What waits already is not started twice. Where nothing
    is started, as for a paused job, it exits with 1.
    Needs the daemon's own user, on its machine.
    """
    from mirror_sync.daemon.control import ask_daemon
    from mirror_sync.daemon.requests import words

    begun = ask_daemon(invocation.settings().state_dir, {"trigger": name, "by": invocation.actor.name})
    invocation.print(words(begun))
    end(not all(one.state.idle for one in begun))


@command
def pause(
    invocation: Invocation,
    job: Job,
    length: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long, like 2h; else for good.")
    ] = None,
) -> None:
    """Have the daemon not start a job, until it is resumed.

    A run that goes on is not stopped. mirror-sync sync JOB runs it all the same.
    """
    from mirror_sync.config.keys.values.time_values import interval
    from mirror_sync.state.pauses import Pauses, pause_lines

    settings = _having(invocation, job)
    try:
        until = None if length is None else datetime.now(UTC) + interval(length)
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from error
    Pauses(settings.state_dir).pause(job, until)
    invocation.print("\n".join(pause_lines({job: until})))


@command
def resume(invocation: Invocation, job: Job) -> None:
    """End the pause of a job: it runs when it is due next."""
    from mirror_sync.state.pauses import Pauses

    was = Pauses(_having(invocation, job).state_dir).resume(job)
    invocation.print(f"job {job}: {'runs again when it is due' if was else 'was not paused'}")


def _having(invocation: Invocation, job: str) -> Settings:
    """The settings, which have this job: UsageError else."""
    from mirror_sync.domain.nearest import jobs_instead

    settings = invocation.owned()
    if job not in {one.name for one in settings.jobs}:
        raise UsageError(f"{settings.path.name} has no job {job!r}{jobs_instead(job, settings.jobs)}")
    if settings.ha is not None:
        _expect_no_standby(settings)
    return settings


def _expect_no_standby(settings: Settings) -> None:
    """UsageError where another daemon has the jobs: what is paused is as it says."""
    from mirror_sync.daemon.control import ask_role

    try:
        role = ask_role(settings.state_dir)
    except ConnectionError:  # it is paused by the time that one starts
        return
    if role.startswith(_STANDBY):
        raise UsageError(f"the daemon here is the {role}: pause and resume jobs on the machine that works")
