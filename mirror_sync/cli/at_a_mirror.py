"""What the commands that read a mirror have in common: where it is, what they are asked about, and waiting for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.interrupts import stopped_by_signals
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import repo_of
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.domain.outcome.events import Event
    from mirror_sync.domain.repo import Repo
    from mirror_sync.wiring.pull_reader import PullReader

From = Annotated[
    str | None, typer.Option("--from", metavar="URL", help="The mirror: https://...; HF_ENDPOINT if left out.")
]
NamedRepo = Annotated[
    str, typer.Argument(metavar="REPO[@REVISION]", help="org/name; dataset:, space: or kernel:org/name.")
]


@contextmanager
def reading(invocation: Invocation, url: str | None, workers: int = 4) -> Iterator[PullReader]:
    """The mirror at an address. UsageError where none is named, or what is there is none."""
    from mirror_sync.domain.outcome.events import Retrying
    from mirror_sync.wiring.pull_reader import PullReader

    url = url or os.environ.get("HF_ENDPOINT")
    if not url:
        raise UsageError("which mirror? --from URL, or HF_ENDPOINT in the environment")

    def tell(event: Event) -> None:
        if isinstance(event, Retrying):
            invocation.say(f"{event.what}: {event.message}; again in {event.wait:.1f} s")

    with stopped_by_signals(invocation.stop, invocation.say):
        reader = PullReader(url, os.environ, invocation.stop, tell, workers)
        invocation.redaction.learn(filter(None, (reader.token,)))
        yield reader


def repo_and_revision(text: str) -> tuple[Repo, str]:
    """UsageError for what names no repo, or no revision behind an @."""
    name, at, revision = text.partition("@")
    if at and not revision:
        raise UsageError(f"{text!r} names no revision behind its @")
    return repo_of(name), revision or "main"
