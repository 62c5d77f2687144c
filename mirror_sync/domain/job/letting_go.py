"""Which repos a target lets go of first where it holds more than it may: those read longest ago.

A repo is let go of as a whole: its names and snapshots go, and a sync does not bring it again before somebody asks for
it. Nothing goes that somebody has decided about by name, that could not come back, or of which it is not known that
nobody reads it: see docs/design/decisions/0072-what-is-let-go-of.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mirror_sync.domain.content.refs import PINNED, Refs
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.keep import Keep
from mirror_sync.domain.repo import Repo


@dataclass(frozen=True, slots=True)
class Leaver:
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


def enough(candidates: Iterable[Leaver], sizes: Callable[[Leaver], int], over: int) -> Iterator[Leaver]:
    """The first to go, in their order, until `over` bytes are free. `sizes` are of what no later one names, too."""
    for candidate in candidates:
        if over <= 0:
            return
        over -= sizes(candidate)
        yield candidate
