"""`webhooks create` and `webhooks list`: what the Hub tells the daemon of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command
from mirror_sync.domain.bounds import plain
from mirror_sync.domain.job.upstreams import HubUpstream
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.domain.url import Url
from mirror_sync.errors import UsageError
from mirror_sync.observe.figures import counted

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings


@command
def create(
    invocation: Invocation,
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="Where the hub reaches the daemon's /webhook, from outside.")
    ],
) -> None:
    """Have the hub tell the daemon of every change of a repo.

    Once for all repos of jobs.yaml; again after new ones were added.
    """
    from mirror_sync.wiring.adapters import open_webhooks

    settings = invocation.settings()
    secret = settings.http.secret
    if secret is None:
        raise UsageError(
            f"http.webhook_secret of {settings.path.name} is empty here: write http: {{webhook_secret: "
            '"${WEBHOOK_SECRET:-}"}, and give this command the variable, too; the daemon has it from '
            "/etc/mirror-sync/environment"
        )
    try:
        Url.parse(url)
    except ValueError as error:
        raise UsageError(f"{url!r} is no address; write https://mirror.example.org/webhook") from error
    for upstream, hub in _hubs(settings).items():
        found = open_webhooks(hub).watch(url, secret, _patterns(settings, upstream))
        names = ", ".join(f"{one.type} {one.name}" for one in found)
        invocation.print(f"{upstream}: {f'{url} is told of {names} now' if found else f'{url} is told of all already'}")


@command
def show(invocation: Invocation) -> None:
    """Show the webhooks of the token's account."""
    from mirror_sync.wiring.adapters import open_webhooks

    for upstream, hub in _hubs(invocation.settings()).items():
        found = open_webhooks(hub).list()
        invocation.print(f"{upstream}: {counted(len(found), 'webhook')}")
        for webhook in found:
            off = " (switched off)" if webhook.disabled else ""
            names = ", ".join(f"{one.type} {one.name}" for one in sorted(webhook.watched))
            invocation.print(plain(f"  {webhook.url or 'no address'}{off}: {names}"))


def _hubs(settings: Settings) -> dict[str, HubUpstream]:
    """Those that jobs read from, by name. UsageError where one has no token."""
    used = {job.upstream: settings.upstreams[job.upstream] for job in settings.jobs}
    hubs = {name: upstream for name, upstream in used.items() if isinstance(upstream, HubUpstream)}
    if not hubs:
        raise UsageError(f"no job of {settings.path.name} reads from an upstream of kind: huggingface")
    for name, hub in hubs.items():
        if not hub.token_for(hub.endpoints[0]):
            raise UsageError(f"upstream {name} has no token, and webhooks belong to an account: write its token")
    return hubs


def _patterns(settings: Settings, upstream: str) -> list[RepoPattern]:
    return [job.named_upstream(one) for job in settings.jobs if job.upstream == upstream for one in job.asked]
