"""What jobs.yaml asks for, beside what is known of it: whether the mirror is complete, and for each gap, why not.

Pure: what the history remembers and what a target publishes are given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase

from mirror_sync.app.next_runs import JobLine, as_paused, job_line_of
from mirror_sync.app.ranked import still_meant
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import Tended
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.subject import Subject
from mirror_sync.domain.times import iso_utc
from mirror_sync.state.records import RunRecord, RunState
from mirror_sync.state.tries import Try
from mirror_sync.state.ways_file import Ways


@dataclass(frozen=True, slots=True)
class Inventory:
    """`notes` concern more than one job. `unnamed` is remembered and asked for by no job any more. `tended` are the
    last verify and prune of each target, `ways` those by which files came.
    """

    lines: tuple[RepoStatus, ...]
    jobs: tuple[JobLine, ...]
    last_run: RunRecord | None
    unnamed: int = 0
    notes: tuple[str, ...] = ()
    tended: tuple[Tended, ...] = ()
    ways: Ways = Ways()

    @property
    def mirrored(self) -> int:
        """How many of the lines are published here."""
        return sum(line.state.mirrored for line in self.lines)

    @property
    def complete(self) -> bool:
        """Whether all are."""
        return self.mirrored == len(self.lines)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known here. `runs`: newest first; `places`: where each job publishes now.

    `paused`: the jobs that a person has paused, and until when; None for until they are resumed. `tries`: what the
    daemon runs again before the next time of its job.
    """

    statuses: Sequence[RepoStatus]
    runs: Sequence[RunRecord]
    places: Mapping[str, str]
    paused: Mapping[str, datetime | None] = field(default_factory=dict)
    tries: Sequence[Try] = ()


def take_inventory(jobs: Sequence[Job], memory: Memory, now: datetime) -> Inventory:
    """A line for all that is asked for, the worst first."""
    lines: list[RepoStatus] = []
    named = 0
    job_lines: list[JobLine] = []
    statuses = still_meant(memory.statuses, jobs, memory.runs)
    for job in jobs:
        mine = [status for status in statuses if status.job == job.name]
        known = [status for status in mine if _asks_for(job, status, mine)]
        named += sum(not one.pattern.is_glob for one in known)
        last = next((run.of(job.name) for run in memory.runs if job.name in run.jobs), None)
        tries = {one.repo: one for one in memory.tries if one.job == job.name and job.name not in memory.paused}
        lines += [_tried_again(_placed(status, memory.places.get(job.name, "")), tries) for status in known]
        job_line = job_line_of(job, last, now)
        if job.name in memory.paused:
            job_line = as_paused(job_line, memory.paused[job.name])
        lines += _never(job, known, _why_never(job, job_line))
        job_lines.append(job_line)
    unnamed = sum(not one.pattern.is_glob for one in statuses) - named
    return Inventory(tuple(_sorted(lines)), tuple(job_lines), next(iter(memory.runs), None), unnamed)


def unread(inventory: Inventory) -> list[RepoStatus]:
    """What the history does not know: a target may publish it all the same."""
    return [line for line in inventory.lines if line.state is RepoState.NEVER]


def with_found(inventory: Inventory, found: Iterable[RepoStatus], notes: Sequence[str]) -> Inventory:
    """The lines of what a target was found to publish in place of those that say `never`."""
    lines = {line.subject: line for line in found}
    filled = {(subject.job, subject.pattern) for subject in lines}
    kept = [
        line
        for line in inventory.lines
        if line.subject not in lines and not (line.state is RepoState.NEVER and _is_filled(line, filled))
    ]
    return replace(inventory, lines=tuple(_sorted([*kept, *lines.values()])), notes=(*inventory.notes, *notes))


def narrowed(inventory: Inventory, pattern: RepoPattern) -> Inventory:
    """Only the lines of the repos that a pattern names."""
    lines = tuple(
        line for line in inventory.lines if line.kind is pattern.kind and fnmatchcase(line.repo, pattern.glob)
    )
    names = {line.job for line in lines}
    jobs = tuple(job for job in inventory.jobs if job.name in names)
    return replace(inventory, lines=lines, jobs=jobs, unnamed=0)


def of_jobs(inventory: Inventory, names: Collection[str]) -> Inventory:
    """Only these jobs, and their lines."""
    lines = tuple(line for line in inventory.lines if line.job in names)
    return replace(inventory, lines=lines, jobs=tuple(job for job in inventory.jobs if job.name in names), unnamed=0)


def _is_filled(line: RepoStatus, filled: Iterable[tuple[str, RepoPattern]]) -> bool:
    """A pattern of which repos were found; that there may be more nobody can know without asking upstream."""
    pattern = line.pattern
    return pattern.is_glob and any(job == line.job and pattern.matches(found.repo) for job, found in filled)


def _sorted(lines: Iterable[RepoStatus]) -> list[RepoStatus]:
    order = {state: number for number, state in enumerate(RepoState)}
    return sorted(lines, key=lambda line: (order[line.state], line.parts))


def _asks_for(job: Job, status: RepoStatus, mine: Iterable[RepoStatus]) -> bool:
    """What could not be expanded has a row, too, which is no longer true when a later run could."""
    pattern = status.pattern
    if not (pattern in job.repos if pattern.is_glob else job.names(pattern.repo)):
        return False
    if status.is_expanded:
        return job.follows(status.revision)
    return not any(_shows_expanded(job, other, status) for other in mine if other.is_expanded)


def _shows_expanded(job: Job, other: RepoStatus, status: RepoStatus) -> bool:
    """Whether a row can only be there since what `status` could not expand was expanded later."""
    pattern, repo = status.pattern, other.pattern.repo
    if (other.last_attempt or "") <= (status.last_attempt or "") or not pattern.matches(repo):
        return False
    if pattern.is_glob:
        return not job.spells_out(repo)
    return any(fnmatchcase(other.revision, wanted) for wanted in status.revisions)


def _placed(status: RepoStatus, place: str) -> RepoStatus:
    """What was published into another target than the job's is not here."""
    if not (status.state.mirrored and status.place and place and status.place != place):
        return status
    reason = f"published into {status.place}; the job's target is another one now, where the next run publishes it"
    return replace(status, state=RepoState.ELSEWHERE, reason=reason)


def _tried_again(line: RepoStatus, tries: Mapping[Repo | None, Try]) -> RepoStatus:
    """A failed line with the moment of its next try; a try of all of the job is one of each of its lines."""
    if line.state is not RepoState.FAILED or not tries:
        return line
    found = tries.get(None) or (None if line.one_repo is None else tries.get(line.one_repo))
    return line if found is None else replace(line, next_try=iso_utc(found.at))


def _never(job: Job, known: Sequence[RepoStatus], why: str) -> Iterator[RepoStatus]:
    """What a job names and nothing is remembered of."""
    seen: dict[RepoPattern, set[str]] = {}
    for status in known:
        seen.setdefault(status.pattern, set()).update(status.revisions)
    repos = [pattern.repo for pattern in seen if not pattern.is_glob] if job.names_globs else []
    for pattern in job.repos:
        glob = pattern.is_glob
        if not (glob or job.takes_all or job.names(pattern.repo)):
            continue  # denied
        names = seen.get(pattern, set())
        if glob and (names or any(map(pattern.matches, repos))):
            continue
        for wanted in (", ".join(job.revisions),) if glob else job.revisions:
            if not any(fnmatchcase(name, wanted) for name in names):
                yield RepoStatus(*Subject.of(job.name, pattern, wanted).parts, RepoState.NEVER, reason=why)


def _why_never(job: Job, line: JobLine) -> str:
    last = line.last_run
    if last is not None and last.state is RunState.RUNNING:
        return "not done yet: a run goes on"
    if last is not None and last.state is RunState.INTERRUPTED:
        return "not known yet: the last run of the job was interrupted before it was done with this"
    if line.paused:
        return f"never looked at, and the job is paused: mirror-sync sync {job.name} does it now"
    if job.schedule is None:
        return f"never looked at, and the job has no schedule: run mirror-sync sync {job.name}"
    return f"never looked at: the daemon runs the job on its schedule; mirror-sync sync {job.name} does it now"
