"""The program as typer sees it, and what its commands share: arguments, options, and how an answer is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Protocol

import typer

from mirror_sync.cli import completion
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command
from mirror_sync.cli.output.tables import TextLayout
from mirror_sync.domain.outcome.report import RunReport

app = typer.Typer(
    help="Keep your own copy of AI models and datasets, proved by SHA-256.",
    epilog="Exit codes: 0 complete, 1 something failed, 2 bad usage or configuration.",
    add_completion=False,  # two options in every help text for something that is done once
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
front = typer.Typer(
    help="Write what a web server needs to serve the mirror.", rich_markup_mode=None, no_args_is_help=True
)
webhooks = typer.Typer(help="Let the hub say when a repo changes.", rich_markup_mode=None, no_args_is_help=True)

Jobs = Annotated[list[str] | None, typer.Argument(metavar="JOB", hidden=True, autocompletion=completion.names_of_jobs)]
Job = Annotated[str, typer.Argument(metavar="JOB", help="Its name.", autocompletion=completion.names_of_jobs)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Target = Annotated[str | None, typer.Option("--target", metavar="NAME", help="Which target, when there are several.")]


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"mirror-sync {version('mirror-sync')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
]


@app.callback()
@command
def start(invocation: Invocation, version: Version = False) -> None:
    """Keep your own copy of AI models and datasets, proved by SHA-256."""


class Encodable(Protocol):
    def encode(self) -> dict[str, Any]: ...


def answer(invocation: Invocation, found: Encodable, text: Callable[[TextLayout], str], *, as_json: bool) -> None:
    """Print what was found, as one JSON document or as text."""
    if as_json:
        invocation.print_json(found.encode())
    else:
        invocation.print(text(invocation.page))


def end(ok: bool) -> None:
    """Exit with 1 unless all is well."""
    if not ok:
        raise typer.Exit(1)


def show_run(invocation: Invocation, report: RunReport, *, as_json: bool = False) -> None:
    """Print what a run did, and end with its exit code."""
    from mirror_sync.cli.output.reports import sync_text

    every = invocation.options.verbose
    answer(invocation, report, lambda page: sync_text(report, page, every=every), as_json=as_json)
    end(report.ok)
