"""What is read from the program's own values. No other file of these tests names a module of the program's inside, so
that who moves one has this file to follow it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import typer.main
from prometheus_client import CollectorRegistry

from docs import events as events_page
from mirror_sync import errors
from mirror_sync.cli import exits
from mirror_sync.cli.app import app
from mirror_sync.cli.commands.completion_command import Shell
from mirror_sync.cli.invocation import Invocation
from mirror_sync.daemon.requests import RequestState
from mirror_sync.domain.content.assurance import Assurance
from mirror_sync.domain.content.difference import ChangeKind
from mirror_sync.domain.content.upstream import BudgetState
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.job.way_gauge import WayPace
from mirror_sync.domain.outcome.events import (
    AuditFailed,
    AuditPut,
    Called,
    Care,
    CatalogueFailed,
    CataloguePublished,
    ConfigRead,
    Event,
    FilesScanned,
    NamesLooked,
    NamesSeen,
    RepoFinished,
    ReposListed,
    RoadLeft,
    RoadTaken,
    RolloutsLooked,
    RolloutState,
    RunFinished,
    RunStarted,
    TargetProbed,
    Tended,
)
from mirror_sync.domain.outcome.front_counts import FrontCounts, FrontFigures
from mirror_sync.domain.outcome.notices import StateChange
from mirror_sync.domain.outcome.report import STALE, UNCONFIRMED, RepoOutcome, RepoReport, RepoState, RunReport
from mirror_sync.domain.outcome.traffic import Oddity
from mirror_sync.domain.policy.rules import Outcome
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.hub.front_request import FrontRequest
from mirror_sync.front.hub.protocol import RouteTable
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.protocols.mounted import PROTOCOLS
from mirror_sync.front.protocols.s3_addresses import addressed, is_marked
from mirror_sync.observe.log.log import Format
from mirror_sync.observe.metrics.ledger import JobOutcome
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.observe.metrics.readings import Disk, Due, LeaseFigures, Readings, ReplicaFigures
from mirror_sync.state import tries
from mirror_sync.state.records import RunState
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.mirrors import DOORS, OPENED, PUBLISHERS, Mirror, by_nginx, by_serve

_TABLE = RouteTable(PROTOCOLS)
_WORDS: dict[str, type[StrEnum]] = {
    "repos[].outcome of sync, plan and status": RepoOutcome,
    "repos[].state of status": RepoState,
    "runs[].state of status": RunState,
    "repos[].kind": Kind,
    "changes[].state of diff": ChangeKind,
    "unusual[].kind of traffic": Oddity,
    "begun[].state of the socket and the webhook": RequestState,
    "event of a hook's notice": StateChange,
    "license.outcome of a root document": Outcome,
    "outcome of mirror_sync_job_outcome": JobOutcome,
    "state of mirror_sync_rollout_state": RolloutState,
    "--log-format": Format,
    "completion SHELL": Shell,
}


def commands() -> Iterator[str]:
    """Every command with its help, and every argument and option of each, in the order in which help has them.

    What takes a value says of which type; one of a few is named with all of them.
    """
    yield from _command(typer.main.get_command(app), "mirror-sync")


def _command(command: Any, words: str) -> Iterator[str]:
    """`command` is click's, or what stands for that in newer typers: only what both have is looked at."""
    yield f"{words}{' (hidden)' if command.hidden else ''}"
    for line in filter(None, (command.help or "").splitlines()):
        yield f"  | {line.strip()}"
    if command.epilog:
        yield f"  | {command.epilog}"
    signature = inspect.signature(command.callback) if command.callback else None
    for one in command.params:
        known = signature.parameters.get(one.name) if signature else None
        yield f"  {_parameter(one, known.annotation if known else None)}"
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(inner, f"{words} {name}")


def _parameter(one: Any, annotation: Any) -> str:
    kind, told = [*get_args(annotation), None][:2] if annotation is not None else (None, None)
    marks = [_type_name(kind)] if kind is not None else []
    marks += [f"{name} {bound}" for name in ("min", "max") if (bound := getattr(told, name, None)) is not None]
    marks += ["needed"] * bool(one.required) + ["repeated"] * bool(one.multiple or one.nargs == -1)
    marks += ["hidden"] * bool(getattr(one, "hidden", False)) + [f"from ${one.envvar}"] * bool(one.envvar)
    called = ", ".join(one.opts) if one.opts[0].startswith("-") else f"argument {one.metavar or one.name}"
    metavar = f" {one.metavar}" if one.metavar and one.opts[0].startswith("-") else ""
    default = f" = {one.default}" if isinstance(one.default, str | int) and one.default is not False else ""
    return f"{called}{metavar} ({'; '.join(marks)}){default}: {one.help or ''}"


def _type_name(kind: Any) -> str:
    """Without None, which is what is left out, and the list, which says that it may be repeated."""
    inner = [one for one in get_args(kind) if one is not type(None)]
    if inner:
        return _type_name(inner[0])
    return f"one of {', '.join(kind)}" if issubclass(kind, StrEnum) else str(kind.__name__)


def error_codes() -> Iterator[str]:
    """The code of every kind of error, with which the program ends at it, and whether the same may succeed later."""
    kinds = sorted(_kinds(errors.MirrorError), key=lambda kind: kind.code)
    yield from dict.fromkeys(
        f"{kind.code}: exit {_exit_of(kind)}{', may pass' if kind.retryable else ''}" for kind in kinds
    )
    for other in (OSError("why"), BrokenPipeError("why"), RuntimeError("a fault of the program itself")):
        yield f"{type(other).__name__}: exit {exits.explain(other, _silent())}"


def _exit_of(kind: type[errors.MirrorError]) -> int:
    error = errors.ConfigError(()) if kind is errors.ConfigError else kind.__new__(kind)
    return exits.explain(error, _silent())


def _silent() -> Invocation:
    class Nowhere:
        def msg(self, line: str) -> None:
            pass

    return Invocation(lines=Nowhere())  # type: ignore[arg-type]  # all that is asked of it here


def _kinds(kind: type[errors.MirrorError]) -> Iterator[type[errors.MirrorError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _kinds(below)


def words() -> Iterator[str]:
    """The words that stand in documents, metrics and options where one of a few is meant."""
    yield from (f"{place}: {', '.join(kind)}" for place, kind in _WORDS.items())
    yield f"repos[].code, beside those of errors: {UNCONFIRMED}, {STALE}"


def log_events() -> Iterator[str]:
    """Every event of the log: its levels and fields."""
    for name, levels, fields in re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]*) \|", events_page.page(), re.MULTILINE):
        yield f"{name} ({levels}): {', '.join(re.findall(r'`([^`]+)`', fields))}".rstrip()


def metrics() -> Iterator[str]:
    """Every metric with type and labels. AssertionError for one of ours that nothing here gives a value."""
    for family in sorted(_told().collect(), key=lambda family: family.name):
        assert family.samples, f"no sample of {family.name}: let _told tell of something that has one"
        labels = sorted({label for sample in family.samples for label in sample.labels})
        names = sorted({sample.name for sample in family.samples})
        yield f"{', '.join(names)} ({family.type}): {', '.join(labels)}".rstrip()


def _told() -> CollectorRegistry:
    """The registry of metrics that were told of one of each kind of event."""
    metrics, answered = Metrics(), FrontCounts()
    answered.add(200, 1, 0.1)
    answered.add_cached("blobs", "hit")
    metrics.read = lambda: Readings(
        jobs={"job": Due("target", next_run=1.0)},
        budgets={"hub": {"api": BudgetState(remaining=1, quota=2, resets_in=0.0)}},
        disks={"state_dir": Disk(1, 2)},
        speeds={"hub": {"https://a.example": WayPace(0.1, 1.0, 2, 1, taken=True)}},
        unusual={("target", "sweep"): 1},
        counted={"target": 1.0},
        keeps={"target": {"limit": 1.0, "left": 1.0, "repos": 1.0, "since": 1.0}},
        tiers={"target": {"warm": 1.0, "cold": 1.0}},
        hindrance="",
        certificate_ends=1.0,
        wishes={"t": 1},
        ha={"t": LeaseFigures(leads=True, since=1.0, contact=0.0, changes=1)},
        replicas={("t", "far"): ReplicaFigures(1.0, 0.0, 0, failing=False, alert_behind=3600.0)},
        refused={("target", "no token"): 1},
        signing={"target": ("SHA256:key", "2026-01-01T00:00:00Z")},
        front=FrontFigures(answered, 1.0, 2.0, watched=True, gaps=0, unread=0),
    )
    for event in _events():
        metrics(event)
    return metrics.registry


def _events() -> Iterator[Event]:
    """A run of one job that was complete, one that goes on and is not, and what is told beside them."""
    at, run = "2026-01-01T00:00:00Z", "1"
    known = Assurance(signed=True, scanned=True, scanned_at=at)
    good = RepoReport(
        "job", Kind.MODEL, "org/name", "main", RepoOutcome.PUBLISHED, "c", lag_seconds=1.0, assurance=known
    )
    bad = RepoReport("job", Kind.MODEL, "org/name", "v1", RepoOutcome.FAILED, None, "why", "code")
    held = RepoReport("job", Kind.MODEL, "org/other", "main", RepoOutcome.HELD, None, "why", "scan")
    yield ConfigRead(("job",))
    yield FilesScanned("target", "job", Kind.MODEL, "org/name", "c", "scanner", "1", 3, 1, 1)
    yield RunStarted(run, ("job",), at)
    yield ReposListed(run, "job", 2)
    yield RepoFinished(run, good)
    yield RunFinished(RunReport(run, at, at, (good,), done=("job",)))
    yield RunStarted("2", ("job",), at)
    yield RepoFinished("2", bad)
    yield RepoFinished("2", held)
    yield Called("hub", "api", "2xx")
    yield RoadTaken("job", "ms", 1)
    yield RoadLeft("job", "ms", Repo(Kind.MODEL, "org/name"), "w", "drags")
    yield from (Tended("target", care, at, 1) for care in Care)
    yield TargetProbed("target", answered=True)
    repo = Repo(Kind.MODEL, "org/name")
    yield NamesLooked("target", (NamesSeen(repo, 1.0, (("stable", 1.0),), ("candidate", 0.1)),))
    yield RolloutsLooked("target", (("job", repo, RolloutState.GROWING),))
    yield CataloguePublished("target", 1, 1, 1, 0, 1.0)
    yield CatalogueFailed("target", "code", "why")
    yield AuditPut("target", "0123456789ab", 1, 1, signed=False)
    yield AuditFailed("target", "code", "why")


def state_files() -> tuple[str, ...]:
    """Files of the state folder that the runs of the small world do not make, or that come and go."""
    return (tries.FILE, "audit/<place>/journal.jsonl", "audit/<place>/sealed.jsonl")


def route_table() -> Iterator[str]:
    """The routes of fronts in the order in which they are tried, and what they say they have not."""
    yield from (f"{one.name} {','.join(one.methods)} {one.pattern()}" for one in _TABLE.routes)
    yield from (f"not offered, as {one.form}: {one.pattern}: {one.message}" for one in _TABLE.lacks)


def route_names() -> frozenset[str]:
    """The names of all routes."""
    return frozenset(one.name for one in _TABLE.routes)


def route_of(target: str, method: str = "GET") -> str | None:
    """The name of the route that answers an address; None where none does."""
    path, _, query = target.partition("?")
    asked = FrontRequest(method, path, query, {}, "")
    found = _TABLE.match(addressed(asked, tokens=True).raw_path if is_marked({}, query) else path)
    return None if found is None else found.route.name


def front(kind: str, mirror: Path, folder: Path) -> AbstractContextManager[Mirror]:
    """`kind` is serve or nginx, over a directory target."""
    store = DirectoryStore(mirror)
    if kind == "serve":
        return by_serve(store)
    options = NginxOptions(DirectoryTarget(mirror), by_digest=True, access=OPENED, doors=DOORS)
    return by_nginx(store, replace(options, kernel_publishers=PUBLISHERS), folder)
