"""`rollback` and `unpin`: main goes back and stays there, and follows its upstream again."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.commands.versions.promote_command import NoWait, Why, move
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, Target, command
from mirror_sync.errors import UsageError


@command
def rollback(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: RepoArgument,
    why: Why,
    commit: Annotated[
        str | None, typer.Argument(metavar="COMMIT", help="A commit or any name; what main was before if left out.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, metavar="N", help="So many back; 1.")] = None,
    target: Target = None,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Let main stand for an earlier commit again, and pin it there.

    Readers get it at once. Syncs go on and bring what is new upstream, and do not move main, until unpin.
    """
    if commit is not None and steps is not None:
        raise UsageError("COMMIT and --steps say two things: write one of them")
    move(
        invocation,
        (repo, why, target, no_wait),
        lambda names, wanted: names.rollback(wanted, commit, steps or 1),
        as_json,
    )


@command
def unpin(
    invocation: Invocation,
    repo: RepoArgument,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, which the history keeps.")] = "",
    target: Target = None,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Let main follow its upstream again, from the next sync on."""
    move(invocation, (repo, why, target, no_wait), lambda names, wanted: names.unpin(wanted), as_json)
