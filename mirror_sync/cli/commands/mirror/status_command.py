"""`status`: what is mirrored, asked of the memory of this machine and of the targets."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.completing import names_of_repos
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import JobsOption, Json, command
from mirror_sync.cli.watching import Watching, repeat, seconds_of
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.app.inventory import Inventory
    from mirror_sync.app.published_lines import PublishedFinder
    from mirror_sync.cli.output.status_text import LineFilter
    from mirror_sync.config.settings import Settings
    from mirror_sync.domain.job.job import Job
    from mirror_sync.state.ways_file import Ways
    from mirror_sync.wiring.program import Mirror


@dataclass(frozen=True, slots=True)
class StatusQuestion:
    """`pattern` None for all repos, `jobs` empty for all; `every` change, however old.

    `watched` pages are cut to the screen: what needs a person comes first there.
    """

    pattern: RepoPattern | None
    as_json: bool
    every: bool
    wanted: LineFilter
    jobs: tuple[str, ...]
    watched: bool


@partial(command, command_class=Watching)
def status(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: Annotated[
        str | None,
        typer.Argument(
            metavar="REPO", help="org/name for its history, or a pattern like org/*.", autocompletion=names_of_repos
        ),
    ] = None,
    watch: Annotated[
        float | None, typer.Option("--watch", metavar="[SECONDS]", help="Show it again and again, until Ctrl-C.")
    ] = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Only what is not mirrored.")] = False,
    job: JobsOption = None,
    state: Annotated[
        list[RepoState] | None, typer.Option("--state", metavar="STATE", help="Only this state; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is mirrored, how old it is, and why not.

    AGE is the time since a repo was last known to be as upstream has it. What needs a person stands last, above the
    sum. With a REPO: what became of it, newest first.
    """
    from mirror_sync.app.published_lines import PublishedFinder
    from mirror_sync.cli.output.status_text import LineFilter

    wanted = LineFilter(gaps, frozenset(state or ()))
    every, watched = invocation.options.verbose, watch is not None
    question = StatusQuestion(_pattern_of(repo), as_json, every, wanted, tuple(job or ()), watched)
    with invocation.mirror(None, reading=True) as mirror:
        published = PublishedFinder(mirror.settings.jobs, mirror.store)
        if watch is None:
            invocation.print(_shown(question, mirror, published, invocation))
        else:
            page = partial(_shown, question, mirror, published, invocation)
            repeat(invocation, page, seconds_of(watch), invocation.stop)


def _pattern_of(repo: str | None) -> RepoPattern | None:
    """UsageError for what is no repo and no pattern."""
    try:
        return None if repo is None else RepoPattern.parse(repo)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _shown(question: StatusQuestion, mirror: Mirror, published: PublishedFinder, invocation: Invocation) -> str:
    """The answer as text or JSON. OSError when the history cannot be read; UsageError for what nobody knows."""
    from mirror_sync.app.inventory import narrowed
    from mirror_sync.cli.output.status_text import history_text, status_document, status_text

    now, pattern = datetime.now(UTC), question.pattern
    whole = _inventory(mirror, published, question.jobs, now)
    inventory = whole if pattern is None else narrowed(whole, pattern)
    told = inventory
    if mirror.settings.decisions is not None:
        from mirror_sync.app.trust.holding import with_commands

        told = replace(inventory, lines=with_commands(inventory.lines))
    replicas = mirror.replica_states()
    text = status_text(told, invocation.page, now, question.wanted, replicas=replicas, worst_last=not question.watched)
    if question.watched and not question.as_json and sys.stdout.isatty() and inventory.jobs:
        from mirror_sync.cli.output.watch_text import watch_text
        from mirror_sync.daemon.control import progress_of_daemon

        progress = progress_of_daemon(mirror.settings.state_dir)
        text = f"{watch_text(inventory, progress, invocation.page, now, invocation.size.lines)}\n{text}"
    document, parts = status_document(inventory, now, replicas, question.wanted), [text]
    if pattern is not None and pattern.is_glob and not inventory.lines:
        raise UsageError(_unknown(mirror.settings, pattern, whole))
    if pattern is not None and not pattern.is_glob:
        changes = mirror.history.changes(pattern.kind, pattern.glob)
        if not inventory.lines and not changes:
            raise UsageError(_unknown(mirror.settings, pattern, whole))
        document["changes"] = [asdict(change) for change in changes]
        parts = [*(parts if inventory.lines else ()), history_text(changes, invocation.page, every=question.every)]
    if not question.as_json:
        return "\n\n".join(parts)
    return json.dumps(invocation.redaction.value(document), indent=2, ensure_ascii=False)


def _ways(mirror: Mirror) -> tuple[Ways, list[str]]:
    """What is known of roads and endpoints; where that cannot be read, nothing, and why."""
    from mirror_sync.state.ways_file import FILE, Ways

    try:
        return mirror.ways(), []
    except OSError as error:
        path = mirror.settings.state_dir / FILE
        return Ways(), [f"{path} cannot be read ({error.strerror}): roads and endpoints are left out here"]


def _bounds(settings: Settings) -> list[str]:
    """What the last prune made of targets that may not hold whatever comes."""
    from mirror_sync.cli.output.prune_text import keep_text
    from mirror_sync.state.reads_file import last_keep

    found = ((name, last_keep(settings.state_dir, name)) for name, one in settings.targets.items() if one.keep)
    return [
        keep_text({"target": name, **keep}) if keep else f"target {name}: no prune has looked at its bound yet"
        for name, keep in found
    ]


def _role(settings: Settings) -> list[str]:
    """Which of several daemons the one of this machine is, as it says itself."""
    if settings.ha is None:
        return []
    from mirror_sync.daemon.control import ask_role

    try:
        return [f"daemon: {ask_role(settings.state_dir) or 'the only one, it was started without ha'}"]
    except (ConnectionError, UsageError) as error:
        return [f"daemon: {error}"]


def _tiers(settings: Settings) -> list[str]:
    """What lies where in targets that have tiers."""
    from mirror_sync.cli.output.tier_text import tier_text
    from mirror_sync.state.reads_file import last_tiers

    found = ((name, last_tiers(settings.state_dir, name)) for name, one in settings.targets.items() if one.tiers)
    return [tier_text(last) if last else f"target {name}: no pass has looked at its tiers yet" for name, last in found]


def _unknown(settings: Settings, pattern: RepoPattern, inventory: Inventory) -> str:
    """Why there is nothing to say of it: nobody asks for it, or no run has found it for a job that would take it."""
    from mirror_sync.domain.job.job import denials
    from mirror_sync.domain.nearest import did_you_mean

    near = "; ".join(f"job {job.name} mirrors {_wide(job)}" for job in settings.jobs if _may_take(job, pattern))
    denied = "" if pattern.is_glob else denials(settings.jobs, pattern.repo)
    if denied:
        return f"{pattern} is not mirrored: {denied}"
    if near:
        return f"no run has found {pattern} for a job: {near}"
    near = did_you_mean(pattern, (line.pattern for line in inventory.lines))
    if pattern.is_glob:
        return f"no job of {settings.path.name} names a repo that matches {pattern}{near}"
    return f"no job of {settings.path.name} names {pattern}, and nothing is remembered of it{near}"


def _wide(job: Job) -> str:
    return str(job.ranking or ", ".join(str(one) for one in job.repos if one.is_glob))


def _may_take(job: Job, pattern: RepoPattern) -> bool:
    if not pattern.is_glob:
        return job.names(pattern.repo)
    return any(one.is_glob and (one.kind, one.owner) == (pattern.kind, pattern.owner) for one in job.repos)


def _inventory(mirror: Mirror, published: PublishedFinder, jobs: Sequence[str], now: datetime) -> Inventory:
    """UsageError for a name of `jobs` that no job has."""
    from mirror_sync.app.fingerprints import places_of
    from mirror_sync.app.inventory import Memory, of_jobs, take_inventory
    from mirror_sync.state.history import RUNS_KEPT
    from mirror_sync.state.pauses import Pauses
    from mirror_sync.state.tries import read_tries

    names = {job.name for job in mirror.jobs(jobs)}
    settings = mirror.settings
    statuses, runs = mirror.status(), mirror.history.runs(RUNS_KEPT)  # the first to say that the folder is none
    folder = settings.state_dir
    memory = Memory(statuses, runs, places_of(settings), Pauses(folder).all(), read_tries(folder))
    taken = published.complete(take_inventory(settings.jobs, memory, now))
    ways, untold = _ways(mirror)
    inventory = replace(taken, tended=mirror.tended(), ways=ways.of(settings.jobs))
    inventory = replace(
        inventory, notes=(*inventory.notes, *untold, *_bounds(settings), *_role(settings), *_tiers(settings))
    )
    return of_jobs(inventory, names) if jobs else inventory
