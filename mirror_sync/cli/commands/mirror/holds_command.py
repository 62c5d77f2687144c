"""`holds`: what waits for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, command, names_of_jobs


@command
def holds(
    invocation: Invocation,
    job: Annotated[
        list[str] | None,
        typer.Option("--job", metavar="JOB", help="Only this job; may be repeated.", autocompletion=names_of_jobs),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is held, why, and the command that lets it go.

    As the last run on this machine found it. approve and reject decide.
    """
    from mirror_sync.app.holding import held_now
    from mirror_sync.cli.output.holds_text import holds_text

    with invocation.mirror(None, reading=True) as mirror:
        found = held_now(mirror.status(), mirror.jobs(job or ()), mirror.history.changes)
    now = datetime.now(UTC)
    invocation.answer(found, lambda page: holds_text(found, page, now), as_json=as_json)
