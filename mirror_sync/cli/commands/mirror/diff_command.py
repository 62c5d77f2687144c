"""`diff`: what changed between two snapshots of a repo."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, Target, chosen, command, repo_of


@command
def diff(
    invocation: Invocation,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="org/name, or dataset:org/name.")],
    before: Annotated[
        str | None, typer.Argument(metavar="A", help="A branch, tag or commit; the one before B.")
    ] = None,
    after: Annotated[str | None, typer.Argument(metavar="B", help="Another; main when left out.")] = None,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Show what changed between two mirrored snapshots of a repo."""
    from mirror_sync.cli.output.diff_text import diff_text

    with invocation.mirror(reading=True) as mirror:
        found = mirror.diff(chosen(mirror.settings, target), repo_of(repo), before, after)
    invocation.answer(found, lambda page: diff_text(found, page), as_json=as_json)
