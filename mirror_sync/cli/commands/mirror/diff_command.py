"""`diff`: what changed between two snapshots of a repo."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, Target, chosen, command, repo_of
from mirror_sync.cli.output.reports import SHORT
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.content.difference import ChangeKind, Difference, FileChange
from mirror_sync.observe.figures import counted, in_bytes


@command
def diff(
    invocation: Invocation,
    repo: RepoArgument,
    before: Annotated[
        str | None, typer.Argument(metavar="A", help="A branch, tag or commit; the one before B.")
    ] = None,
    after: Annotated[str | None, typer.Argument(metavar="B", help="Another; main when left out.")] = None,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Show what changed between two mirrored snapshots of a repo."""
    with invocation.mirror(reading=True) as mirror:
        found = mirror.diff(chosen(mirror.settings, target), repo_of(repo), before, after)
    invocation.answer(found, lambda page: _text(found, page), as_json=as_json)


def _text(found: Difference, page: TextLayout) -> str:
    rows = [Row((change.turn, *_sizes(change), change.path)) for change in found.changes]
    parts = [page.table(("STATE", "BEFORE", "AFTER", "FILE"), rows)] if rows else []
    turns = ", ".join(f"{found.count(turn):,} {turn}" for turn in ChangeKind)
    words = (
        f"{found.repo} from {found.before[:SHORT]} to {found.after[:SHORT]}: {turns}, "
        f"{counted(found.same, 'file')} as before; {_signed(found.growth)}."
    )
    parts.append(page.sentence(words))
    return "\n".join(parts)


def _sizes(change: FileChange) -> tuple[str, str]:
    before, after = ("-" if side is None else in_bytes(side.size) for side in (change.before, change.after))
    return before, after


def _signed(growth: int) -> str:
    return f"{in_bytes(abs(growth))} {'less' if growth < 0 else 'more'}"
