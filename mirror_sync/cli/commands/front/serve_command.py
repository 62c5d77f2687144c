"""`serve`: a target for Hugging Face clients, from processes of this program."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.at_the_daemon import desk_of
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Target, chosen, command
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.job.targets import Target as TargetValue
from mirror_sync.errors import UsageError
from mirror_sync.owners import is_there

if TYPE_CHECKING:
    import ssl

    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from mirror_sync.config.keys.program_entries import TlsEntry
    from mirror_sync.config.keys.values.address_values import Listen
    from mirror_sync.front.serve.uvicorn_server import ServeBeside

_EDGE_DOCUMENTS = 8 * 1024 * 1024  # bytes of documents that a small machine keeps in memory


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
    processes: Annotated[
        int | None,
        typer.Option("--processes", metavar="N", min=1, max=64, help="How many share the work; one a core by default."),
    ] = None,
) -> None:
    """Serve a target to Hugging Face clients."""
    from mirror_sync.front.hub.answers import SECURED
    from mirror_sync.front.hub.cors import Cors
    from mirror_sync.front.hub.snapshots import DOCUMENT_BYTES
    from mirror_sync.front.protocols.access_log import LogFile, Logged
    from mirror_sync.front.serve.asgi import ServeOptions, always, make_app
    from mirror_sync.front.serve.uvicorn_server import ServeAt
    from mirror_sync.front.serve.uvicorn_server import serve as serve_until_stopped
    from mirror_sync.wiring.program import Mirror

    invocation.start_log()
    settings = invocation.settings()
    mirror = Mirror(settings, learn=invocation.redaction.rotate)
    name, front = chosen(settings, target), settings.front
    tiers = settings.targets[name].tiers
    options = ServeOptions(
        front.url,
        settings.site.enabled,
        front.by_digest,
        Cors(front.cors),
        settings.access_to(name),
        settings.tokens,
        secured=front.tls is not None,
        limits=front.limits.limits,
        caching=front.caches.caching,
        doors=front.doors | settings.site.ask.doors,
        kernel_publishers=frozenset(front.kernel_publishers),
        torrents=front.torrent_options,
        desk=desk_of(settings, name),
        replicas=settings.fronts_beside(name),
        restores=tiers is not None and tiers.restores,
        s3_port=None if front.s3_listen is None else front.s3_listen.port,
    )
    cores = 1 if settings.edge else len(os.sched_getaffinity(0))
    app = make_app(mirror.store(name), options, document_bytes=_EDGE_DOCUMENTS if settings.edge else DOCUMENT_BYTES)
    place = host or front.listen.host, front.listen.port if port is None else port
    at = ServeAt(
        *place,
        processes or cores,
        None if front.tls is None else _tls(front.tls),
        None if front.s3_listen is None else (front.s3_listen.host, front.s3_listen.port),
    )
    beside, answering = _watched(front.watch.listen, app, at.processes)
    serve_until_stopped(
        answering if access_log is None else Logged(answering, LogFile(access_log).write),
        at,
        beside=beside,
        on_ready=lambda url: _welcome(invocation, name, settings.targets[name], url),
        headers=always(options.cors) | (SECURED if at.tls else {}),
    )


def _watched(listen: Listen | None, app: Starlette, processes: int) -> tuple[ServeBeside | None, ASGIApp]:
    """What gives the figures of all processes to who watches, and the application that counts; as it was for nobody."""
    if listen is None:
        return None, app
    from mirror_sync.front.serve.front_board import Counted, FrontBoard, metrics_app
    from mirror_sync.front.serve.uvicorn_server import PATIENCE, ServeBeside
    from mirror_sync.observe.metrics.front_families import render_front

    board = FrontBoard(processes, float(PATIENCE.most * processes))
    watched = metrics_app(lambda accept: render_front(board.figures(), accept))
    return ServeBeside(watched, listen.host, listen.port, board.take), Counted(app, board, app.state.looks)


def _tls(said: TlsEntry) -> ssl.SSLContext:
    """UsageError where the files cannot be used, or the key is another certificate's."""
    from mirror_sync.net.certificate import ServerCertificate

    try:
        return ServerCertificate(Path(said.certificate), Path(said.key), said.min_version).context()
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"front.tls: {said.certificate} and {said.key} cannot be used: {reason}") from error


def _welcome(invocation: Invocation, name: str, place: TargetValue, url: str) -> None:
    from mirror_sync.domain.content.keys import HUB

    if isinstance(place, DirectoryTarget) and not is_there(place.root / HUB):
        invocation.say(f"target {name} publishes nothing yet in {place.root}: run mirror-sync sync")
    invocation.say(f"target {name} is served at {url}: open it in a browser, or set HF_ENDPOINT={url}")
