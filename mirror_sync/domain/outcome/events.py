"""What happens in a run, as values. The engine tells every observer; it never calls a log, a bar or a metric by name.

Observers are called from worker threads, several at a time, and must neither raise nor wait. One that raises all the
same misses that event, and nobody else does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from mirror_sync.domain.outcome.report import RepoReport, RunReport
from mirror_sync.domain.repo import Repo, RepoPattern


@dataclass(frozen=True, slots=True)
class RunStarted:
    """`at` is ISO 8601 in UTC. A `partial` run is of single repos: it says nothing of how its jobs are."""

    run: str
    jobs: tuple[str, ...]
    at: str
    partial: bool = False


@dataclass(frozen=True, slots=True)
class ReposListed:
    """A job's patterns were expanded; `repos` counts pairs of repo and revision."""

    run: str
    job: str
    repos: int


@dataclass(frozen=True, slots=True)
class RankingCutShort:
    """A job's ranking was not filled: `repos` of its `limit` are among the first `seen` of a list that goes on."""

    run: str
    job: str
    repos: int
    limit: int
    seen: int


@dataclass(frozen=True, slots=True)
class RefsLeftOut:
    """A job's globs stand for `count` names that no ref should have; `refs` are the first of them, with reasons."""

    run: str
    job: str
    repo: Repo
    refs: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class ListLags:
    """A list of an owner's repos is older than what one of them says of itself: each of its `repos` is asked."""

    run: str
    job: str
    repo: Repo
    commit: str
    repos: int


@dataclass(frozen=True, slots=True)
class RepoPlanned:
    """A repo has changed and its plan is made."""

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


@dataclass(frozen=True, slots=True)
class FileStarted:
    """A file is on its way."""

    run: str
    repo: Repo
    path: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class BytesFetched:
    """`count` more bytes of a file came; negative when an attempt was thrown away."""

    run: str
    repo: Repo
    path: str
    count: int


@dataclass(frozen=True, slots=True)
class PartsFound:
    """`count` bytes of a file are stored already, by an earlier run that did not end; negative: they were no good."""

    run: str
    repo: Repo
    path: str
    count: int


@dataclass(frozen=True, slots=True)
class Disproved:
    """The bytes of one attempt at a file were not the promised ones; nothing of them is stored."""

    run: str
    repo: Repo
    path: str


@dataclass(frozen=True, slots=True)
class FileFinished:
    """A file is on its way no more, however that ended. `error` None and not `interrupted`: proved and stored."""

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


@dataclass(frozen=True, slots=True)
class Retrying:
    """A call failed and will be repeated after `wait` seconds; `attempt` counts from 1."""

    what: str
    cause: str  # an error's code
    message: str
    attempt: int
    wait: float


@dataclass(frozen=True, slots=True)
class Crashed:
    """A fault of this program itself stopped one repo, or what one pattern stands for; `trace` is its traceback."""

    run: str
    repo: Repo | RepoPattern
    trace: str


@dataclass(frozen=True, slots=True)
class RepoFinished:
    """`again`: the last run that looked at it came to the same, for the same reason."""

    run: str
    report: RepoReport
    again: bool = False


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run came to its end, or was stopped; the report says which."""

    report: RunReport


@dataclass(frozen=True, slots=True)
class Called:
    """One request to an upstream's `endpoint` was answered, or was not.

    `kind` is api or resolvers, as the Hub counts them, or elsewhere: where an answer had sent us. `result` is the class
    of the answer's status (2xx to 5xx), 429, or none.
    """

    endpoint: str
    kind: str
    result: str


@dataclass(frozen=True, slots=True)
class RunAborted:
    """A run of a job ended by an exception and not with a report; `code` is that of an error, or internal."""

    job: str
    code: str


@dataclass(frozen=True, slots=True)
class ConfigRead:
    """jobs.yaml was read. `jobs` are those that are scheduled from now on; None: it has faults, all stays as it was."""

    jobs: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class TargetProbed:
    """Whether a target answered just now."""

    target: str
    answered: bool


@dataclass(frozen=True, slots=True)
class Verified:
    """How far a verification came, counted from its beginning, which may be an earlier process's."""

    blobs: int
    bytes: int
    faults: int  # that are not repaired


class Care(StrEnum):
    """What is done to a whole target, beside bringing repos there."""

    VERIFY = "verify"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True)
class Tended:
    """A target was verified (all of it, or a sample of all) or pruned, to the end; `at` is ISO 8601 in UTC.

    `faults`: of a verify, blobs that are wrong or could not be read; of a prune, what needs a person.
    """

    target: str
    care: Care
    at: str
    faults: int = 0


@dataclass(frozen=True, slots=True)
class CataloguePublished:
    """The catalogue of a target is as the target is: `put` objects were, `same` were there, `removed` are gone.

    `unread` repos cannot be read, and keep the page that they had.
    """

    target: str
    put: int
    same: int
    removed: int
    unread: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CatalogueFailed:
    """The catalogue of a target could not be published to its end: the next run does; `code` is that of an error."""

    target: str
    code: str
    reason: str


Event = (
    RunStarted
    | ReposListed
    | RankingCutShort
    | RefsLeftOut
    | ListLags
    | RepoPlanned
    | FileStarted
    | BytesFetched
    | PartsFound
    | Disproved
    | FileFinished
    | Retrying
    | Crashed
    | RepoFinished
    | RunFinished
    | Called
    | RunAborted
    | ConfigRead
    | TargetProbed
    | Verified
    | Tended
    | CataloguePublished
    | CatalogueFailed
)
Observer = Callable[[Event], None]


def tell_all(observers: tuple[Observer, ...]) -> Observer:
    """One observer that tells many, in order, whatever any of them raises; a Python warning says so, once for each."""
    failed: set[int] = set()

    def tell(event: Event) -> None:
        for number, observer in enumerate(observers):
            try:
                observer(event)
            except Exception as error:  # who watches must not stop what is watched
                if number not in failed:
                    failed.add(number)
                    _warn(observer, event, error)

    return tell


def _warn(observer: Observer, event: Event, error: Exception) -> None:
    told = f"observer {observer!r} misses events: {type(event).__name__}: {type(error).__name__}: {error}"
    with suppress(Warning):  # where Python was told to raise them
        warnings.warn(told, RuntimeWarning, stacklevel=2)
