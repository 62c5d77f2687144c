"""The options that every command takes, before its name or after it; arguments and options that several have, and what
they mean."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from mirror_sync.cli.completing import names_of_jobs, names_of_repos, names_of_targets
from mirror_sync.cli.invocation import Invocation, Options
from mirror_sync.errors import UsageError
from mirror_sync.observe.log.log import Format

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings
    from mirror_sync.domain.repo import Repo


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="The configuration; jobs.yaml, or $MIRROR_SYNC_CONFIG."),
]
FormatOption = Annotated[
    Format | None,
    typer.Option("--log-format", metavar="FORMAT", help="auto, console (for people) or json (a line each)."),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log every file, too.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Log problems only, and show no progress.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Log everything, and show tracebacks.")]

Jobs = Annotated[list[str] | None, typer.Argument(metavar="JOB", hidden=True, autocompletion=names_of_jobs)]
Job = Annotated[str, typer.Argument(metavar="JOB", help="Its name.", autocompletion=names_of_jobs)]
JobsOption = Annotated[
    list[str] | None,
    typer.Option("--job", metavar="JOB", help="Only this job; may be repeated.", autocompletion=names_of_jobs),
]
RepoArgument = Annotated[
    str, typer.Argument(metavar="REPO", help="org/name, or dataset:org/name.", autocompletion=names_of_repos)
]
OnlyRepo = Annotated[
    str | None,
    typer.Argument(metavar="REPO", help="Only this one: org/name, or dataset:org/name.", autocompletion=names_of_repos),
]
OnlyRepoOption = Annotated[
    str | None,
    typer.Option(
        "--repo", metavar="REPO", help="Only this one: org/name, or dataset:org/name.", autocompletion=names_of_repos
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Target = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="NAME", help="Which target, when there are several.", autocompletion=names_of_targets
    ),
]
OnlyTarget = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", help="In this target only.", autocompletion=names_of_targets),
]


def common(
    config: ConfigOption = None,
    log_format: FormatOption = None,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """The signature that is added to every command."""


_COMMON = tuple(inspect.signature(common, eval_str=True).parameters.values())
_CONTEXT = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)


class PlainCommand(typer.core.TyperCommand):
    """A command whose usage names an argument as everybody writes it: REPO where typer has {REPO}."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [re.sub(r"^\{(.*)\}", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


def command(
    function: Callable[..., None], command_class: type[typer.core.TyperCommand] = PlainCommand
) -> Callable[..., None]:
    """Add the common options to a command, whose first parameter is the invocation they are merged into; its arguments
    are read by the class.
    """
    _, *own = inspect.signature(function, eval_str=True).parameters.values()

    @functools.wraps(function)
    def with_options(context: typer.Context, **values: Any) -> None:
        given = {option.name: values.pop(option.name) for option in _COMMON}
        invocation: Invocation = context.obj
        invocation.options = _merged(invocation.options, **given)
        function(invocation, **values)

    parameters = [_CONTEXT, *own, *_COMMON]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    with_options.command_class = command_class  # type: ignore[attr-defined]
    del with_options.__wrapped__
    return with_options


def chosen(settings: Settings, target: str | None, how: str = "with --target") -> str:
    """The target that was named, or the only one that jobs publish into. UsageError when that leaves a choice.

    `how` a command takes the name, for that error.
    """
    if target is not None:
        if target not in settings.targets:
            from mirror_sync.domain.nearest import names_instead

            instead = names_instead(target, settings.targets)
            raise UsageError(f"{settings.path.name} has no target {target!r}{instead}")
        return target
    used = sorted({job.target for job in settings.jobs}) or sorted(settings.targets)
    if len(used) != 1:
        raise UsageError(f"{settings.path.name} has several targets: choose one {how} ({', '.join(used)})")
    return used[0]


def repo_of(text: str) -> Repo:
    """UsageError for what is no repo."""
    from mirror_sync.domain.repo import Repo

    try:
        return Repo.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _merged(
    before: Options, config: Path | None, log_format: Format | None, verbose: bool, quiet: bool, debug: bool
) -> Options:
    """What stands after the command's name wins over what stands before it."""
    if verbose and quiet:
        raise typer.BadParameter("--verbose and --quiet exclude each other")
    return Options(
        config=config or before.config,
        log_format=log_format or before.log_format,
        loudness=(verbose - quiet) or before.loudness,
        debug=debug or before.debug,
    )
