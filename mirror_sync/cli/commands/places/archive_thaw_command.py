"""`archive` and `thaw`: let files go to the cold tier of a target, and bring them back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.completing import names_of_repos
from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, Target, command, repo_of
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings


@command
def archive(
    invocation: Invocation,
    repo: Annotated[
        str | None,
        typer.Argument(
            metavar="REPO", help="org/name, or dataset:org/name; whoever reads it.", autocompletion=names_of_repos
        ),
    ] = None,
    all_due: Annotated[
        bool, typer.Option("--all-due", help="What nobody reads goes, and what somebody reads comes back, everywhere.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be archived or thawed; touch nothing.")
    ] = False,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Let files go to the cold tier of a target.

    Files alone go, of 128 KiB or more, and none that another repo needs which stays. Readers have them still, or are
    told when. A repo that is read again comes back with the next pass. Exit code 1: not all of it was done.
    """
    from mirror_sync.cli.output.tier_text import tiers_text

    if (repo is None) is not all_due:
        raise UsageError("name one REPO, or --all-due")
    if all_due and target is not None:
        raise UsageError("--target goes with a REPO; --all-due looks at all targets that have tiers")
    with invocation.mirror(
        "looking for what nobody reads" if dry_run else "archiving and thawing files", reading=dry_run
    ) as mirror:
        if repo is None:
            _expect_tiers(mirror.settings)
            reports = mirror.tiers.move_due(dry_run=dry_run)
        else:
            name = _tiered(mirror.settings, target)
            reports = (mirror.tiers.archive(name, repo_of(repo), dry_run=dry_run),)
            if not dry_run:
                _say_whose_note(invocation, mirror.settings)
    if as_json:
        invocation.print_json([asdict(report) for report in reports])
    else:
        invocation.print(tiers_text(reports, invocation.page, repo or ""))
    end(all(report.ok for report in reports))


@command
def thaw(
    invocation: Invocation,
    repo: RepoArgument,
    target: Target = None,
    as_json: Json = False,
) -> None:
    """Bring a repo's files back from the cold tier.

    It stays then as if somebody had read it now. What a bucket has to restore first is asked for, and comes in hours.
    """
    from mirror_sync.cli.output.tier_text import thawed_text

    with invocation.mirror("bringing files back") as mirror:
        moved = mirror.tiers.thaw(_tiered(mirror.settings, target), repo_of(repo))
        _say_whose_note(invocation, mirror.settings)
    if as_json:
        invocation.print_json(asdict(moved))
    else:
        invocation.print(thawed_text(moved))


def _say_whose_note(invocation: Invocation, settings: Settings) -> None:
    if settings.ha is not None:
        invocation.say("noted on this machine alone: a daemon that leads elsewhere does not know it; say it there, too")


def _tiered(settings: Settings, target: str | None) -> str:
    """The target that was named, or the only one that has tiers. UsageError where there is no such one."""
    having = _expect_tiers(settings)
    if target is None and len(having) == 1:
        return having[0]
    if target is None:
        raise UsageError(f"choose one with --target: {', '.join(having)}")
    if target not in having:
        raise UsageError(f"{target!r} is no target with tiers; these are: {', '.join(having)}")
    return target


def _expect_tiers(settings: Settings) -> list[str]:
    """The targets that have some. UsageError where there is none."""
    having = [name for name, one in settings.targets.items() if one.tiers is not None]
    if not having:
        raise UsageError(f"no target of {settings.path.name} has tiers: nothing goes cold")
    return having
