"""What became of a run: data for a person, a script, a metric, a history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from mirror_sync.domain.content.assurance import Assurance
from mirror_sync.domain.outcome.cost import UpstreamCost
from mirror_sync.domain.outcome.keep_report import LET_GO, KeepReport
from mirror_sync.domain.policy.gone import PRIVATE
from mirror_sync.domain.repo import Kind
from mirror_sync.domain.subject import Subject
from mirror_sync.errors import Disabled, Gated, NotFoundOrPrivate

UNCONFIRMED = "second-hand"  # another endpoint than the first said so, while that did not answer
STALE = "stale-endpoint"  # what another endpoint than the first has is older than what is published, or may be
WITHDRAWN = "withdrawn"  # a person has taken the repo down
EMPTIED = frozenset({WITHDRAWN, LET_GO})  # codes of which nothing is published any more
_GONE = frozenset({NotFoundOrPrivate.code, Disabled.code})  # held only where something is, or was, published
DOUBTFUL = frozenset({UNCONFIRMED, STALE})  # codes of what the first endpoint, once it answers, may tell otherwise


class RepoOutcome(StrEnum):
    """What became of one revision of one repo; what needs a person most comes last."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    REFUSED = "refused"  # by policy: nothing of it is mirrored
    HELD = "held"  # by policy, guard or because upstream does not give it: what was published before stays
    INTERRUPTED = "interrupted"  # the run was stopped in its midst: what came is kept, the next run goes on
    FAILED = "failed"


WORST_FIRST = tuple(reversed(RepoOutcome))


@dataclass(frozen=True, slots=True)
class RepoReport(Subject):
    """One revision of one repo in one run. `code` is `reason` in a word: an error's code, `license`, or empty.

    `files` and `bytes` count all that the published snapshot holds, `fetched_bytes` what came and is stored, parts of
    large files too. `resumed_bytes` were parts that an earlier run had brought, `reused_bytes` files that were there.
    Of what the run published: `committed` is the commit's date by the upstream, `published` when readers got it here,
    `lag_seconds` how long they waited (see freshness.py). Times are ISO 8601 in UTC; None: not published, or not known.
    `assurance` is what is known of the published snapshot. `unconfirmed`: decided by what another endpoint than the
    first said while that was silent, whatever `code` says: it is looked at again.
    """

    outcome: RepoOutcome
    commit: str | None = None
    reason: str = ""
    code: str = ""
    files: int = 0
    fetched_files: int = 0
    fetched_bytes: int = 0
    reused_files: int = 0
    reused_bytes: int = 0
    seconds: float = 0.0
    bytes: int = 0
    committed: str | None = None
    published: str | None = None
    lag_seconds: float | None = None
    resumed_bytes: int = 0
    assurance: Assurance = Assurance()
    unconfirmed: bool = False

    def encode(self) -> dict[str, Any]:
        """An entry of `sync --json`."""
        document = asdict(self)
        del document["assurance"], document["unconfirmed"]
        return document | self.assurance.named() | {"code_paths": self.assurance.code_paths}

    @property
    def failed(self) -> bool:
        """Whether it could not be brought up to date."""
        return self.outcome is RepoOutcome.FAILED


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run; `started` and `finished` are ISO 8601 in UTC.

    `interrupted` when it was asked to stop before its end; `left` repos are undone then, those in `repos` that were
    interrupted among them, and all those of `jobs_left` jobs that were not begun. `done` are the jobs that came to
    their end, `times` when each that began did, and when it ended.
    """

    run: str
    started: str
    finished: str
    repos: tuple[RepoReport, ...]
    interrupted: bool = False
    left: int = 0
    jobs_left: int = 0
    done: tuple[str, ...] = ()
    times: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def times_of(self, job: str) -> tuple[str, str]:
        """When a job began and ended, as far as that was told: a run of one job is that job's."""
        return self.times.get(job, (self.started, self.finished))

    @property
    def ok(self) -> bool:
        """Whether the run came to its end and nothing failed; what policy refuses is no failure."""
        return not self.interrupted and not any(report.failed for report in self.repos)

    def count(self, outcome: RepoOutcome) -> int:
        """How many revisions of repos ended so."""
        return sum(report.outcome is outcome for report in self.repos)

    def encode(self) -> dict[str, Any]:
        """The document of `sync --json`."""
        return {
            "run": self.run,
            "started": self.started,
            "finished": self.finished,
            "ok": self.ok,
            "interrupted": self.interrupted,
            "left": self.left,
            "jobs_left": self.jobs_left,
            "jobs": {job: {"started": began, "finished": ended} for job, (began, ended) in self.times.items()},
            "repos": [report.encode() for report in self.repos],
        }


@dataclass(frozen=True, slots=True)
class RepoPlan(Subject):
    """What a sync would do for one revision of one repo. `outcome` published means: it would be.

    What another repo of the plan brings to the same target already counts as reused. `code_files` run code when they
    are loaded, as far as names tell; `code_paths` are the first of them. `chosen`: why a `select` takes it.
    """

    outcome: RepoOutcome
    commit: str | None = None
    reason: str = ""
    code: str = ""
    fetch_files: int = 0
    fetch_bytes: int = 0
    reuse_files: int = 0
    reuse_bytes: int = 0
    remove_files: int = 0
    remove_bytes: int = 0
    api_calls: int = 0
    resolver_calls: int = 0
    code_files: int = 0
    code_paths: tuple[str, ...] = ()
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """What a sync would bring to one target, each content counted once; sizes in bytes.

    `needed_bytes` is what that takes of a disk, documents and a spare included, `free_bytes` what there is: None where
    nobody can tell, or where asking failed with the `problem`. `published_bytes` is, at the most, the newest version of
    all that the jobs publish there then, `versions` how many of them are kept.
    """

    target: str
    fetch_files: int
    fetch_bytes: int
    needed_bytes: int
    free_bytes: int | None
    published_bytes: int
    versions: int
    problem: str = ""

    @property
    def fits(self) -> bool:
        """Whether there is room for it, as far as anybody can tell."""
        return self.free_bytes is None or self.needed_bytes <= self.free_bytes

    @property
    def advised_bytes(self) -> int:
        """The rule by which a disk is sized: size x versions x 1.2, as if each version were new from end to end."""
        return self.published_bytes * self.versions * 12 // 10

    def encode(self) -> dict[str, Any]:
        """An entry of `targets` in the document of `plan --json`."""
        return {**asdict(self), "fits": self.fits, "advised_bytes": self.advised_bytes}


@dataclass(frozen=True, slots=True)
class PlanReport:
    """`interrupted`: repos that are not in `repos` would be looked at, too. `costs` has each upstream that is asked,
    `targets` each target that is written to.
    """

    repos: tuple[RepoPlan, ...]
    interrupted: bool = False
    costs: tuple[UpstreamCost, ...] = ()
    targets: tuple[TargetPlan, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all was looked at, nothing failed and everything fits."""
        failed = any(repo.outcome is RepoOutcome.FAILED for repo in self.repos)
        return not self.interrupted and not failed and all(target.fits for target in self.targets)

    def encode(self) -> dict[str, Any]:
        """The document of `plan --json`."""
        costs = [asdict(cost) for cost in self.costs]
        repos = [asdict(repo) for repo in self.repos]
        targets = [target.encode() for target in self.targets]
        return {"ok": self.ok, "interrupted": self.interrupted, "costs": costs, "targets": targets, "repos": repos}


@dataclass(frozen=True, slots=True)
class BlobFault:
    """Something that is published and is not right; `path` is empty for a document of the snapshot itself.

    Where a whole target could not be verified, there is no `kind`, and no `repo`.
    `repair` says how a repair went, in one line; empty when none was tried. `code` is `vanished` for a repo of which
    nothing is there any more, the error's for a target, else empty.
    """

    target: str
    kind: Kind | None
    repo: str
    commit: str
    path: str
    sha256: str
    problem: str  # missing, wrong size, wrong digest, not readable: one line
    repair: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` looked at; blobs are counted once however often they are referred to.

    `faults` are wrong still, `repaired` were; `unreadable` is what the target would not give, which proves nothing of
    the bytes. `skipped` blobs lay outside the sample, whose share is `sampled`. `resumed`: an earlier, interrupted
    verify is counted in. `targets` are those that were looked at to their end, and in which there was something.
    `frozen` blobs are there, in a class of storage that gives no bytes before they are restored: nobody has read them.
    """

    repos: int
    snapshots: int
    blobs: int
    bytes: int
    faults: tuple[BlobFault, ...]
    interrupted: bool = False
    repaired: tuple[BlobFault, ...] = ()
    unreadable: tuple[BlobFault, ...] = ()
    skipped: int = 0
    sampled: float = 1.0
    resumed: bool = False
    targets: tuple[str, ...] = ()
    frozen: int = 0

    @property
    def ok(self) -> bool:
        """Whether all was looked at, and all of it is right."""
        return not self.interrupted and not self.faults and not self.unreadable

    def encode(self) -> dict[str, Any]:
        """The document of `verify --json`."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True, slots=True)
class PrunedRepo:
    """What a prune takes from one repo: snapshots by their commits, and the blobs that only they named.

    `why`: what has all of the repo let go of, empty where snapshots have expired.
    """

    target: str
    kind: Kind
    repo: str
    snapshots: tuple[str, ...]
    blobs: int = 0
    bytes: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What `prune` removed, or would remove. `bytes` counts all of `blobs`.

    Blobs that are in no `repos` entry were left by runs that did not end, or by earlier prunes. `young` blobs are
    unreferenced and within the grace period; `spared` ones were not removed because something else was quicker.
    `problems` are sentences: where there is one, the target needs a person, and less was removed than could be.
    `faults` counts them by target; `ended` are the targets whose prune came to its end, with problems or without.
    `keeps`: of targets whose bytes are bounded, what came of that.
    """

    repos: tuple[PrunedRepo, ...] = ()
    blobs: int = 0
    bytes: int = 0
    young: int = 0
    spared: int = 0
    problems: tuple[str, ...] = ()
    faults: Mapping[str, int] = field(default_factory=dict)
    ended: tuple[str, ...] = ()
    dry_run: bool = False
    interrupted: bool = False
    keeps: tuple[KeepReport, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the prune came to its end, and nothing needs a person."""
        return not self.interrupted and not self.problems

    def encode(self) -> dict[str, Any]:
        """The document of `prune --json`."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True, slots=True)
class TakenDown:
    """What `withdraw` took down, or would take down: `snapshots` by their commits; `bytes` counts the removed `blobs`.

    `shared` blobs are named by other repos, and stay. `spared` ones were put or used again meanwhile: a prune removes
    those that nothing names. `at`, `by` and `why` are those of the tombstone; `again`: it stood there before.
    `problems` are sentences: where there is one, nobody is given the repo, but not all of it is removed.
    """

    target: str
    kind: Kind
    repo: str
    at: str
    by: str
    why: str
    snapshots: tuple[str, ...] = ()
    blobs: int = 0
    bytes: int = 0
    shared: int = 0
    spared: int = 0
    again: bool = False
    problems: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        """Whether all that was to be removed is."""
        return not self.problems

    def encode(self) -> dict[str, Any]:
        """The document of `withdraw --json`."""
        return {"ok": self.ok, **asdict(self)}


class RepoState(StrEnum):
    """Of what a job asks for; what needs a person comes first."""

    FAILED = "failed"
    GATED = "gated"  # the upstream wants a token that was granted access
    GONE = "gone"  # upstream no longer gives it; what was published before stays
    HELD = "held"
    REFUSED = "refused"
    DORMANT = "dormant"  # nobody had read it for long, and the target needed room: it comes when somebody asks for it
    INTERRUPTED = "interrupted"  # in the midst of its first publication: what came is kept
    ELSEWHERE = "elsewhere"  # published into what was the job's target before
    NEVER = "never"  # no run has looked at it
    PUBLISHED = "published"
    UNCHANGED = "unchanged"

    @classmethod
    def of(cls, outcome: RepoOutcome, code: str, *, was_published: bool) -> RepoState:
        """What an outcome means. What was never mirrored is not gone: policy waits until somebody names it."""
        if code == Gated.code:
            return cls.GATED
        if outcome is RepoOutcome.HELD and (code in _GONE or (code == PRIVATE and was_published)):
            return cls.GONE
        if outcome is RepoOutcome.HELD and code == LET_GO:
            return cls.DORMANT
        return cls(outcome)

    @property
    def mirrored(self) -> bool:
        """Whether what is asked for is published here."""
        return self in (RepoState.PUBLISHED, RepoState.UNCHANGED)


@dataclass(frozen=True, slots=True)
class RepoStatus(Subject):
    """What is known of what a job asks for; times are ISO 8601 in UTC, None for never.

    `outcome` is that of the last run that looked at it, None for none. `committed`, `published` and `lag_seconds` are
    those of the last publication, and `assurance` is of what is published: see `RepoReport`. `next_try` is when the
    daemon runs it again before the job's next time. `held` is the commit that is held now, None where none is. `place`
    is where the commit was published, empty where that is not known: of this machine alone.
    """

    state: RepoState
    outcome: RepoOutcome | None = None
    commit: str | None = None
    reason: str = ""
    code: str = ""
    files: int = 0
    bytes: int = 0
    last_attempt: str | None = None
    last_success: str | None = None
    committed: str | None = None
    published: str | None = None
    lag_seconds: float | None = None
    held: str | None = None
    place: str = ""
    assurance: Assurance = Assurance()
    next_try: str | None = None

    def emptied(self) -> RepoStatus:
        """The same of what is published no more."""
        gone = {"commit": None, "files": 0, "bytes": 0, "last_success": None, "committed": None, "published": None}
        return replace(self, **gone, lag_seconds=None, assurance=Assurance())  # type: ignore[arg-type]

    def encode(self) -> dict[str, Any]:
        """An entry of `status --json`."""
        document = asdict(self)
        del document["place"], document["assurance"]
        return document | self.assurance.named() | {"code_paths": self.assurance.code_paths}


Told = TypeVar("Told", RepoReport, RepoPlan)


def worst_first(repos: Iterable[Told]) -> list[Told]:
    """For tables: what needs a person comes first."""
    return sorted(repos, key=lambda repo: (WORST_FIRST.index(repo.outcome), repo.job, repo.repo, repo.revision))
