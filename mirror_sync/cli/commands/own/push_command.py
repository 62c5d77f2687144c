"""`push`: a model of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, command, repo_of
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.app.own.pushing import PushReport
    from mirror_sync.cli.output.tables import TextLayout

Read = TypeVar("Read")


@command
def push(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder with its files.")],
    repo: RepoArgument,
    upstream: Annotated[
        str | None, typer.Option("--upstream", metavar="NAME", help="Which upstream, when several take a push.")
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="What is new in it.")] = "",
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", metavar="NAME=NUMBER", help="A figure, as accuracy=0.91; again.")
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--card", metavar="NAME=TEXT", help="A field of its card, as license=mit; again for a list."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish a folder as a new commit of a model of your own.

    It goes into an upstream of kind: directory or own, and the jobs that name it publish it at once, by their policy.
    The same files, metrics and fields make no second commit. Killed anywhere, the old commit stands or the new one.
    """
    from mirror_sync.domain.own.pushed import Pushed, card_of, field_of, message_of, metric_of

    wanted = repo_of(repo)
    said = Pushed(
        by=invocation.actor.name,
        message=_read(message_of, message),
        metrics=dict(_read(metric_of, one) for one in metrics or ()),
        card=_read(card_of, [_read(field_of, one) for one in fields or ()]),
    )
    with invocation.mirror() as mirror:
        report = mirror.push(invocation.actor, folder.absolute(), wanted, said, upstream)
        file = mirror.settings.path.name
    every = invocation.options.verbose
    invocation.answer(report, lambda page: "\n".join(_lines(report, file, page, every=every)), as_json=as_json)
    end(report.ok)


def _read(read: Callable[[str], Read] | Callable[[Sequence[tuple[str, str]]], Read], value: object) -> Read:
    """UsageError for what is not as it should be written."""
    try:
        return read(value)  # type: ignore[arg-type]  # each is given its own
    except ValueError as error:
        raise UsageError(str(error)) from None


def _lines(report: PushReport, file: str, page: TextLayout, *, every: bool) -> list[str]:
    from mirror_sync.cli.output.reports import sync_text

    where = f"{report.repo} in upstream {report.upstream}"
    if report.new:
        lines = [f"{where}: new commit {report.commit}, {report.files:,} files, {report.bytes:,} bytes"]
    else:
        lines = [f"{where}: nothing new, commit {report.commit} has the same files, metrics and fields"]
    if report.run is None:
        return [*lines, f"no job publishes it; add below jobs in {file}:", f"  {report.line}"]
    return [*lines, sync_text(report.run, page, every=every)]
