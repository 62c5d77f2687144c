"""`serve`: a target for Hugging Face clients, from this process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Target, chosen, command
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.job.targets import Target as TargetValue
from mirror_sync.owners import is_there


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
    from mirror_sync.front.hub.access_log import LogFile, Logged
    from mirror_sync.front.hub.cors import Cors
    from mirror_sync.front.serve.asgi import ServeOptions, always, make_app
    from mirror_sync.front.serve.uvicorn_server import serve as serve_until_stopped
    from mirror_sync.wiring.program import Mirror

    invocation.start_log()
    settings = invocation.settings()
    mirror = Mirror(settings, learn=invocation.redaction.rotate)
    name, front = chosen(settings, target), settings.front
    options = ServeOptions(
        front.url,
        settings.site.enabled,
        front.by_digest,
        Cors(front.cors),
        settings.access_to(name),
        settings.tokens,
    )
    app = make_app(mirror.store(name), options)
    serve_until_stopped(
        app if access_log is None else Logged(app, LogFile(access_log).write),
        host or front.listen.host,
        front.listen.port if port is None else port,
        on_ready=lambda url: _welcome(invocation, name, settings.targets[name], url),
        headers=always(options.cors),
    )


def _welcome(invocation: Invocation, name: str, place: TargetValue, url: str) -> None:
    from mirror_sync.domain.content.keys import HUB

    if isinstance(place, DirectoryTarget) and not is_there(place.root / HUB):
        invocation.say(f"target {name} publishes nothing yet in {place.root}: run mirror-sync sync")
    invocation.say(f"target {name} is served at {url}: open it in a browser, or set HF_ENDPOINT={url}")
