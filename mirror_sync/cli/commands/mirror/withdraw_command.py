"""`withdraw`: takes a repo down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, Target, chosen, command, repo_of

if TYPE_CHECKING:
    from mirror_sync.domain.outcome.report import TakenDown


@command
def withdraw(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: RepoArgument,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, which readers are told.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who has decided it, which readers are told.")] = "",
    target: Target = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; write and remove nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take a repo down: no front gives it, no job brings it back.

    What only it named is removed from the target; what other repos name, too, stays. What clients have in their caches
    stays there. It may run beside syncs and prunes, on this machine or another.
    """
    with invocation.mirror("looking for what only it names", reading=dry_run) as mirror:
        name = chosen(mirror.settings, target)
        report = mirror.taking_down.withdraw(invocation.actor, name, repo_of(repo), why=why, by=by, dry_run=dry_run)
    invocation.answer(report, lambda _: "\n".join(_said(report)), as_json=as_json)
    end(report.ok)


def _said(report: TakenDown) -> Iterator[str]:
    from mirror_sync.observe.figures import counted, in_bytes

    repo = report.repo if report.kind == "model" else f"{report.kind}:{report.repo}"
    yield from (f"problem: {problem}" for problem in report.problems)
    removed = f"{counted(report.blobs, 'blob')} ({in_bytes(report.bytes)})"
    snapshots = counted(len(report.snapshots), "snapshot")
    if report.dry_run:
        yield f"Dry run, nothing was taken down: it would be {snapshots} of {repo}, and {removed} that only it names."
    elif report.again:
        by = f" by {report.by}" if report.by else ""
        yield f"{repo} was taken down on {report.at[:10]}{by}: {report.why}. Removed {removed} that were left."
    else:
        yield f"Took down {repo} in target {report.target}: {snapshots}, and {removed} that only it named."
    if report.shared:
        yield f"{counted(report.shared, 'blob')} that other repos name, too: kept."
    if report.spared:
        yield f"{counted(report.spared, 'blob')} spared: used again meanwhile; a prune removes what nothing names."
