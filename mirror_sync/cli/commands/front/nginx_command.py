"""`front nginx`: what nginx with njs needs to serve a target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.at_the_daemon import desk_of
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Target, chosen, command
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.domain.job.targets import Target as TargetValue
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings
    from mirror_sync.front.nginx.nginx_files import NginxOptions


@command
def nginx(
    invocation: Invocation,
    directory: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write to.")],
    target: Target = None,
) -> None:
    """Write nginx.conf and what it needs, for nginx with njs."""
    from mirror_sync.front.nginx.nginx_files import write_nginx

    invocation.start_log()
    settings = invocation.settings()
    options = _nginx_options(settings, chosen(settings, target))
    try:
        path = write_nginx(directory, options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    invocation.print(f"nginx -c {path}")


def _nginx_options(settings: Settings, name: str) -> NginxOptions:
    from mirror_sync.front.hub.cors import Cors
    from mirror_sync.front.nginx.nginx_files import NginxOptions, Tls

    front, tls = settings.front, settings.front.tls
    return NginxOptions(
        _readable(name, settings.targets[name], signed=front.bucket == "private"),
        host=front.listen.host,
        port=front.listen.port,
        user=front.user,
        public_url=front.url,
        cache_size=front.caches.size,
        site=settings.site.enabled,
        by_digest=front.by_digest,
        cors=Cors(front.cors),
        access=settings.access_to(name),
        tokens=settings.tokens,
        limits=front.limits.limits,
        caching=front.caches.caching,
        doors=front.doors | settings.site.ask.doors,
        kernel_publishers=frozenset(front.kernel_publishers),
        torrents=front.torrent_options,
        desk=desk_of(settings, name),
        replicas=settings.fronts_beside(name),
        layers=front.layers,
        s3_listen=None if front.s3_listen is None else (front.s3_listen.host, front.s3_listen.port),
        watch=None if front.watch.listen is None else (front.watch.listen.host, front.watch.listen.port),
        tls=None if tls is None else Tls(Path(tls.certificate), Path(tls.key), tls.min_version),
    )


def _readable(name: str, target: TargetValue, *, signed: bool) -> TargetValue:
    """A target as nginx reads it: with keys that it signs with, or without any. UsageError where it has none to use."""
    if not isinstance(target, S3Target):
        return target
    if not signed:
        return replace(target, access_key=None, secret_key=None)
    if not (target.access_key and target.secret_key):
        raise UsageError(
            f"nginx signs its own requests to target {name}: give its access_key and secret_key, "
            "or let the bucket be read unsigned with front: {bucket: public}"
        )
    return target
