"""`worker`: brings repos for another machine."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command


@command
def worker(
    invocation: Invocation,
    errands: Annotated[
        int, typer.Option("--repos", metavar="COUNT", min=1, max=64, help="How many repos this worker has at once.")
    ] = 4,
) -> None:
    """Bring repos up to date for another machine.

    Works for a daemon or a sync at the Dask scheduler that jobs.yaml names under engine, with the secrets of this
    machine. SIGTERM ends it cleanly: another worker goes on with what it had begun.
    """
    from mirror_sync.observe.log.event_log import EventLog
    from mirror_sync.wiring.program import Mirror

    invocation.start_log()
    learn = invocation.redaction.rotate
    mirror = Mirror(invocation.owned(), observers=(EventLog(),), stop=invocation.stop, learn=learn)
    mirror.work(errands, lambda address: invocation.say(f"worker {address} is ready"))
    _leave()


def _leave() -> None:
    """A transfer may not let go: what is published is complete at every moment, and the rest is another worker's."""
    sys.stdout.flush()
    os._exit(0)
