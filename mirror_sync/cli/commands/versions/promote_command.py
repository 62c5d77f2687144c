"""`promote`: lets a channel stand for a commit; and what all commands that move a name share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, Target, chosen, command, repo_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror_sync.app.versions.releasing import NameReport, ReleaseNames, Wanted

Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, which the history keeps.")]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Do not look again whether another machine has written over it.")
]


@command
def promote(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: RepoArgument,
    source: Annotated[str, typer.Argument(metavar="FROM", help="main, a channel, tag, branch or commit.")],
    channel: Annotated[str, typer.Argument(metavar="TO", help="candidate, stable or deprecated.")],
    why: Why,
    target: Target = None,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Let a channel stand for the commit that FROM stands for now.

    Readers ask for it as a revision: revision="stable". It counts at once; then the command waits up to a minute, and
    looks whether another machine has written over it.
    """
    move(
        invocation, (repo, why, target, no_wait), lambda names, wanted: names.promote(wanted, source, channel), as_json
    )


def move(
    invocation: Invocation,
    said: tuple[str, str, str | None, bool],
    verb: Callable[[ReleaseNames, Wanted], NameReport],
    as_json: bool,
) -> None:
    """Have a name moved, and say what became of it. `said`: the repo, why, the target, whether not to wait."""
    from mirror_sync.app.versions.releasing import Wanted

    repo, why, target, no_wait = said
    with invocation.mirror("moving a name") as mirror:
        name = chosen(mirror.settings, target)
        wanted = Wanted(invocation.actor, name, repo_of(repo), why, wait=not no_wait)
        report = verb(mirror.releases, wanted)
    invocation.answer(report, lambda _: _said(report), as_json=as_json)


def _said(report: NameReport) -> str:
    one, repo = report.move, report.repo
    if not report.changed:
        lines = [f"{one.name} of {repo} stands for {one.after} already; nothing was written."]
    elif one.verb == "share":
        lines = [f"{repo}: {one.why}", "Whoever is among them stays there; share 0% ends it."]
    elif one.verb == "unpin":
        lines = [f"main of {repo} follows its upstream again: the next sync moves it from {one.after}."]
    elif one.after is None:
        lines = [f"{one.name} of {repo} is no name any more; it stood for {one.before}, which stays by its id."]
    else:
        before = f", before for {one.before}" if one.before not in (None, one.after) else ""
        lines = [f"{one.name} of {repo} stands for {one.after} now{before}."]
    if report.changed and one.verb == "rollback":
        lines.append(f"It is pinned: syncs go on and leave it there, until mirror-sync unpin {repo}.")
    return "\n".join((*lines, *(f"note: {note}" for note in report.notes)))
