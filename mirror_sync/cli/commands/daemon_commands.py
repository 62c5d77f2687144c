"""The commands that run jobs by themselves, or tell what does: the daemon, workers, the Hub."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mirror_sync.cli import completion
from mirror_sync.cli.app import Job, app, end, show_run, webhooks
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command


@app.command()
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
        from mirror_sync.cli.commands.operating import sync_scheduled

        with invocation.mirror() as mirror:
            report = sync_scheduled(mirror)
        show_run(invocation, report)
    else:
        _run_by_schedule(invocation)


@app.command()
@command
def trigger(
    invocation: Invocation,
    name: Annotated[
        str,
        typer.Argument(
            metavar="JOB|REPO", help="A job, or org/name or dataset:org/name.", autocompletion=completion.names_of_jobs
        ),
    ],
) -> None:
    """Have the daemon start a job now, or a single repo.

    A repo starts in every job that names it. What waits already is not started twice. Where nothing
    is started, as for a paused job, it exits with 1.
    Needs the daemon's own user, on its machine.
    """
    from mirror_sync.cli.commands.operating import trigger_now

    end(trigger_now(invocation, name))


@app.command()
@command
def pause(
    invocation: Invocation,
    job: Job,
    length: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long, like 2h; else for good.")
    ] = None,
) -> None:
    """Have the daemon not start a job, until it is resumed.

    A run that goes on is not stopped. mirror-sync sync JOB runs it all the same.
    """
    from mirror_sync.cli.commands.operating import pause_job

    pause_job(invocation, job, length)


@app.command()
@command
def resume(invocation: Invocation, job: Job) -> None:
    """End the pause of a job: it runs when it is due next."""
    from mirror_sync.cli.commands.operating import resume_job

    resume_job(invocation, job)


@app.command()
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


@webhooks.command(name="create")
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
    from mirror_sync.cli.commands.hub_webhooks import create_webhooks

    create_webhooks(invocation, url)


@webhooks.command(name="list")
@command
def show(invocation: Invocation) -> None:
    """Show the webhooks of the token's account."""
    from mirror_sync.cli.commands.hub_webhooks import list_webhooks

    list_webhooks(invocation)


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
    with PlainProgress(tally):
        clean = run_daemon(
            invocation.owned,
            lambda settings, stop: Mirror(settings, (log, tally, metrics), stop, invocation.redaction.rotate),
            os.environ,
            metrics,
        )
    if not clean:
        # a transfer does not let go: what is published is complete at every moment, so leave it
        os._exit(1)


def _leave() -> None:
    """A transfer may not let go: what is published is complete at every moment, and the rest is another worker's."""
    sys.stdout.flush()
    os._exit(0)
