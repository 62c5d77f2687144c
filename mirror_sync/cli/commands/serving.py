"""The commands that serve a target, or write what serves it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mirror_sync.cli.invocation import Invocation
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.errors import UsageError
from mirror_sync.owners import is_there

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings
    from mirror_sync.front.nginx.nginx_files import NginxOptions


def serve_target(
    invocation: Invocation, target: str | None, at: tuple[str | None, int | None], log: Path | None = None
) -> None:
    """Serve until SIGTERM or Ctrl-C. OSError when the address is taken, or the log of requests cannot be opened.

    `at` is the host and port, each None for what jobs.yaml says.
    """
    from mirror_sync.domain.content.keys import HUB
    from mirror_sync.front.hub.access_log import LogFile, Logged
    from mirror_sync.front.hub.cors import Cors
    from mirror_sync.front.serve.asgi import ServeOptions, always, make_app
    from mirror_sync.front.serve.uvicorn_server import serve
    from mirror_sync.wiring.program import Mirror

    invocation.start_log()
    settings = invocation.settings()
    mirror = Mirror(settings, learn=invocation.redaction.rotate)
    name = chosen(settings, target)
    place = settings.targets[name]

    def tell(url: str) -> None:
        if isinstance(place, DirectoryTarget) and not is_there(place.root / HUB):
            invocation.say(f"target {name} publishes nothing yet in {place.root}: run mirror-sync sync")
        invocation.say(f"target {name} is served at {url}: open it in a browser, or set HF_ENDPOINT={url}")

    front = settings.front
    options = ServeOptions(front.url, settings.site.enabled, front.by_digest, Cors(front.cors))
    app = make_app(mirror.store(name), options)
    logged = app if log is None else Logged(app, LogFile(log).write)
    host, port = at[0] or front.listen.host, front.listen.port if at[1] is None else at[1]
    serve(logged, host, port, on_ready=tell, headers=always(options.cors))


def write_for_nginx(invocation: Invocation, target: str | None, directory: Path) -> None:
    """Write the files for a target's nginx, and say how to start it. UsageError for what nginx could not use."""
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
    from mirror_sync.front.nginx.nginx_files import NginxOptions

    front = settings.front
    return NginxOptions(
        _readable(name, settings.targets[name], signed=front.bucket == "private"),
        host=front.listen.host,
        port=front.listen.port,
        user=front.user,
        public_url=front.url,
        cache_size=front.cache,
        site=settings.site.enabled,
        by_digest=front.by_digest,
        cors=Cors(front.cors),
    )


def _readable(name: str, target: Target, *, signed: bool) -> Target:
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


def chosen(settings: Settings, target: str | None, how: str = "with --target") -> str:
    """The target that was named, or the only one that jobs publish into. UsageError when that leaves a choice.

    `how` a command takes the name, for that error.
    """
    if target is not None:
        if target not in settings.targets:
            known = ", ".join(settings.targets)
            raise UsageError(f"{settings.path.name} has no target {target!r}; it has: {known}")
        return target
    used = sorted({job.target for job in settings.jobs}) or sorted(settings.targets)
    if len(used) != 1:
        raise UsageError(f"{settings.path.name} has several targets: choose one {how} ({', '.join(used)})")
    return used[0]
