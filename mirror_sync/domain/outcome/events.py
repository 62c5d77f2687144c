"""What happens in a run, as values. The engine tells every observer; it never calls a log, a bar or a metric by name.

Observers are called from worker threads, several at a time, and must neither raise nor wait. One that raises all the
same misses that event, and nobody else does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import fields as attributes_of
from enum import StrEnum
from typing import Any

from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.outcome.tier_report import Move
from mirror_sync.domain.repo import Kind, Repo, RepoPattern


class LogLevel(StrEnum):
    """How much attention a line of the log deserves; under systemd it is the line's priority."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. What it is in the log, its class says.

    docs/guide/events.md is made of the docstrings: the first paragraph is what the line means to who reads the log.
    Where one class has several names, each has a paragraph that begins with it.
    """

    @property
    def log_name(self) -> str:
        """The name of its line; empty where it is only counted, or who tells it logs in words of its own."""
        return ""

    @property
    def level(self) -> LogLevel:
        return LogLevel.INFO

    def fields(self) -> dict[str, Any]:
        """What its line says, in order: all that it holds, and its run last. Values are those of JSON."""
        values = {each.name: _plain(getattr(self, each.name)) for each in attributes_of(self) if each.name != "run"}
        run = getattr(self, "run", None)
        return values if run is None else values | {"run": run}


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """The beginning of a run; `run` is its id in all its lines, in `status --json` and in the history.

    `at` is ISO 8601 in UTC. A `partial` run is of single repos: it says nothing of how its jobs are.
    """

    log_name = "run.started"
    run: str
    jobs: tuple[str, ...]
    at: str
    partial: bool = False

    def fields(self) -> dict[str, Any]:
        return {"jobs": list(self.jobs), "run": self.run}


@dataclass(frozen=True, slots=True)
class ReposListed(Event):
    """A job's patterns are expanded: so many repos and revisions."""

    log_name = "job.listed"
    run: str
    job: str
    repos: int  # pairs of both


@dataclass(frozen=True, slots=True)
class RankingCutShort(Event):
    """A `select` was not filled: `repos` of the first `seen` fit, and no more were looked at."""

    log_name = "job.cut-short"
    level = LogLevel.WARNING
    run: str
    job: str
    repos: int
    limit: int  # that were asked for
    seen: int  # of a list that goes on


@dataclass(frozen=True, slots=True)
class TransformEnded(Event):
    """A program has made something of a published repo, and it was pushed; or it failed, and `reason` says why.

    `said` is the end of what the program wrote, in one line.
    """

    log_name = "transform.ended"
    job: str
    repo: Repo
    commit: str
    into: Repo | None
    seconds: float
    said: str
    reason: str = ""

    @property
    def level(self) -> LogLevel:
        return LogLevel.WARNING if self.reason else LogLevel.INFO


@dataclass(frozen=True, slots=True)
class RefsLeftOut(Event):
    """A job's globs stand for names of refs that git, or a person, could not use: not mirrored.

    There are `count` of them; `refs` are the first, with reasons.
    """

    log_name = "repo.refs-left-out"
    run: str
    job: str
    repo: Repo
    refs: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class ListLags(Event):
    """A list of `repos` repos is older than what `repo` says of itself: each is asked for by itself."""

    log_name = "list.lags"
    run: str
    job: str
    repo: Repo
    commit: str
    repos: int  # of one owner


@dataclass(frozen=True, slots=True)
class RepoPlanned(Event):
    """A repo has changed; what is fetched and what is here already."""

    log_name = "repo.planned"
    run: str
    job: str
    repo: Repo
    revision: str
    commit: str
    fetch_files: int
    fetch_bytes: int
    reuse_files: int
    reuse_bytes: int
    delete_files: int

    def fields(self) -> dict[str, Any]:
        values = Event.fields(self) | {"repo": f"{self.repo}@{self.revision}"}
        return {name: value for name, value in values.items() if name != "revision"}


@dataclass(frozen=True, slots=True)
class FileStarted(Event):
    """A file is on its way."""

    log_name = "file.started"
    level = LogLevel.DEBUG
    run: str
    repo: Repo
    path: str
    size: int  # bytes

    def fields(self) -> dict[str, Any]:
        return _file(self) | {"bytes": self.size}


@dataclass(frozen=True, slots=True)
class BytesFetched(Event):
    """`count` more bytes of a file came; negative when an attempt was thrown away."""

    run: str
    repo: Repo
    path: str
    count: int


@dataclass(frozen=True, slots=True)
class PartsFound(Event):
    """Of a large file, what an earlier run had brought is stored and is gone on with.

    That are `count` bytes, of a run that did not end; negative: they were no good.
    """

    log_name = "file.resumed"
    level = LogLevel.DEBUG
    run: str
    repo: Repo
    path: str
    count: int

    def fields(self) -> dict[str, Any]:
        return _file(self) | {"bytes": self.count}


@dataclass(frozen=True, slots=True)
class Disproved(Event):
    """The bytes of one attempt at a file were not the promised ones; nothing of them is stored."""

    run: str
    repo: Repo
    path: str


@dataclass(frozen=True, slots=True)
class FileFinished(Event):
    """A file is on its way no more, however that ended. `error` None and not `interrupted`: proved and stored.

    file.stored: A file is proved by SHA-256 and stored.

    file.failed: A file could not be brought or proved; nothing of it is published.

    file.interrupted: A file was on its way when the run was stopped; what came is gone on with.
    """

    run: str
    repo: Repo
    path: str
    size: int
    error: str | None = None
    interrupted: bool = False

    @property
    def stored(self) -> bool:
        """Whether its bytes are proved and stored."""
        return self.error is None and not self.interrupted

    @property
    def log_name(self) -> str:
        return "file.interrupted" if self.interrupted else "file.stored" if self.stored else "file.failed"

    @property
    def level(self) -> LogLevel:
        return LogLevel.DEBUG if self.interrupted or self.stored else LogLevel.WARNING

    def fields(self) -> dict[str, Any]:
        if self.interrupted:
            return _file(self)
        return _file(self) | ({"bytes": self.size} if self.error is None else {"reason": self.error})


@dataclass(frozen=True, slots=True)
class Retrying(Event):
    """A call to an upstream failed and is repeated after `wait` seconds. Of several runs, any may be meant.

    `attempt` counts from 1. It names no run: the log adds those that go on.
    """

    log_name = "retrying"
    level = LogLevel.WARNING
    what: str
    cause: str  # an error's code
    message: str
    attempt: int
    wait: float

    def fields(self) -> dict[str, Any]:
        said = {"what": self.what, "cause": self.cause, "reason": self.message}
        return said | {"attempt": self.attempt, "wait": round(self.wait, 1)}


@dataclass(frozen=True, slots=True)
class FilesScanned(Event):
    """A scanner has looked at files of a commit, new or, in a rescan, published; a warning where not all are clean.

    `files` are those that it was asked about; in `found` of them it has found something, and of `failed` it could say
    nothing: those too which are not scanned yet.
    """

    log_name = "scan.done"
    target: str
    job: str
    kind: Kind
    repo: str
    commit: str
    scanner: str
    version: str
    files: int
    found: int
    failed: int

    @property
    def level(self) -> LogLevel:
        return LogLevel.WARNING if self.found or self.failed else LogLevel.INFO


@dataclass(frozen=True, slots=True)
class SnapshotTurnedBad(Event):
    """A rescan found something in what is published: it stays, and a new commit that has it still is held."""

    log_name = "scan.turned-bad"
    level = LogLevel.WARNING
    job: str
    kind: Kind
    repo: str
    revision: str
    commit: str
    reason: str


@dataclass(frozen=True, slots=True)
class Crashed(Event):
    """The traceback of a fault of this program itself, which stopped one repo."""

    log_name = "internal-error"
    level = LogLevel.DEBUG
    run: str
    repo: Repo | RepoPattern  # a pattern: all that it stands for
    trace: str


@dataclass(frozen=True, slots=True)
class RepoFinished(Event):
    """What became of a revision of a repo. `again`: the last run that looked at it came to the same, for the same
    reason.

    repo.published: Readers get the new snapshot from now on.

    repo.unchanged: A repo is as upstream has it.

    repo.refused: Policy does not allow the repo: nothing of it is mirrored. At debug where the last run found the same.

    repo.held: Policy, the guard or an upstream that does not give the repo: what was published before stays. At debug
    where the last run found the same.

    repo.interrupted: The run was stopped while it brought a repo; what came is kept.

    repo.failed: A repo could not be brought up to date; what was published before stays.
    """

    run: str
    report: RepoReport
    again: bool = False

    @property
    def told_already(self) -> bool:
        """Whether it is a hold or a refusal that the last run had found, too: a run's last line counts them."""
        return self.again and self.report.outcome in (RepoOutcome.HELD, RepoOutcome.REFUSED)

    @property
    def log_name(self) -> str:
        return f"repo.{self.report.outcome}"

    @property
    def level(self) -> LogLevel:
        return LogLevel.DEBUG if self.told_already else _LEVELS[self.report.outcome]

    def fields(self) -> dict[str, Any]:
        report = self.report
        name = report.spoken
        values: dict[str, Any] = {"job": report.job, "repo": name}
        if report.commit:
            values["commit"] = report.commit
        if report.reason:
            values |= {"code": report.code, "reason": report.reason}
        if report.outcome in (RepoOutcome.PUBLISHED, RepoOutcome.INTERRUPTED):
            values |= {name: getattr(report, name) for name in _FIGURES}
        if report.lag_seconds is not None:
            values["lag_seconds"] = report.lag_seconds
        return values | {"seconds": round(report.seconds, 1), "run": self.run}


# a glob may stand for thousands of repos that did not change
_LEVELS = {
    RepoOutcome.PUBLISHED: LogLevel.INFO,
    RepoOutcome.UNCHANGED: LogLevel.DEBUG,
    RepoOutcome.REFUSED: LogLevel.WARNING,
    RepoOutcome.HELD: LogLevel.WARNING,
    RepoOutcome.INTERRUPTED: LogLevel.INFO,
    RepoOutcome.FAILED: LogLevel.ERROR,
}
_FIGURES = ("files", "fetched_files", "fetched_bytes", "resumed_bytes", "reused_files", "reused_bytes")


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """A run is over.

    run.finished: The end of a run, with its counts, also of what is held or refused as before; an error when a repo
    failed.

    run.interrupted: A run was asked to stop; the next one goes on with it.
    """

    report: RunReport

    @property
    def log_name(self) -> str:
        return "run.interrupted" if self.report.interrupted else "run.finished"

    @property
    def level(self) -> LogLevel:
        if self.report.interrupted:
            return LogLevel.WARNING
        return LogLevel.INFO if self.report.ok else LogLevel.ERROR

    def fields(self) -> dict[str, Any]:
        report = self.report
        return {
            **{outcome.value: report.count(outcome) for outcome in RepoOutcome},
            "left": report.left,
            "jobs_left": report.jobs_left,
            "fetched_bytes": sum(repo.fetched_bytes for repo in report.repos),
            "resumed_bytes": sum(repo.resumed_bytes for repo in report.repos),
            "run": report.run,
        }


@dataclass(frozen=True, slots=True)
class Called(Event):
    """One request to an upstream's `endpoint` was answered, or was not.

    `kind` is api or resolvers, as the Hub counts them, or elsewhere: where an answer had sent us. `result` is the class
    of the answer's status (2xx to 5xx), 429, or none.
    """

    endpoint: str
    kind: str
    result: str


@dataclass(frozen=True, slots=True)
class EndpointTaken(Event):
    """Files come first by this `endpoint` from now on, as it is the quickest: its `first_byte` comes after so many
    seconds, and others at its `rate` in bytes a second, 0 where that is not known. `before`: the one that was taken.
    """

    log_name = "endpoint.taken"
    endpoint: str
    before: str
    first_byte: float
    rate: float


@dataclass(frozen=True, slots=True)
class RoadTaken(Event):
    """So many bytes of a file that a road of the job has, too, came by `road`; empty for the job's own upstream."""

    job: str
    road: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RoadLeft(Event):
    """A road of the job gave a file not at all, not to its end, too slowly or wrong; it comes from the upstream."""

    log_name = "road.left"
    level = LogLevel.WARNING
    job: str
    road: str
    repo: Repo
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunAborted(Event):
    """A run of a job ended by an exception and not with a report; `code` is that of an error, or internal."""

    job: str
    code: str


@dataclass(frozen=True, slots=True)
class ConfigRead(Event):
    """jobs.yaml was read. `jobs` are those that are scheduled from now on; None: it has faults, all stays as it was."""

    jobs: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class TargetProbed(Event):
    """Whether a target answered just now."""

    target: str
    answered: bool


@dataclass(frozen=True, slots=True)
class Verified(Event):
    """How far a verification came, counted from its beginning, which may be an earlier process's."""

    blobs: int
    bytes: int
    faults: int  # that are not repaired


class Care(StrEnum):
    """What is done to a whole target, beside bringing repos there."""

    VERIFY = "verify"
    PRUNE = "prune"
    RESCAN = "rescan"


@dataclass(frozen=True, slots=True)
class Tended(Event):
    """A target was verified (all of it, or a sample), pruned or scanned anew; an error where it needs a person.

    It came to its end; `at` is ISO 8601 in UTC. `faults`: of a verify, blobs that are wrong or could not be read; of a
    prune, what needs a person; of a rescan, snapshots that are not clean.
    """

    log_name = "target.tended"
    target: str
    care: Care
    at: str
    faults: int = 0

    @property
    def level(self) -> LogLevel:
        return LogLevel.ERROR if self.faults else LogLevel.INFO


@dataclass(frozen=True, slots=True)
class RepoWithdrawn(Event):
    """A repo was taken down in a target: nobody is given it any more, and what only it named is removed.

    `bytes` counts the removed `blobs`; `at` is ISO 8601 in UTC.
    """

    log_name = "repo.withdrawn"
    target: str
    repo: Repo
    by: str
    why: str
    at: str
    snapshots: int
    blobs: int
    bytes: int

    @property
    def tombstone(self) -> Tombstone:
        """What stands in the place of all that was published."""
        return Tombstone(self.at, self.why, self.by)

    @property
    def level(self) -> LogLevel:
        return LogLevel.WARNING


@dataclass(frozen=True, slots=True)
class RepoLetGo(Event):
    """A prune has let go of a repo that was not read for long: its target may not hold as much as it does.

    `size` in bytes: what nothing else names, which the prune removes.
    """

    log_name = "repo.let-go"
    target: str
    repo: Repo
    why: str
    size: int


@dataclass(frozen=True, slots=True)
class RepoTiered(Event):
    """Files of a repo were brought to the cold tier of its target, or back: `move` says which.

    `size` in bytes; `waiting` blobs were asked for, and come hours later.
    """

    log_name = "repo.tiered"
    target: str
    repo: Repo
    move: Move
    blobs: int
    size: int
    why: str
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class RepoSigned(Event):
    """`sign` has found, or made, all snapshots of a repo signed by the key of today."""

    log_name = "repo.signed"
    target: str
    repo: Repo
    snapshots: int

    @property
    def level(self) -> LogLevel:
        return LogLevel.DEBUG


@dataclass(frozen=True, slots=True)
class RepoRestored(Event):
    """A repo that was taken down may be published again: the next sync of a job that names it does."""

    log_name = "repo.restored"
    target: str
    repo: Repo
    by: str
    why: str
    at: str

    @property
    def level(self) -> LogLevel:
        return LogLevel.WARNING


@dataclass(frozen=True, slots=True)
class RepoNameMoved(Event):
    """A name of a repo was moved, by a person or a rule: a channel, a tag, or main, which is pinned; `verb` says how.

    `before` null: the name is new; `after` null: it was taken away. `at` is ISO 8601 in UTC.
    """

    log_name = "repo.name-moved"
    target: str
    repo: Repo
    name: str
    verb: str
    before: str | None
    after: str | None
    by: str
    why: str
    at: str

    @property
    def level(self) -> LogLevel:
        return LogLevel.WARNING if self.verb in ("rollback", "untag") else LogLevel.INFO


@dataclass(frozen=True, slots=True)
class ChannelLeft(Event):
    """What a job moves by its rule was left where it is: nobody could tell whether that is due, or bad, or move it."""

    log_name = "repo.channel-left"
    level = LogLevel.WARNING
    target: str
    repo: Repo
    name: str
    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class NamesUnseen(Event):
    """Which names a repo has could not be read of a target at a look at all of them; the others were looked at."""

    log_name = "repo.names-not-seen"
    level = LogLevel.WARNING
    target: str
    repo: Repo
    reason: str


@dataclass(frozen=True, slots=True)
class RolloutStopped(Event):
    """What a rollout gave to readers was said to be bad: they are given `main` again, which stands for `commit`."""

    log_name = "repo.rollout-stopped"
    level = LogLevel.ERROR
    target: str
    repo: Repo
    job: str
    commit: str
    reason: str


@dataclass(frozen=True, slots=True)
class NamesSeen:
    """The names of a repo that has some of ours, as they stand. Times are seconds since 1970, by the repo's history.

    `pinned`: since when main is, None where it is not, 0 where nobody can tell; `channels` since when each stands where
    it does, as far as that is known; `shared`: how much of the readers of main get which channel, from 0 to 1.
    """

    repo: Repo
    pinned: float | None = None
    channels: tuple[tuple[str, float], ...] = ()
    shared: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True)
class NamesLooked(Event):
    """All repos of a target that have names of ours, as they were found now."""

    target: str
    repos: tuple[NamesSeen, ...]

    def fields(self) -> dict[str, Any]:
        return {"target": self.target, "repos": len(self.repos)}


class RolloutState(StrEnum):
    """What came of a look at a grey release of a job that has a rollout."""

    GROWING = "growing"
    WATCHED = "watched"  # main itself is at the candidate, and may be taken back still
    UNANSWERED = "unanswered"  # nobody could say whether it is bad
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class RolloutsLooked(Event):
    """The grey releases of a target that rollouts look after: job, repo and what came of the look."""

    target: str
    found: tuple[tuple[str, Repo, RolloutState], ...]

    def fields(self) -> dict[str, Any]:
        return {"target": self.target, "found": len(self.found)}


@dataclass(frozen=True, slots=True)
class CataloguePublished(Event):
    """The catalogue of a target was brought up to date; `unread` repos cannot be read: run `verify`.

    `put` objects were, `same` were there, `removed` are gone. What cannot be read keeps the page that it had.
    """

    log_name = "site.published"
    target: str
    put: int
    same: int
    removed: int
    unread: int
    seconds: float

    @property
    def level(self) -> LogLevel:
        return LogLevel.WARNING if self.unread else LogLevel.INFO

    def fields(self) -> dict[str, Any]:
        return Event.fields(self) | {"seconds": round(self.seconds, 1)}


@dataclass(frozen=True, slots=True)
class CatalogueFailed(Event):
    """The catalogue of a target could not be published to its end; the next run does it."""

    log_name = "site.failed"
    level = LogLevel.WARNING
    target: str
    code: str  # an error's
    reason: str


@dataclass(frozen=True, slots=True)
class AuditPut(Event):
    """What was done in a target, and by whom, is written there: a segment of `records` acts; unsigned without a key."""

    log_name = "audit.put"
    target: str
    machine: str
    segment: int
    records: int
    signed: bool


@dataclass(frozen=True, slots=True)
class AuditFailed(Event):
    """Acts are recorded on this machine and the target does not take them, or lost some: nothing more is done there.

    `code` is an error's, or audit-cut: the end of this machine's chain was removed from the target.
    """

    log_name = "audit.failed"
    level = LogLevel.ERROR
    target: str
    code: str
    reason: str


Observer = Callable[[Event], None]


def tell_all(observers: tuple[Observer, ...]) -> Observer:
    """One observer that tells many, in order, whatever any of them raises; a Python warning says so, once for each.

    One with `hears`, which says of a class of events whether they concern it, is told of no others: of a small file
    there are five, and to call everybody with each takes longer than to hash it.
    """
    failed: set[int] = set()
    concerned: dict[type[Event], list[tuple[int, Observer]]] = {}

    def tell(event: Event) -> None:
        kind = type(event)
        if kind not in concerned:
            concerned[kind] = [(number, one) for number, one in enumerate(observers) if _hears(one, kind)]
        for number, observer in concerned[kind]:
            try:
                observer(event)
            except Exception as error:  # who watches must not stop what is watched
                if number not in failed:
                    failed.add(number)
                    _warn(observer, event, error)

    return tell


def _hears(observer: Observer, kind: type[Event]) -> bool:
    hears: Callable[[type[Event]], bool] | None = getattr(observer, "hears", None)
    return hears is None or hears(kind)


def _warn(observer: Observer, event: Event, error: Exception) -> None:
    told = f"observer {observer!r} misses events: {type(event).__name__}: {type(error).__name__}: {error}"
    with suppress(Warning):  # where Python was told to raise them
        warnings.warn(told, RuntimeWarning, stacklevel=2)


def _file(event: FileStarted | FileFinished | PartsFound) -> dict[str, Any]:
    return {"repo": str(event.repo), "path": event.path, "run": event.run}


def _plain(value: object) -> object:
    """A value as the log has it."""
    if isinstance(value, Repo | RepoPattern):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
