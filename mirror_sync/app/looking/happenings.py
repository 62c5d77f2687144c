"""`events`: what happened here, as the history has it: runs, what changed of repos, the last care of each target."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mirror_sync.domain.outcome.events import Care, Tended
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.repo import Kind, RepoPattern
from mirror_sync.domain.times import iso_utc
from mirror_sync.observe.figures import counted, in_bytes, in_time
from mirror_sync.owners import is_there
from mirror_sync.state.history import RUNS_KEPT, History
from mirror_sync.state.records import ChangeRecord, RunRecord, RunState

MOST = 10_000  # changes of repos that are shown: the newest
ABOUT = 34  # the column of a happening's text where what it is about begins
_BACK = timedelta(seconds=10)  # what happened so long before the newest that was seen may have been written later
_CARES = {Care.VERIFY: "verified", Care.PRUNE: "pruned"}


@dataclass(frozen=True, slots=True)
class Happening:
    """`at` is ISO 8601 in UTC, `what` a word: begun, ended, verified, pruned, rescanned, or an outcome of a repo.

    `about` is a repo and its revision, a target, or the jobs of a run; `job` is empty where it was of several.
    """

    at: str
    what: str
    about: str
    job: str = ""
    said: str = ""
    run: str = ""
    commit: str = ""

    def __str__(self) -> str:
        """2026-11-30 03:00:12  failed       acme/one@main (good): the hub does not answer."""
        when = self.at.replace("T", " ").removesuffix("Z")
        job = f" ({self.job})" if self.job and self.job != self.about else ""
        return f"{when}  {self.what:<11}  {self.about}{job}{f': {self.said}' if self.said else ''}"

    def encode(self) -> dict[str, Any]:
        """An entry of `events --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class HappeningFilter:
    """`repo`, a pattern: only what became of these; `jobs` empty: of all."""

    repo: RepoPattern | None = None
    jobs: frozenset[str] = frozenset()

    def means(self, kind: Kind, repo: str) -> bool:
        """Whether a repo is asked for."""
        return self.repo is None or (kind is self.repo.kind and fnmatchcase(repo, self.repo.glob))

    def takes(self, change: ChangeRecord) -> bool:
        """Whether a change is."""
        return self.means(change.kind, change.repo) and (not self.jobs or change.job in self.jobs)

    def takes_jobs(self, jobs: Collection[str]) -> bool:
        """Whether something of these jobs, and of no single repo, is."""
        return self.repo is None and (not self.jobs or not self.jobs.isdisjoint(jobs))


def happenings(history: History, since: datetime, wanted: HappeningFilter) -> list[Happening]:
    """All from then on, the oldest first. OSError when the history cannot be read."""
    begin = iso_utc(since)
    found = [_of_repo(one) for one in history.changes_since(begin, MOST) if wanted.takes(one)]
    found.reverse()
    runs = [run for run in history.runs(RUNS_KEPT) if (run.finished or run.started) >= begin]
    for run in reversed(runs):
        if wanted.takes_jobs((*run.jobs, *run.asked)):
            found += [one for one in _of_run(run) if one.at >= begin]
    if wanted.repo is None and not wanted.jobs:
        found += [_of_target(each) for each in history.tended() if each.at >= begin]
    return sorted(found, key=lambda one: (one.at, _ORDER.get(one.what, 1)))


_ORDER = {"begun": 0, "ended": 2}  # of what happened in the same second


def following(
    history: History, path: Path, since: datetime, wanted: HappeningFilter, wait: Callable[[], bool]
) -> Iterator[list[Happening]]:
    """What happened, and then what happens, each once, whenever the history has something new; until `wait`, which is
    called between two looks, gives True. OSError.
    """
    seen: set[Happening] = set()
    stamp: tuple[object, ...] | None = None
    while True:
        before, stamp = stamp, _stamp(path)
        if stamp != before:
            found = [one for one in happenings(history, since, wanted) if one not in seen]
            if found:
                newest = max(since, max(datetime.fromisoformat(one.at) for one in found) - _BACK)
                since = min(newest, datetime.now(UTC))
                kept = iso_utc(since)
                seen = {one for one in (*seen, *found) if one.at >= kept}
                yield found
        if wait():
            return


def _stamp(path: Path) -> tuple[object, ...]:
    """What changes when somebody writes the history: SQLite's file and its journal."""
    files = (path, path.with_name(f"{path.name}-wal"))
    found = [file.stat() if is_there(file) else None for file in files]
    return tuple(None if one is None else (one.st_ino, one.st_mtime_ns, one.st_size) for one in found)


def _of_repo(change: ChangeRecord) -> Happening:
    said = change.reason
    if change.outcome is RepoOutcome.PUBLISHED:
        came = f"{counted(change.fetched_files, 'file')}, {in_bytes(change.fetched_bytes)} fetched"
        lag = "" if change.lag_seconds is None else f"; {in_time(change.lag_seconds)} after upstream"
        said = f"{(change.commit or '')[:8]}, {came} in {in_time(change.seconds)}{lag}"
    return Happening(change.at, change.outcome, change.spoken, change.job, said, change.run, change.commit or "")


def _of_run(run: RunRecord) -> Iterator[Happening]:
    jobs = ", ".join(run.jobs) or f"single repos of {', '.join(run.asked)}"
    job = run.jobs[0] if len(run.jobs) == 1 else ""
    yield Happening(run.started, "begun", jobs, job, "", run.run)
    if run.finished is not None:
        took = datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)
        failed = ", ".join(name for name, state in run.states.items() if state is RunState.FAILED)
        which = f" of {failed}" if failed and len(run.jobs) > 1 else ""
        worst = "something failed" if run.state is RunState.FAILED else str(run.state)
        yield Happening(
            run.finished, "ended", jobs, job, f"{worst}{which}, after {in_time(took.total_seconds())}", run.run
        )


def _of_target(tended: Tended) -> Happening:
    wrong = {Care.VERIFY: "blob wrong or not readable", Care.PRUNE: "thing that needs a person"}
    some = {Care.VERIFY: "blobs wrong or not readable", Care.PRUNE: "things that need a person"}
    thing, things = wrong.get(tended.care, "snapshot not clean"), some.get(tended.care, "snapshots not clean")
    said = counted(tended.faults, thing, things) if tended.faults else "nothing wrong"
    return Happening(tended.at, _CARES.get(tended.care, "rescanned"), f"target {tended.target}", "", said)
