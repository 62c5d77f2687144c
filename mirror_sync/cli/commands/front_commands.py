"""The commands that serve a target, or write what serves it, and the one for shells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mirror_sync.cli import completion
from mirror_sync.cli.app import Target, app, front
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command


@app.command()
@command
def serve(
    invocation: Invocation,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; front.listen when left out.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port; front.listen when left out."),
    ] = None,
    target: Target = None,
    access_log: Annotated[
        Path | None,
        typer.Option("--access-log", metavar="FILE", help="Write a line for each request, for the traffic command."),
    ] = None,
) -> None:
    """Serve a target to Hugging Face clients, in this process."""
    from mirror_sync.cli.commands.serving import serve_target

    serve_target(invocation, target, (host, port), access_log)


@app.command(name="completion")
@command
def complete(
    invocation: Invocation, shell: Annotated[completion.Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish.")]
) -> None:
    """Print what makes a shell complete our commands.

    Options and names of jobs, too. For bash: mirror-sync completion bash > /etc/bash_completion.d/mirror-sync
    """
    invocation.print(completion.script(shell))


@front.command()
@command
def nginx(
    invocation: Invocation,
    directory: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write to.")],
    target: Target = None,
) -> None:
    """Write nginx.conf and what it needs, for nginx with njs."""
    from mirror_sync.cli.commands.serving import write_for_nginx

    write_for_nginx(invocation, target, directory)
