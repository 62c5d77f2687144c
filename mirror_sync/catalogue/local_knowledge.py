"""What machines know of a target beside what it publishes: what their jobs ask for, and what became of it.

Each keeps what the others last published in status.json, so that machines with different jobs write the same pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from mirror_sync.domain.catalogue.rows import Day, Overview, ShownJob
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.outcome.front_counts import FrontDay
from mirror_sync.domain.outcome.replicas import ReplicaStatus
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.outcome.wish import UNSAID, HowToAsk, RepoWish
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc

KEPT = timedelta(days=30)  # what a machine published that has said nothing since is forgotten
_AHEAD = timedelta(days=1)  # more than that no clock is before ours, unless it is wrong
_SAID = {
    RepoState.FAILED: "the last attempt failed",
    RepoState.GATED: "the upstream has admitted no account of this mirror",
    RepoState.GONE: "the upstream no longer gives it",
    RepoState.DORMANT: "nobody had read it for long, and room was needed; whoever asks for it here brings it back",
    RepoState.INTERRUPTED: "the last run was stopped while it brought this; the next one goes on",
    RepoState.ELSEWHERE: "published into what was the job's target before",
    RepoState.NEVER: "no run has looked at it yet",
}
# Of a failed attempt, or of what is gone, by the code of the error: a reader can do nothing with a code.
_BY_CODE = {
    "not-found-or-private": "the upstream has no such repo, or does not show it to this mirror",
    "revision-not-found": "the upstream has no such branch, tag or commit",
    "disabled": "the upstream has switched it off",
    "unreachable": "the upstream did not answer at the last attempt",
    "rate-limited": "the upstream asked to wait at the last attempt",
    "integrity": "what the upstream sent at the last attempt was not what it had promised",
}


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job: `upstream` is the address of what it mirrors, empty for a folder; `succeeded` the end of its last complete
    run. `machine` is a word for who knows it, `at` when that one last said so.
    """

    shown: ShownJob
    machine: str
    at: str
    upstream: str = ""
    succeeded: str | None = None


@dataclass(frozen=True, slots=True)
class LocalKnowledge:
    """`lines` and `jobs` of one target. `name` and `url` are the operator's, `principal` is who signs. `grow` remembers
    how much the target has today, and returns all days. `verified` and `pruned`: when, None for never; `faults` of that
    verify. `doors` are those that fronts open beside the Hub's. `id` is who publishes the target in its feed, and
    `through` the mirrors that it is read from, by a word for each upstream of this kind: None where none was seen yet.
    `ask` is how people ask for what is not here, and `wishes` what they asked for, None where that cannot be read.
    `front` is what was counted of the front in the last day. `downloads` of each repo, as the last count of traffic has
    them. `apart`: what fronts find in pages is there by itself, too.
    """

    machine: str
    version: str
    at: datetime
    lines: tuple[RepoStatus, ...]
    jobs: tuple[KnownJob, ...]
    name: str = ""
    url: str = ""
    principal: str = ""
    doors: frozenset[str] = frozenset()
    traffic: tuple[Day, ...] = ()
    verified: str | None = None
    faults: int = 0
    pruned: str | None = None
    unusual: tuple[str, int] = ("", 0)
    grow: Callable[[Overview], tuple[Day, ...]] = field(default=lambda today: (), compare=False)
    id: str = ""
    through: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    replicas: tuple[ReplicaStatus, ...] = ()
    ask: HowToAsk = UNSAID
    wishes: tuple[RepoWish, ...] | None = ()
    front: FrontDay | None = None
    downloads: Mapping[Repo, int] = field(default_factory=dict)
    apart: bool = False

    @property
    def now(self) -> str:
        """The time of this publication, in ISO 8601 in UTC."""
        return iso_utc(self.at)

    def with_others(
        self, jobs: Iterable[KnownJob], lines_of: Callable[[Callable[[str], bool]], Iterable[RepoStatus]]
    ) -> LocalKnowledge:
        """Also what other machines know, as they published it, and of what we know what is for everybody.

        `lines_of` gives the lines of those jobs that are asked for.

        Of a job that several know, that one's word stands that ran it last, with its lines. What we said before of a
        job that is ours no more is forgotten.
        """
        mine = {job.shown.name: job for job in self.jobs}
        others: dict[str, KnownJob] = {}
        for job in filter(None, map(self._heard, jobs)):
            name, known = job.shown.name, others.get(job.shown.name, mine.get(job.shown.name))
            is_theirs = job.machine != self.machine if known is None else self._ran(job) > self._ran(known)
            if is_theirs:
                others[name] = job
        own = (public_line(line) for line in self.lines if line.job not in others)
        kept = lines_of(others.__contains__) if others else ()
        by_name = sorted({**mine, **others}.items())
        return replace(self, jobs=tuple(job for _, job in by_name), lines=(*own, *kept))

    def _heard(self, job: KnownJob) -> KnownJob | None:
        """None for what is too old; what a wrong clock says of the future was said now, and grows old from here."""
        said = moment(job.at)
        if said is None or said < self.at - KEPT:
            return None
        return replace(job, at=self.now) if said > self.at + _AHEAD else job

    def _ran(self, job: KnownJob) -> datetime:
        """When a job last began or ended, as far as that can be; the first of all times for never."""
        times = filter(None, map(moment, (job.shown.last_started, job.shown.last_finished)))
        return max((time for time in times if time <= self.at + _AHEAD), default=datetime.min.replace(tzinfo=UTC))

    @property
    def upstreams(self) -> Mapping[str, str]:
        """The address of each job's upstream."""
        return {job.shown.name: job.upstream for job in self.jobs}


def public_line(line: RepoStatus) -> RepoStatus:
    """A line without what is the operator's alone: no message of an error, which may name folders, hosts, tokens."""
    state = RepoState.PUBLISHED if line.state.mirrored else line.state
    if state.mirrored:
        reason = ""
    elif state in (RepoState.FAILED, RepoState.GONE):
        reason = _BY_CODE.get(line.code, f"{_SAID[state]} ({line.code})" if line.code else _SAID[state])
    else:
        reason = _SAID.get(state, line.reason)
    if (line.state, line.outcome, line.reason) == (state, None, reason):
        return line
    return replace(line, state=state, outcome=None, reason=reason)
