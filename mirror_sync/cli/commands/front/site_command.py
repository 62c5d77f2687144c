"""`site`: publishes the catalogue again."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import chosen, command
from mirror_sync.observe.figures import counted


@command
def site(
    invocation: Invocation,
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help="Which, when there are several.")] = None,
) -> None:
    """Publish the catalogue again, all of it.

    Every run publishes what has changed of it; this compares each page with what is there, and puts those that differ.
    """
    with invocation.mirror("publishing the catalogue") as mirror:
        name = chosen(mirror.settings, target, how="by its name")
        sheets = mirror.publish_catalogue(name)
    invocation.print(f"target {name}: {sheets.put:,} put, {sheets.same:,} as they were, {sheets.removed:,} removed")
    if sheets.unread:
        invocation.print(f"{counted(sheets.unread, 'repo')} cannot be read: run mirror-sync verify")
    end(not sheets.unread)
