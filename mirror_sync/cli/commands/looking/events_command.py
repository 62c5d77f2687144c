"""`events`: what happened here, from the history of this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.commands.mirror.verify_command import moment_of
from mirror_sync.cli.completing import names_of_repos
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import JobsOption, command
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.app.looking.happenings import Happening, HappeningFilter
    from mirror_sync.wiring.program import Mirror

_LOOKS = 1.0  # seconds between two, with --follow
_USUAL = timedelta(days=1)


@command
def events(
    invocation: Invocation,
    repo: Annotated[
        str | None,
        typer.Option(
            "--repo",
            metavar="REPO",
            help="Only this one: org/name, or a pattern like org/*.",
            autocompletion=names_of_repos,
        ),
    ] = None,
    job: JobsOption = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From a date on, or the last 2h; 1d if left out.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show what happens from now on, until Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document a line instead.")] = False,
) -> None:
    """Show what happened here, newest last.

    Of what was published, failed, is held or refused, each change; of verify and prune, the last of each target. Times
    are UTC. What people did, on all machines, says audit.
    """
    from mirror_sync.app.looking.happenings import ABOUT, following, happenings
    from mirror_sync.state.history import HISTORY_FILE

    with invocation.mirror(None, reading=True) as mirror:
        now = datetime.now(UTC)
        begin = _begin(since, now)
        wanted = _wanted(mirror, repo, job or ())

        def show(found: list[Happening]) -> None:
            for one in found:
                document = json.dumps(one.encode(), ensure_ascii=False) if as_json else ""
                invocation.print(document or invocation.page.hanging(str(one), ABOUT))

        if not follow:
            found = happenings(mirror.history, begin, wanted)
            show(found)
            if not found and not as_json:
                invocation.say(f"nothing happened since {begin:%Y-%m-%d %H:%M} UTC; --since 30d looks further back")
            return
        path = mirror.settings.state_dir / HISTORY_FILE
        for more in following(mirror.history, path, begin, wanted, lambda: invocation.stop.wait(_LOOKS)):
            show(more)


def _begin(since: str | None, now: datetime) -> datetime:
    """UsageError for what is no date and no duration."""
    from mirror_sync.config.keys.values.time_values import interval

    if since is None:
        return now - _USUAL
    try:
        return now - interval(since)
    except OverflowError:
        return datetime.fromtimestamp(0, UTC)
    except ValueError:
        pass
    try:
        return moment_of(since, now)
    except ValueError as error:
        raise UsageError(f"--since: {error}") from None


def _wanted(mirror: Mirror, repo: str | None, jobs: Sequence[str]) -> HappeningFilter:
    """UsageError for what no job is called, and what is no repo that anything is remembered of."""
    from mirror_sync.app.looking.happenings import HappeningFilter
    from mirror_sync.domain.nearest import did_you_mean, names_instead

    known = mirror.history.latest()
    names = {*(job.name for job in mirror.settings.jobs), *(one.job for one in known)}
    for name in jobs:
        if name not in names:
            raise UsageError(f"no job {name!r} is known{names_instead(name, sorted(names))}")
    if repo is None:
        return HappeningFilter(None, frozenset(jobs))
    try:
        pattern = RepoPattern.parse(repo)
    except ValueError as error:
        raise UsageError(str(error)) from None
    wanted = HappeningFilter(pattern, frozenset(jobs))
    asked = [one for job in mirror.settings.jobs for one in job.repos]
    if not any(wanted.means(one.kind, one.repo) for one in known) and pattern not in asked:
        near = did_you_mean(pattern, {*(one.pattern for one in known), *asked})
        raise UsageError(f"nothing is remembered of {pattern}, and no job names it{near}")
    return wanted
