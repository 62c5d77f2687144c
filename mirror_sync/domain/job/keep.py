"""How many bytes a target may hold, and which repos it lets go of first where it holds more: those read longest ago.

A repo is let go of as a whole: its names and snapshots go, and a sync does not bring it again before somebody asks for
it. Nothing goes that somebody has decided about by name, that could not come back, or of which it is not known that
nobody reads it: see docs/design/decisions/0072-what-is-let-go-of.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from mirror_sync.domain.content.refs import PINNED, Refs
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc, spoken_duration

LET_GO = "let-go"
"""The code of `absent` in a refs.json, and of a report: nobody had read the repo for long, and room was needed."""


@dataclass(frozen=True, slots=True)
class Keep:
    """What a target may hold in `bytes`. A repo that was read or published less than `unread` ago stays.

    `logs`: patterns of the files in which fronts say who reads, one pattern for each front; where none of its lines is
    for longer than `quiet`, a log may be lost. `named`: whether repos that jobs spell out may go, when no others can.
    """

    bytes: int
    logs: tuple[str, ...]
    unread: timedelta = timedelta(days=7)
    quiet: timedelta = timedelta(hours=12)
    named: bool = False


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """Who reads what of a target, in seconds since 1970: `read` the last request for each repo that was answered.

    It is whole from `since` on, None where it is whole at no time; what came before is true and has gaps. `doubt` says
    why it is not known what is read now; empty where it is. `asked`: the last request for a repo that was not there.
    """

    since: float | None = None
    doubt: str = "nobody counts who reads"
    read: Mapping[Repo, float] = field(default_factory=dict)
    asked: Mapping[Repo, float] = field(default_factory=dict)

    def why_unsure(self, unread: timedelta, now: float) -> str:
        """Why nothing can be called unread for so long; empty where it can."""
        if self.doubt or self.since is None:
            return self.doubt or "nothing was counted yet"
        if now - self.since < unread.total_seconds():
            begun = iso_utc(datetime.fromtimestamp(self.since, UTC))
            return f"reads are counted without a gap since {begun}, which is not yet unread: {spoken_duration(unread)}"
        return ""


@dataclass(frozen=True, slots=True)
class LetGoRepo:
    """A repo that goes, or would: `bytes` that nothing else names, `read` in ISO 8601, empty for not since counted."""

    repo: str
    snapshots: int
    bytes: int
    read: str
    why: str


@dataclass(frozen=True, slots=True)
class KeepReport:
    """What came of the bound of a target: `bytes` were held of `limit`, `left` are, or would be, afterwards.

    `problem`: why nothing could be let go of. `stays` counts repos by why they stay. `since`: from when
    on reads are counted without a gap, in ISO 8601, None for not.
    """

    target: str
    limit: int
    bytes: int
    left: int
    since: str | None = None
    repos: tuple[LetGoRepo, ...] = ()
    stays: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""

    def of(self, gone: Collection[Repo]) -> KeepReport:
        """The same where only these went: others were read, named or published anew meanwhile."""
        names = set(map(str, gone))
        repos = tuple(one for one in self.repos if one.repo in names)
        spared = sum(one.bytes for one in self.repos if one.repo not in names)
        return replace(self, repos=repos, left=self.left + spared)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A repo that may go: `at` is when it was last read or published, in seconds; `last` puts it behind all others."""

    repo: Repo
    refs: Refs
    at: float
    read: float | None
    last: bool = False

    @property
    def place(self) -> tuple[bool, float, Repo]:
        """By which the first to go comes first."""
        return self.last, self.at, self.repo


def why_it_stays(repo: Repo, refs: Refs, jobs: Sequence[Job], keep: Keep) -> str:
    """Why a repo never goes, whoever reads it; empty where it may. `jobs` are those that publish it there."""
    reasons = {
        "no job names it: nothing would bring it again": not jobs,
        "its upstream no longer gives it: nothing could bring it again": refs.gone is not None,
        "its main is pinned": PINNED in refs.attachments,
        "it has names of ours": bool(refs.channels),
        "a job names its tag or commit": any(_is_named(refs, one) for job in jobs for one in job.revisions),
        "a job spells it out": not keep.named and is_spelled_out(repo, jobs),
    }
    return next((why for why, holds in reasons.items() if holds), "")


def is_spelled_out(repo: Repo, jobs: Iterable[Job]) -> bool:
    """Whether one of them names the repo itself, in whatever letters, by no glob and no ranking."""
    mine = (job for job in jobs if job.ranking is None)
    return any(job.spells_out(repo) or (job.means(repo) and not job.names(repo)) for job in mine)


def _is_named(refs: Refs, revision: str) -> bool:
    if CommitId.matches(revision):
        return revision in refs.snapshots
    return any(ref.group == "tags" and revision in (ref.name, ref.ref) for ref in refs.refs)


def enough(candidates: Iterable[Candidate], sizes: Callable[[Candidate], int], over: int) -> Iterator[Candidate]:
    """The first to go, in their order, until `over` bytes are free. `sizes` are of what no later one names, too."""
    for candidate in candidates:
        if over <= 0:
            return
        over -= sizes(candidate)
        yield candidate
