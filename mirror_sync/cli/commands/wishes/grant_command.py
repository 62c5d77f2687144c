"""`grant`: a job mirrors what somebody asked for."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from mirror_sync.cli.completing import names_of_jobs
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import RepoArgument, command
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import StoreError, UsageError
from mirror_sync.observe.figures import counted
from mirror_sync.owners import is_there


@command
def grant(
    invocation: Invocation,
    repo: RepoArgument,
    job: Annotated[
        str, typer.Option("--job", metavar="JOB", help="The job that shall name it.", autocompletion=names_of_jobs)
    ],
) -> None:
    """Add a repo to a job of jobs.yaml, and close the wish for it.

    What stands in the file stays as it is, comments, too. The edited text is checked first; where it has a fault,
    nothing changes.
    """
    from mirror_sync.config.jobs_edit import add_repo

    invocation.start_log()
    settings, meant = invocation.settings(), _repo(repo)
    after = add_repo(settings, job, meant, os.environ)
    target = next(one.target for one in after.jobs if one.name == job)
    closed = _close(invocation, target, meant)
    asked = f"{counted(closed, 'reader') if closed else 'Nobody'} had asked for it."
    invocation.print(
        f"Job {job} of {settings.path} names {meant} now. {asked}\nA daemon takes it over with systemctl reload "
        f"mirror-sync; mirror-sync trigger {meant} then begins at once."
    )


def _repo(text: str) -> Repo:
    try:
        return Repo.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _close(invocation: Invocation, target: str, repo: Repo) -> int:
    """How many had asked. As the owner of the state folder; what is noted there stays where it cannot be written."""
    from mirror_sync.state.wishes import FILE, Wishes

    settings = invocation.owned()
    if not is_there(settings.state_dir / FILE):
        return 0
    wishes = Wishes(settings.state_dir)
    try:
        return wishes.close_wish(target, repo)
    except StoreError as error:
        invocation.say(f"the wish stays: {error}")
        return 0
    finally:
        wishes.close()
