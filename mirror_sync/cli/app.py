"""The program as typer sees it: all its commands, in the order in which help lists them."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.commands.completion_command import complete
from mirror_sync.cli.commands.daemon.daemon_command import daemon
from mirror_sync.cli.commands.daemon.trigger_pause_resume import pause, resume, trigger
from mirror_sync.cli.commands.daemon.webhooks_command import create, show
from mirror_sync.cli.commands.daemon.worker_command import worker
from mirror_sync.cli.commands.front.nginx_command import nginx
from mirror_sync.cli.commands.front.serve_command import serve
from mirror_sync.cli.commands.front.site_command import site
from mirror_sync.cli.commands.front.traffic_command import traffic
from mirror_sync.cli.commands.mirror.check_command import check
from mirror_sync.cli.commands.mirror.diff_command import diff
from mirror_sync.cli.commands.mirror.plan_command import plan
from mirror_sync.cli.commands.mirror.prune_command import prune
from mirror_sync.cli.commands.mirror.rescan_command import rescan
from mirror_sync.cli.commands.mirror.status_command import status
from mirror_sync.cli.commands.mirror.sync_command import sync
from mirror_sync.cli.commands.mirror.verify_command import verify
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command
from mirror_sync.cli.watching import Watching


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"mirror-sync {version('mirror-sync')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
]


@command
def start(invocation: Invocation, version: Version = False) -> None:
    """Keep your own copy of AI models and datasets, proved by SHA-256."""


app = typer.Typer(
    help="Keep your own copy of AI models and datasets, proved by SHA-256.",
    epilog="Exit codes: 0 complete, 1 something failed, 2 bad usage or configuration.",
    add_completion=False,  # two options in every help text for something that is done once
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(start)
app.command()(check)
app.command()(plan)
app.command()(sync)
app.command(cls=Watching)(status)
app.command()(diff)
app.command()(verify)
app.command()(rescan)
app.command()(prune)
app.command()(site)
app.command()(traffic)
app.command()(daemon)
app.command()(trigger)
app.command()(pause)
app.command()(resume)
app.command()(worker)
app.command()(serve)
app.command(name="completion")(complete)

front = typer.Typer(
    help="Write what a web server needs to serve the mirror.", rich_markup_mode=None, no_args_is_help=True
)
front.command()(nginx)
app.add_typer(front, name="front")

webhooks = typer.Typer(help="Let the hub say when a repo changes.", rich_markup_mode=None, no_args_is_help=True)
webhooks.command()(create)
webhooks.command(name="list")(show)
app.add_typer(webhooks, name="webhooks")
