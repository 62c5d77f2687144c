"""What machines know of a target beside what it publishes: what their jobs ask for, and what became of it.

Each keeps what the others last published in status.json, so that machines with different jobs write the same pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mirror_sync.domain.catalogue import Day, Overview, ShownJob
from mirror_sync.domain.line import Line, State
from mirror_sync.domain.times import iso_utc

KEPT = timedelta(days=30)  # what a machine published that has said nothing since is forgotten
_SAID = {
    State.FAILED: "the last attempt failed",
    State.GATED: "the upstream has admitted no account of this mirror",
    State.GONE: "the upstream no longer gives it",
    State.ELSEWHERE: "published into what was the job's target before",
    State.NEVER: "no run has looked at it yet",
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
class Known:
    """`lines` and `jobs` of one target. `name` and `url` are the operator's. `grow` remembers how much the target has
    today, and returns all days.
    """

    machine: str
    version: str
    at: datetime
    lines: tuple[Line, ...]
    jobs: tuple[KnownJob, ...]
    name: str = ""
    url: str = ""
    traffic: tuple[Day, ...] = ()
    grow: Callable[[Overview], tuple[Day, ...]] = field(default=lambda today: (), compare=False)

    @property
    def now(self) -> str:
        return iso_utc(self.at)

    def with_others(self, jobs: Iterable[KnownJob], lines: Iterable[Line]) -> Known:
        """Also what other machines know, as they published it, and of what we know what is for everybody.

        Jobs that have our names, or were ours, are not theirs.
        """
        mine = {job.shown.name for job in self.jobs}
        since = iso_utc(self.at - KEPT)
        others = {
            job.shown.name: job
            for job in jobs
            if job.shown.name not in mine and job.machine != self.machine and job.at >= since
        }
        kept = tuple(line for line in lines if line.job in others)
        by_name = sorted((*self.jobs, *others.values()), key=lambda job: job.shown.name)
        return replace(self, jobs=tuple(by_name), lines=(*map(public_line, self.lines), *kept))

    @property
    def upstreams(self) -> Mapping[str, str]:
        """The address of each job's upstream."""
        return {job.shown.name: job.upstream for job in self.jobs}


def public_line(line: Line) -> Line:
    """A line without what is the operator's alone: no message of an error, which may name folders, hosts, tokens."""
    state = State.PUBLISHED if line.state.mirrored else line.state
    said = _SAID.get(line.state)
    reason = "" if state.mirrored else line.reason if said is None else said
    code = f" ({line.code})" if said is not None and line.code and state is not State.NEVER else ""
    return replace(line, state=state, outcome=None, reason=f"{reason}{code}")
