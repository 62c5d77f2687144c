"""The commands about what is mirrored: what would be done, is done, is there, is whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from mirror_sync.cli.app import Jobs, Json, Target, answer, app, end, show_run
from mirror_sync.cli.commands.watching import Watching, repeat, seconds_of
from mirror_sync.cli.completion import names_of_jobs
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command
from mirror_sync.domain.outcome.report import RepoState


@app.command()
@command
def check(
    invocation: Invocation,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of jobs.yaml instead.")] = False,
) -> None:
    """Check jobs.yaml: every fault with its place."""
    if schema:
        from mirror_sync.config.keys.schema import json_schema

        invocation.print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    settings = invocation.settings()
    for warning in settings.warnings:
        invocation.lines.msg(f"warning: {warning}")
    from mirror_sync.cli.output.reports import check_text

    invocation.print(check_text(settings))
    from mirror_sync.cli.commands.operating import paused_now, unwritable

    if paused := paused_now(settings):
        invocation.print(paused)
    for barred in unwritable(settings):
        invocation.lines.msg(f"warning: {barred}")


@app.command()
@command
def plan(invocation: Invocation, jobs: Jobs = None, as_json: Json = False) -> None:
    """Show what a sync would do, and what policy refuses.

    Counts what would be fetched, reused and removed, in files and bytes. Writes nothing to a target.
    """
    from mirror_sync.cli.output.reports import plan_text

    with invocation.mirror(reading=True) as mirror:
        report = mirror.plan(jobs or ())
        targets = {job.name: job.target for job in mirror.settings.jobs}
    every = invocation.options.verbose
    answer(invocation, report, lambda page: plan_text(report, targets, page, every=every), as_json=as_json)
    end(report.ok)


@app.command()
@command
def sync(
    invocation: Invocation,
    jobs: Jobs = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Also into a target that has lost all that was published there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the mirror up to date, now.

    A repo that fails never stops the others. Ctrl-C once finishes cleanly and says what is left, twice stops at once;
    what was fetched is not fetched again.
    """
    with invocation.mirror() as mirror:
        report = mirror.sync(jobs or (), anew=anew)
    show_run(invocation, report, as_json=as_json)


@app.command(cls=Watching)
@command
def status(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: Annotated[
        str | None, typer.Argument(metavar="REPO", help="org/name for its history, or a pattern like org/*.")
    ] = None,
    watch: Annotated[
        float | None, typer.Option("--watch", metavar="[SECONDS]", help="Show it again and again, until Ctrl-C.")
    ] = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Only what is not mirrored.")] = False,
    job: Annotated[
        list[str] | None,
        typer.Option("--job", metavar="JOB", help="Only this job; may be repeated.", autocompletion=names_of_jobs),
    ] = None,
    state: Annotated[
        list[RepoState] | None, typer.Option("--state", metavar="STATE", help="Only this state; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is mirrored, how old it is, and why not.

    AGE is the time since a repo was last known to be as upstream has it. What needs a person stands last, above the
    sum. With a REPO: what became of it, newest first.
    """
    from mirror_sync.cli.commands.published_lines import PublishedFinder
    from mirror_sync.cli.commands.status_question import StatusQuestion, pattern_of, shown
    from mirror_sync.cli.output.status_text import LineFilter

    wanted = LineFilter(gaps, frozenset(state or ()))
    every, watched = invocation.options.verbose, watch is not None
    question = StatusQuestion(pattern_of(repo), as_json, every, wanted, tuple(job or ()), watched)
    with invocation.mirror(None, reading=True) as mirror:
        published = PublishedFinder(mirror.settings.jobs, mirror.store)
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
    after: Annotated[str | None, typer.Argument(metavar="B", help="Another; main when left out.")] = None,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Show what changed between two mirrored snapshots of a repo."""
    from mirror_sync.cli.commands.serving import chosen
    from mirror_sync.cli.output.diff_text import diff_text, repo_of

    with invocation.mirror(reading=True) as mirror:
        found = mirror.diff(chosen(mirror.settings, target), repo_of(repo), before, after)
    answer(invocation, found, lambda page: diff_text(found, page), as_json=as_json)


@app.command()
@command
def verify(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: Annotated[
        str | None, typer.Argument(metavar="REPO", help="Only this one: org/name, or dataset:org/name.")
    ] = None,
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
    from mirror_sync.cli.output.verify_text import scope_of, verify_text

    scope = scope_of(sample, since, rate, datetime.now(UTC), repair=repair, repo=repo)
    with invocation.mirror("verifying") as mirror:
        report = mirror.verify(scope)
    answer(invocation, report, lambda page: verify_text(report, page), as_json=as_json)
    end(report.ok)


@app.command()
@command
def prune(
    invocation: Invocation,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; write and remove nothing.")
    ] = False,
    everything: Annotated[
        str | None,
        typer.Option("--everything", metavar="TARGET", help="Remove all blobs of a target that publishes no repo."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove old snapshots, and what none refers to.

    What branches, tags and jobs name always stays. It may run beside syncs, on this machine or another. A target that
    has blobs and no repo loses nothing, since it may not be whole, unless --everything names it.
    """
    from mirror_sync.cli.output.prune_text import prune_text

    doing = "looking for what nothing refers to" if dry_run else "pruning"
    with invocation.mirror(doing, reading=dry_run) as mirror:
        report = mirror.prune(dry_run=dry_run, everything=everything)
    answer(invocation, report, lambda page: prune_text(report, page), as_json=as_json)
    end(report.ok)


@app.command()
@command
def site(
    invocation: Invocation,
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help="Which, when there are several.")] = None,
) -> None:
    """Publish the catalogue again, all of it.

    Every run publishes what has changed of it; this compares each page with what is there, and puts those that differ.
    """
    from mirror_sync.cli.commands.serving import chosen
    from mirror_sync.observe.figures import counted

    with invocation.mirror("publishing the catalogue") as mirror:
        name = chosen(mirror.settings, target, how="by its name")
        sheets = mirror.publish_catalogue(name)
    invocation.print(f"target {name}: {sheets.put:,} put, {sheets.same:,} as they were, {sheets.removed:,} removed")
    if sheets.unread:
        invocation.print(f"{counted(sheets.unread, 'repo')} cannot be read: run mirror-sync verify")
    end(not sheets.unread)


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
    kept in the state folder, for the chart of the catalogue.
    """
    from mirror_sync.cli.commands.serving import chosen
    from mirror_sync.cli.output.traffic_text import traffic_text

    with invocation.mirror() as mirror:
        report = mirror.traffic(chosen(mirror.settings, target), logs)
    every = invocation.options.verbose
    answer(invocation, report, lambda page: traffic_text(report, page, every=every), as_json=as_json)
