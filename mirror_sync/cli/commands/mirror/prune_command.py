"""`prune`: removes what nothing refers to."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, command


@command
def prune(
    invocation: Invocation,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; write and remove nothing.")
    ] = False,
    everything: Annotated[
        str | None,
        typer.Option("--everything", metavar="TARGET", help="Remove all blobs of a target that publishes no repo."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove old snapshots, and what none refers to.

    What branches, tags and jobs name always stays. It may run beside syncs, on this machine or another. A target that
    has blobs and no repo loses nothing, since it may not be whole, unless --everything names it.
    """
    from mirror_sync.cli.output.prune_text import prune_text

    doing = "looking for what nothing refers to" if dry_run else "pruning"
    with invocation.mirror(doing, reading=dry_run) as mirror:
        report = mirror.prune(invocation.actor, dry_run=dry_run, everything=everything)
    invocation.answer(report, lambda page: prune_text(report, page), as_json=as_json)
    end(report.ok)
