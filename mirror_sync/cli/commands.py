"""The commands: each opens what it needs, asks for one thing, and shows the answer."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli import completion
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command
from mirror_sync.cli.watching import Watching, repeat, seconds_of

if TYPE_CHECKING:
    from mirror_sync.domain.report import RunReport

app = typer.Typer(
    help="Keep your own copy of AI models and datasets, proved by SHA-256.",
    epilog="Exit codes: 0 complete, 1 something failed, 2 bad usage or configuration.",
    add_completion=False,  # two options in every help text for something that is done once
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
front = typer.Typer(
    help="Write what a web server needs to serve the mirror.", rich_markup_mode=None, no_args_is_help=True
)
webhooks = typer.Typer(help="Let the hub say when a repo changes.", rich_markup_mode=None, no_args_is_help=True)

Jobs = Annotated[list[str] | None, typer.Argument(metavar="JOB", hidden=True, autocompletion=completion.names_of_jobs)]
Job = Annotated[str, typer.Argument(metavar="JOB", help="Its name.", autocompletion=completion.names_of_jobs)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Target = Annotated[str | None, typer.Option("--target", metavar="NAME", help="Which target, when there are several.")]


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"mirror-sync {version('mirror-sync')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
]


@app.callback()
@command
def start(invocation: Invocation, version: Version = False) -> None:
    """Keep your own copy of AI models and datasets, proved by SHA-256."""


@app.command()
@command
def check(
    invocation: Invocation,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of jobs.yaml instead.")] = False,
) -> None:
    """Check jobs.yaml: every fault with its place."""
    if schema:
        from mirror_sync.config.schema import json_schema

        invocation.print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    settings = invocation.settings()
    for warning in settings.warnings:
        invocation.lines.msg(f"warning: {warning}")
    from mirror_sync.cli.reports import check_text

    invocation.print(check_text(settings))
    from mirror_sync.cli.operating import paused_now

    if paused := paused_now(settings):
        invocation.print(paused)


@app.command()
@command
def plan(invocation: Invocation, jobs: Jobs = None, as_json: Json = False) -> None:
    """Show what a sync would do, and what policy refuses.

    Counts what would be fetched, reused and removed, in files and bytes. Writes nothing to a target.
    """
    with invocation.mirror() as mirror:
        report = mirror.plan(jobs or ())
    if as_json:
        invocation.print_json(report.encode())
    else:
        from mirror_sync.cli.reports import plan_text

        invocation.print(plan_text(report, invocation.page, every=invocation.options.loudness > 0))
    _end(report.ok)


@app.command()
@command
def sync(invocation: Invocation, jobs: Jobs = None, as_json: Json = False) -> None:
    """Bring the mirror up to date, now.

    A repo that fails never stops the others. Ctrl-C once finishes cleanly and says what is left, twice stops at once;
    what was fetched is not fetched again.
    """
    with invocation.mirror() as mirror:
        report = mirror.sync(jobs or ())
    _show_run(invocation, report, as_json=as_json)


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
        from mirror_sync.cli.operating import sync_scheduled

        with invocation.mirror() as mirror:
            report = sync_scheduled(mirror)
        _show_run(invocation, report)
        return
    from mirror_sync.bootstrap import Mirror
    from mirror_sync.daemon.service import run_daemon
    from mirror_sync.observers.event_log import EventLog
    from mirror_sync.observers.metrics import Metrics
    from mirror_sync.observers.plain import PlainProgress
    from mirror_sync.observers.tally import Tally

    invocation.start_log()
    tally, log = Tally(), EventLog()
    metrics = Metrics(tally)
    with PlainProgress(tally):
        clean = run_daemon(
            invocation.settings,
            lambda settings, stop: Mirror(settings, observers=(log, tally, metrics), stop=stop),
            os.environ,
            metrics,
        )
    if not clean:
        # a transfer does not let go: what is published is complete at every moment, so leave it
        os._exit(1)


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

    A repo starts in every job that names it. What waits already is not started twice.
    Needs the daemon's own user, on its machine.
    """
    from mirror_sync.cli.operating import trigger_now

    trigger_now(invocation, name)


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
    from mirror_sync.cli.operating import pause_job

    pause_job(invocation, job, length)


@app.command()
@command
def resume(invocation: Invocation, job: Job) -> None:
    """End the pause of a job: it runs when it is due next."""
    from mirror_sync.cli.operating import resume_job

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
    from mirror_sync.bootstrap import Mirror
    from mirror_sync.observers.event_log import EventLog

    invocation.start_log()
    mirror = Mirror(invocation.settings(), observers=(EventLog(),), stop=invocation.stop)
    mirror.work(errands, lambda address: invocation.say(f"worker {address} is ready"))
    _leave()


@app.command(cls=Watching)
@command
def status(
    invocation: Invocation,
    repo: Annotated[
        str | None, typer.Argument(metavar="REPO", help="org/name for its history, or a pattern like org/*.")
    ] = None,
    watch: Annotated[
        float | None, typer.Option("--watch", metavar="[SECONDS]", help="Show it again and again, until Ctrl-C.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is mirrored, how old it is, and why not.

    AGE is the time since a repo was last known to be as upstream has it. With a REPO: what became of it, newest first.
    """
    from mirror_sync.cli.asking import asked, shown
    from mirror_sync.cli.found import Published

    question = asked(repo, as_json=as_json, every=invocation.options.loudness > 0)
    with invocation.mirror(None) as mirror:
        published = Published(mirror.settings.jobs, mirror.store)
        if watch is None:
            invocation.print(shown(question, mirror, published, invocation))
        else:
            page = partial(shown, question, mirror, published, invocation)
            repeat(invocation, page, seconds_of(watch), invocation.stop)


@app.command()
@command
def diff(
    invocation: Invocation,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="org/name, or dataset:org/name.")],
    before: Annotated[
        str | None, typer.Argument(metavar="A", help="A branch, tag or commit; the one before B.")
    ] = None,
    after: Annotated[str | None, typer.Argument(metavar="B", help="Likewise; main when left out.")] = None,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Show what changed between two mirrored snapshots of a repo."""
    from mirror_sync.cli.differing import diff_text, repo_of
    from mirror_sync.cli.fronts import chosen

    with invocation.mirror() as mirror:
        found = mirror.diff(chosen(mirror.settings, target), repo_of(repo), before, after)
    if as_json:
        invocation.print_json(found.encode())
    else:
        invocation.print(diff_text(found, invocation.page))


@app.command()
@command
def verify(
    invocation: Invocation,
    repair: Annotated[bool, typer.Option("--repair", help="Fetch what is wrong from upstream again.")] = False,
    sample: Annotated[
        str, typer.Option("--sample", metavar="SHARE", help="Only a part of all files, like 5%: each time the next.")
    ] = "100%",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only what was published since a date, or in the last 7d."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="RATE", help="Read no faster than this, like 50MB/s.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove by SHA-256 that what is published is whole.

    The same command goes on where an interrupted one had stopped. Documents are always read, whatever the sample.
    """
    from mirror_sync.cli.proving import scope_of

    scope = scope_of(sample, since, rate, datetime.now(UTC), repair=repair)
    with invocation.mirror("verifying") as mirror:
        report = mirror.verify(scope)
    if as_json:
        invocation.print_json(report.encode())
    else:
        from mirror_sync.cli.proving import verify_text

        invocation.print(verify_text(report, invocation.page))
    _end(report.ok)


@app.command()
@command
def prune(
    invocation: Invocation,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; write and remove nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove old snapshots, and what none refers to.

    What branches, tags and jobs name always stays. It may run beside syncs, on this machine or another.
    """
    with invocation.mirror("looking for what nothing refers to" if dry_run else "pruning") as mirror:
        report = mirror.prune(dry_run=dry_run)
    if as_json:
        invocation.print_json(report.encode())
    else:
        from mirror_sync.cli.pruning import prune_text

        invocation.print(prune_text(report, invocation.page))
    _end(report.ok)


@app.command()
@command
def traffic(
    invocation: Invocation,
    logs: Annotated[list[str], typer.Argument(metavar="LOG", help="Logs of the nginx front, also .gz; - for stdin.")],
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Show who reads the mirror, and what nobody reads.

    Also what is asked for in vain. A download is a file that was read from its first byte on. What is found is
    kept as traffic.json in the state folder.
    """
    from mirror_sync.cli.fronts import chosen
    from mirror_sync.cli.reading import traffic_text

    with invocation.mirror() as mirror:
        report = mirror.traffic(chosen(mirror.settings, target), logs)
    if as_json:
        invocation.print_json(report.encode())
    else:
        invocation.print(traffic_text(report, invocation.page, every=invocation.options.loudness > 0))


@app.command()
@command
def serve(
    invocation: Invocation,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; front.listen when left out.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port to listen on, likewise.")
    ] = None,
    target: Target = None,
) -> None:
    """Serve a target to Hugging Face clients, in this process."""
    from mirror_sync.cli.fronts import serve_target

    serve_target(invocation, target, host, port)


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
    from mirror_sync.cli.fronts import write_for_nginx

    write_for_nginx(invocation, target, directory)


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
    from mirror_sync.cli.webhooks import create_webhooks

    create_webhooks(invocation, url)


@webhooks.command(name="list")
@command
def show(invocation: Invocation) -> None:
    """Show the webhooks of the token's account."""
    from mirror_sync.cli.webhooks import list_webhooks

    list_webhooks(invocation)


app.add_typer(front, name="front")
app.add_typer(webhooks, name="webhooks")


def _leave() -> None:
    """A transfer may not let go: what is published is complete at every moment, and the rest is another worker's."""
    sys.stdout.flush()
    os._exit(0)


def _show_run(invocation: Invocation, report: RunReport, *, as_json: bool = False) -> None:
    if as_json:
        invocation.print_json(report.encode())
    else:
        from mirror_sync.cli.reports import sync_text

        invocation.print(sync_text(report, invocation.page, every=invocation.options.loudness > 0))
    _end(report.ok)


def _end(ok: bool) -> None:
    if not ok:
        raise typer.Exit(1)
