"""`daemon`: every job on its schedule."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.commands.mirror.sync_command import show_run
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.wiring.program import Mirror


@command
def daemon(
    invocation: Invocation,
    once: Annotated[
        bool, typer.Option("--once", help="Run every job that has a schedule once, now, and end as sync does.")
    ] = False,
) -> None:
    """Run every job on its schedule.

    Jobs with an interval also run at the start. SIGHUP reads jobs.yaml again, SIGTERM ends cleanly.
    """
    if once:
        with invocation.mirror() as mirror:
            report = _sync_scheduled(mirror, invocation.actor)
        show_run(invocation, report)
    else:
        _run_by_schedule(invocation)


def _sync_scheduled(mirror: Mirror, actor: Actor) -> RunReport:
    """Every job that has a schedule, once. UsageError where none has."""
    from mirror_sync.state.pauses import Pauses, pause_lines

    names = [job.name for job in mirror.settings.jobs if job.schedule is not None]
    if not names:
        raise UsageError(f"{mirror.settings.path.name}: no job has a schedule; run mirror-sync sync")
    paused = Pauses(mirror.settings.state_dir).all()
    left = [name for name in names if name not in paused]
    if not left:
        raise UsageError("; ".join(pause_lines(paused)))
    return mirror.sync(actor, left)


def _run_by_schedule(invocation: Invocation) -> None:
    from mirror_sync.daemon.service import run_daemon
    from mirror_sync.observe.log.event_log import EventLog
    from mirror_sync.observe.metrics.metrics import Metrics
    from mirror_sync.observe.progress.plain_progress import PlainProgress
    from mirror_sync.observe.tally import Tally
    from mirror_sync.wiring.program import Mirror

    invocation.start_log()
    tally, log = Tally(), EventLog()
    metrics = Metrics(tally)
    with PlainProgress(tally), invocation.traced() as trace:
        clean = run_daemon(
            invocation.owned,
            lambda settings, stop: Mirror(
                settings, (log, tally, metrics, *trace(settings)), stop, invocation.redaction.rotate
            ),
            os.environ,
            metrics,
        )
    if not clean:
        # a transfer does not let go: what is published is complete at every moment, so leave it
        os._exit(1)
