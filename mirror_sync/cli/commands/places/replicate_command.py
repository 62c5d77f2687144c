"""`replicate`: copies a target to its replicas now."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, Target, chosen, command


class Engine(StrEnum):
    """Who brings the blobs first."""

    OWN = "own"
    RCLONE = "rclone"


@command
def replicate(
    invocation: Invocation,
    target: Target = None,
    replica: Annotated[
        str | None, typer.Option("--replica", metavar="NAME", help="Only this one of its replicas.")
    ] = None,
    engine: Annotated[
        Engine, typer.Option("--engine", help="rclone brings all blobs first; then each is read there, and proved.")
    ] = Engine.OWN,
    anew: Annotated[
        bool, typer.Option("--anew", help="Read and prove all that the replica has, and bring what is wrong again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy what a target publishes to its replicas, now.

    Blobs, then documents, then what names them: readers of a replica see each repo as it was or as it is. It minds no
    hours, and waits for a pass that goes on. Exit code 1: not all of it is there.
    """
    from mirror_sync.cli.output.replica_text import copied_text

    with invocation.mirror("copying") as mirror:
        name = chosen(mirror.settings, target)
        found = mirror.replicas.named(name, replica)
        statuses = [mirror.replicas.copy(of, one, anew=anew, by_rclone=engine is Engine.RCLONE) for of, one in found]
    now = datetime.now(UTC)
    if as_json:
        invocation.print_json([status.document(now) for status in statuses])
    else:
        invocation.print(copied_text(statuses, invocation.page, now))
    end(not any(status.reason for status in statuses))
