"""`tag`: gives a commit a name that never moves."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.commands.versions.promote_command import NoWait, move
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, Target, command
from mirror_sync.errors import UsageError


@command
def tag(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: RepoArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A version, date or commit, as v1.2.")],
    commit: Annotated[
        str | None, typer.Argument(metavar="COMMIT", help="What it stands for: a commit or any name; main if left out.")
    ] = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, which the history keeps.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the name away, of a tag or a channel.")] = False,
    target: Target = None,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Give a commit a name of ours that never moves.

    Readers ask for it as a revision, beside the upstream's names. A name that the upstream uses is refused, and so is
    latest.
    """
    if remove and commit is not None:
        raise UsageError("--remove takes a name away, whatever it stands for: leave COMMIT out")
    move(
        invocation,
        (repo, why, target, no_wait),
        lambda names, wanted: names.untag(wanted, name) if remove else names.tag(wanted, name, commit or "main"),
        as_json,
    )
