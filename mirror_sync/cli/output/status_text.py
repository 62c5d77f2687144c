"""`status`: the inventory as a person, or a script, reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from mirror_sync.app.inventory import Inventory
from mirror_sync.app.next_runs import JobLine
from mirror_sync.cli.output.reports import SHORT
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.bounds import plain
from mirror_sync.domain.job.way_gauge import WayPace
from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.outcome.replicas import ReplicaState, ReplicaStatus
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.subject import Subject
from mirror_sync.domain.times import iso_utc
from mirror_sync.observe.figures import age, counted, in_bytes, in_time
from mirror_sync.state.records import ChangeRecord, RunRecord, RunState

_HEADER = ("STATE", "COMMIT", "AGE", "FILES", "BYTES", "LAST RUN", "NEXT RUN", "JOB", "REPO")
_DISPENSABLE = ("FILES", "BYTES", "LAST RUN", "COMMIT", "JOB", "NEXT RUN", "AGE")
_CHANGES_HEADER = ("OUTCOME", "TIME", "COMMIT", "FETCHED", "BYTES", "REUSED", "LAG", "REVISION")
_DISPENSABLE_CHANGES = ("REUSED", "BYTES", "LAG", "FETCHED")
_CHANGES_SHOWN = 30
_CODE_REPOS = 3  # with files that run code, that are named


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines are shown; all are counted. `states` empty: of any state."""

    gaps: bool = False
    states: frozenset[RepoState] = frozenset()

    def of(self, inventory: Inventory) -> tuple[RepoStatus, ...]:
        """The worst first."""
        return tuple(
            line
            for line in inventory.lines
            if not (self.gaps and line.state.mirrored) and (not self.states or line.state in self.states)
        )


EVERYTHING = LineFilter()


def replica_notes(replicas: Sequence[ReplicaStatus], now: datetime) -> Iterator[str]:
    """replica main/far: behind for 2h: 3 snapshots in 1 repo to copy; as of 2026-11-20T08:00:00Z: no answer."""
    for one in replicas:
        told = "no pass of this machine has come to its end" if one.state is ReplicaState.EMPTY else str(one.state)
        if one.behind_since:
            left = (
                f": {counted(one.snapshots, 'snapshot')} in {counted(one.repos, 'repo')} to copy" if one.repos else ""
            )
            told += f" for {in_time(one.seconds_behind(now))}{left}"
        as_of = f"; as of {one.published}" if one.published else ""
        yield f"replica {one.target}/{one.name}: {told}{as_of}{f': {one.reason}' if one.reason else ''}"


def status_text(
    inventory: Inventory,
    page: TextLayout,
    now: datetime,
    wanted: LineFilter = EVERYTHING,
    *,
    replicas: Sequence[ReplicaStatus] = (),
    worst_last: bool = True,
) -> str:
    """`worst_last`: what needs a person stands at the end, where a terminal stays, beside the summary."""
    if not inventory.lines:
        return "jobs.yaml asks for nothing: its jobs name no repos."
    jobs = {job.name: job for job in inventory.jobs}
    lines = wanted.of(inventory)
    if worst_last:  # by names within a state all the same
        worst = {state: number for number, state in enumerate(RepoState)}
        lines = tuple(sorted(lines, key=lambda line: -worst[line.state]))
    rows = [Row(_cells(line, jobs[line.job], now), line.reason) for line in lines]
    parts = [page.table(_HEADER, rows, dispensable=_DISPENSABLE, words=("JOB",))] if rows else ["Nothing of that kind."]
    care = (*_care(inventory, now), *replica_notes(replicas, now))
    told = [*_notes(inventory), *care, *_ways(inventory), *_code(inventory), *_assured(inventory)]
    parts += map(page.sentence, [*told, _summary(inventory, now)])
    return "\n".join(parts)


def status_document(
    inventory: Inventory, now: datetime, replicas: Sequence[ReplicaStatus] = (), wanted: LineFilter = EVERYTHING
) -> dict[str, Any]:
    """The document of `status --json`; the worst first."""
    return {
        "complete": inventory.complete,
        "mirrored": inventory.mirrored,
        "asked_for": len(inventory.lines),
        "unnamed": inventory.unnamed,
        "notes": list(inventory.notes),
        "last_run": None if inventory.last_run is None else asdict(inventory.last_run),
        "tended": [asdict(each) for each in inventory.tended],
        "ways": inventory.ways.encode(),
        "replicas": [one.document(now) for one in replicas],
        "jobs": [_job_document(job) for job in inventory.jobs],
        "repos": [line.encode() for line in wanted.of(inventory)],
    }


def history_text(changes: Sequence[ChangeRecord], page: TextLayout, *, every: bool) -> str:
    """What became of one repo, newest first."""
    shown = changes if every else changes[:_CHANGES_SHOWN]
    if not shown:
        return "No run has looked at it yet."
    table = page.table(_CHANGES_HEADER, map(_change, shown), dispensable=_DISPENSABLE_CHANGES)
    left = len(changes) - len(shown)
    return f"{table}\nand {left:,} older: -v shows all" if left else table


def _cells(line: RepoStatus, job: JobLine, now: datetime) -> tuple[str, ...]:
    published = line.commit is not None
    return (
        line.state,
        (line.commit or "-")[:SHORT],
        age(line.last_success, now),
        f"{line.files:,}" if published else "-",
        in_bytes(line.bytes) if published else "-",
        age(line.last_attempt, now),
        next_run_text(job, now) if line.next_try is None else _next_try(line.next_try, now),
        line.job,
        line.spoken,
    )


def next_run_text(job: JobLine, now: datetime) -> str:
    """in 5m; or runs now, due, paused, by hand, at start."""
    if not job.scheduled:
        return "by hand"
    if job.paused and job.next_run is None:
        return "paused"
    if job.last_run is not None and job.last_run.state is RunState.RUNNING:
        return "runs now"
    if job.due:
        return "due"
    if job.next_run is None:
        return "at start"  # of the daemon
    return f"in {in_time((job.next_run - now).total_seconds())}"


def _next_try(at: str, now: datetime) -> str:
    """Of what failed, which does not wait for the next time of its job."""
    left = (datetime.fromisoformat(at) - now).total_seconds()
    return f"try in {in_time(left)}" if left > 0 else "try is due"


def _notes(inventory: Inventory) -> Iterator[str]:
    by_hand = [job.name for job in inventory.jobs if not job.scheduled]
    if by_hand:
        yield f"without a schedule, by hand only: {', '.join(by_hand)}"
    yield from (note for job in inventory.jobs for note in job.notes)
    if inventory.unnamed:
        yield f"{counted(inventory.unnamed, 'repo')} that no job names any more: remembered, and not shown"
    yield from inventory.notes


def _care(inventory: Inventory, now: datetime) -> Iterator[str]:
    """target disk: verified 3d ago: nothing wrong; pruned 2d ago. A verify of a sample is one, too."""
    known = {(each.target, each.care): each for each in inventory.tended}
    for target in dict.fromkeys(job.target for job in inventory.jobs):
        verified, pruned = known.get((target, Care.VERIFY)), known.get((target, Care.PRUNE))
        told = "never verified: nobody knows whether what is published is whole"
        if verified is not None:
            wrong = f"{counted(verified.faults, 'blob')} wrong or not readable" if verified.faults else "nothing wrong"
            told = f"verified {age(verified.at, now)} ago: {wrong}"
        yield f"target {target}: {told}; {f'pruned {age(pruned.at, now)} ago' if pruned else 'never pruned'}"


def _ways(inventory: Inventory) -> Iterator[str]:
    """job a: of what roads have, too, 1.2 GB came by ms; upstream hub: files come by https://... (80 ms, 42 MB/s)."""
    for job, road in inventory.ways.roads.items():
        came = [f"{in_bytes(count)} by {name or 'its own upstream'}" for name, count in sorted(road.bytes.items())]
        yield f"job {job}: of files that its roads have, too, came since {road.since}: {', '.join(came)}"
    for upstream, paces in inventory.ways.endpoints.items():
        told = [
            f"{address} ({_pace(pace)})" for address, pace in sorted(paces.items(), key=lambda one: not one[1].taken)
        ]
        yield f"upstream {upstream}: files come first by {', then '.join(told)}"


def _pace(pace: WayPace) -> str:
    """first byte after 80 ms, 42 MB/s, 3 of 40 failed."""
    told = [f"first byte after {pace.first_byte * 1000:,.0f} ms"] if pace.first_byte else []
    told += [f"{in_bytes(round(pace.rate))}/s"] if pace.rate else []
    told += [f"{pace.errors:,} of {pace.asked:,} failed"] if pace.errors else []
    return ", ".join(told) or "not measured"


def _code(inventory: Inventory) -> Iterator[str]:
    """2 files of acme/x run code when they are loaded (pickle): a.pt, b.pt."""
    running = [line for line in _published(inventory) if line.assurance.code_files]
    for line in running[:_CODE_REPOS]:
        known = line.assurance
        many = known.code_files or 0
        verb = "runs code when it is" if many == 1 else "run code when they are"
        more = f" and {many - len(known.code_paths):,} more" if many > len(known.code_paths) else ""
        paths = ", ".join(map(plain, known.code_paths))
        yield f"{counted(many, 'file')} of {line.spoken} {verb} loaded ({known.worst}): {paths}{more}"
    if rest := running[_CODE_REPOS:]:
        files = counted(sum(line.assurance.code_files or 0 for line in rest), "file")
        yield f"{files} more that run code, in {counted(len(rest), 'repo')}: status --json names them"


def _assured(inventory: Inventory) -> Iterator[str]:
    """signed: 2 of 3, scanned: 1 of 3; nothing where neither was ever done."""
    lines = _published(inventory)
    done = {"signed": sum(bool(line.assurance.signed) for line in lines)}
    done["scanned"] = sum(bool(line.assurance.scanned) for line in lines)
    if any(done.values()):
        yield ", ".join(f"{word}: {count:,} of {len(lines):,}" for word, count in done.items())


def _published(inventory: Inventory) -> list[RepoStatus]:
    return [line for line in _once(inventory).values() if line.commit is not None]


def _summary(inventory: Inventory, now: datetime) -> str:
    """complete: 1 of 3 repos, 1.2 MB; not: 1 failed, 1 refused. The last run began 3s ago: failed."""
    once = _once(inventory)
    lines = once.values()
    several = len({(one.job, one.pattern) for one in once}) < len(once)
    mirrored = sum(line.state.mirrored for line in lines)
    size = in_bytes(sum(line.bytes for line in lines if line.state.mirrored))
    missing = Counter(line.state for line in lines if not line.state.mirrored)
    listed = ", ".join(f"{missing[state]:,} {state}" for state in RepoState if missing[state])
    what = counted(len(lines), "revision" if several else "repo")
    last = "" if inventory.last_run is None else f" {_last(inventory, inventory.last_run, now)}"
    return f"complete: {mirrored:,} of {what}, {size}{f'; not: {listed}' if listed else ''}.{last}"


def _once(inventory: Inventory) -> dict[Subject, RepoStatus]:
    """By what is asked for, `job` being the target: several jobs may ask for it there, and its worst line counts."""
    targets = {job.name: job.target for job in inventory.jobs}
    lines: dict[Subject, RepoStatus] = {}
    for line in inventory.lines:
        lines.setdefault(replace(line.subject, job=targets[line.job]), line)
    return lines


def _last(inventory: Inventory, run: RunRecord, now: datetime) -> str:
    of = f", of {', '.join(run.jobs)}," if {job.name for job in inventory.jobs} - {*run.jobs} else ""
    if not run.jobs:
        of = f", of single repos of {', '.join(run.asked)}," if run.asked else ", of single repos,"
    if run.state is RunState.RUNNING:
        return f"A run{of} goes on since {age(run.started, now)}."
    return f"The last run{of} began {age(run.started, now)} ago: {run.state}."


def _job_document(job: JobLine) -> dict[str, Any]:
    return asdict(job) | {"next_run": None if job.next_run is None else iso_utc(job.next_run)}


def _change(change: ChangeRecord) -> Row:
    lag = "-" if change.lag_seconds is None else in_time(change.lag_seconds)
    cells = (
        change.outcome,
        change.at.replace("T", " "),
        (change.commit or "-")[:SHORT],
        f"{change.fetched_files:,}",
        in_bytes(change.fetched_bytes),
        f"{change.reused_files:,}",
        lag,
        f"{change.revision} ({change.job})",
    )
    return Row(cells, change.reason)
