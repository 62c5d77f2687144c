"""`sync`: a run, now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.completing import names_of_repos
from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Jobs, Json, command

if TYPE_CHECKING:
    from mirror_sync.domain.job.job import Job
    from mirror_sync.domain.outcome.report import RunReport
    from mirror_sync.domain.repo import Repo


@command
def sync(
    invocation: Invocation,
    jobs: Jobs = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Also into a target that has lost all that was published there.")
    ] = False,
    repo: Annotated[
        list[str] | None,
        typer.Option(
            "--repo",
            metavar="REPO",
            help="Only this repo of the jobs, let go of or not; may be repeated.",
            autocompletion=names_of_repos,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring the mirror up to date, now.

    A repo that fails never stops the others. Ctrl-C once finishes cleanly and says what is left, twice stops at once;
    what was fetched is not fetched again.
    """
    with invocation.mirror() as mirror:
        repos = None if not repo else _named(mirror.jobs(jobs or ()), repo)
        report = mirror.sync(invocation.actor, jobs or (), repos, anew=anew)
    show_run(invocation, report, as_json=as_json)


def _named(jobs: Sequence[Job], names: Sequence[str]) -> frozenset[Repo]:
    """UsageError for what is no repo, or none of these jobs."""
    from mirror_sync.domain.nearest import did_you_mean
    from mirror_sync.domain.repo import Repo, RepoPattern
    from mirror_sync.errors import UsageError

    found = set[Repo]()
    for name in names:
        try:
            repo = Repo.parse(name)
        except ValueError as error:
            raise UsageError(str(error)) from None
        if not any(job.means(repo) for job in jobs):
            near = did_you_mean(RepoPattern(repo.kind, repo.id), (one for job in jobs for one in job.repos))
            raise UsageError(f"no job of these names {repo}{near}")
        found.add(repo)
    return frozenset(found)


def show_run(invocation: Invocation, report: RunReport, *, as_json: bool = False) -> None:
    """Print what a run did, and end with its exit code."""
    from mirror_sync.cli.output.reports import sync_text

    every = invocation.options.verbose
    invocation.answer(report, lambda page: sync_text(report, page, every=every), as_json=as_json)
    end(report.ok)
