"""The options that every command takes, before its name or after it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mirror_sync.cli.invocation import Invocation, Options
from mirror_sync.observe.log.log import Format

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


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Add the common options to a command, whose first parameter is the invocation they are merged into."""
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
    del with_options.__wrapped__
    return with_options


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
