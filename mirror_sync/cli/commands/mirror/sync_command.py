"""`sync`: a run, now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Jobs, Json, command

if TYPE_CHECKING:
    from mirror_sync.domain.outcome.report import RunReport


@command
def sync(
    invocation: Invocation,
    jobs: Jobs = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Also into a target that has lost all that was published there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the mirror up to date, now.

    A repo that fails never stops the others. Ctrl-C once finishes cleanly and says what is left, twice stops at once;
    what was fetched is not fetched again.
    """
    with invocation.mirror() as mirror:
        report = mirror.sync(invocation.actor, jobs or (), anew=anew)
    show_run(invocation, report, as_json=as_json)


def show_run(invocation: Invocation, report: RunReport, *, as_json: bool = False) -> None:
    """Print what a run did, and end with its exit code."""
    from mirror_sync.cli.output.reports import sync_text

    every = invocation.options.verbose
    invocation.answer(report, lambda page: sync_text(report, page, every=every), as_json=as_json)
    end(report.ok)
