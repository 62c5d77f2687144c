"""`restore`: lets a repo come back that was taken down."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import RepoArgument, Target, chosen, command, repo_of


@command
def restore(
    invocation: Invocation,
    repo: RepoArgument,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, which the log keeps.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who has decided it.")] = "",
    target: Target = None,
) -> None:
    """Let jobs publish a repo again that was taken down.

    Nothing is published by that: the next sync of a job that names it brings it again, under the policy as it is then.
    """
    with invocation.mirror(None) as mirror:
        name = chosen(mirror.settings, target)
        restored = mirror.taking_down.restore(invocation.actor, name, repo_of(repo), why=why, by=by)
    invocation.print(f"{restored} may be published in target {name} again: the next sync of a job that names it does.")
