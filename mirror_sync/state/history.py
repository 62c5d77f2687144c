"""What became of every repo, kept in SQLite in the state folder: the memory behind `status`.

Everything here can be lost: the bucket is the truth. A file that cannot be read is set aside, and a new one begun.
Of each repo its current state is kept, with the newest reason, and one row for each publication and each change of
outcome or code, not for each run, and of those the newest: the file stays small however often jobs run, and fail. A
reason holds figures, which differ each time, and is no change.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from mirror_sync.domain.content.assurance import Assurance
from mirror_sync.domain.content.tombstone import withdrawn_reason
from mirror_sync.domain.freshness import LastCheck
from mirror_sync.domain.outcome.events import (
    Care,
    Event,
    RepoFinished,
    RepoLetGo,
    RepoRestored,
    RepoSigned,
    RepoWithdrawn,
    RunFinished,
    RunStarted,
    Tended,
)
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.outcome.report import WITHDRAWN, RepoOutcome, RepoReport, RepoState, RepoStatus, RunReport
from mirror_sync.domain.repo import Kind
from mirror_sync.domain.subject import Subject
from mirror_sync.domain.times import iso_utc
from mirror_sync.logger import Logger
from mirror_sync.owners import PRIVATE, database_cause
from mirror_sync.state.history_file import copied, open_or_set_aside
from mirror_sync.state.records import ChangeRecord, RunRecord, RunState, Size

RUNS_KEPT = 10_000
_TOGETHER = 256  # repos that had not changed, which are written at once
_LATEST_BY = 1.0  # seconds, by which they are
HISTORY_FILE = "history.db"  # in the state folder
CHANGES_KEPT = 100  # of a revision of a repo in a job
_WRITTEN = RunStarted, RepoFinished, RunFinished, RepoSigned, RepoWithdrawn, RepoRestored, RepoLetGo, Tended
_ASSURANCE = ("signed", "scanned", "scanned_at", "class", "code_files", "code_paths")  # the last columns of a row

# The commit, the files and the last success are those of what is published, also after a failure. A look counts from
# the start of its run: what was asked for when is not told. What was up to date and is interrupted stays published.
# What is known of the trust in a commit stays until more is told of it.
_REMEMBER = """
INSERT INTO repos VALUES (
    :job, :kind, :repo, :revision, :outcome, iif(:success IS NULL, NULL, :commit), :reason,
    iif(:success IS NULL, 0, :files), :at, :success, :code, iif(:success IS NULL, 0, :bytes),
    :committed, :published, :lag_seconds,
    iif(:success IS NULL, NULL, (SELECT started FROM runs WHERE run = :run)), iif(:success IS NULL, '', :place), :held,
    :signed, :scanned, :scanned_at, :class, :code_files, :code_paths
)
ON CONFLICT DO UPDATE SET
    outcome = iif(:stopped AND outcome IN ('published', 'unchanged'), outcome, excluded.outcome),
    code = iif(:stopped AND outcome IN ('published', 'unchanged'), code, excluded.code),
    reason = excluded.reason, last_attempt = excluded.last_attempt,
    commit_id = iif(:success IS NULL, commit_id, excluded.commit_id),
    files = iif(:success IS NULL, files, excluded.files),
    bytes = iif(:success IS NULL, bytes, excluded.bytes),
    last_success = ifnull(excluded.last_success, last_success),
    committed = iif(:published IS NULL, committed, excluded.committed),
    published = ifnull(excluded.published, published),
    lag_seconds = iif(:published IS NULL, lag_seconds, excluded.lag_seconds),
    last_look = ifnull(excluded.last_look, last_look),
    place = iif(:success IS NULL, place, excluded.place), held = excluded.held,
    signed = iif(:success IS NULL, signed, iif(commit_id IS :commit, ifnull(:signed, signed), :signed)),
    scanned = iif(:success IS NULL, scanned, iif(commit_id IS :commit, ifnull(:scanned, scanned), :scanned)),
    scanned_at = iif(:success IS NULL, scanned_at,
        iif(commit_id IS :commit, ifnull(:scanned_at, scanned_at), :scanned_at)),
    class = iif(:success IS NULL, class, iif(commit_id IS :commit, ifnull(:class, class), :class)),
    code_files = iif(:success IS NULL, code_files,
        iif(commit_id IS :commit, ifnull(:code_files, code_files), :code_files)),
    code_paths = iif(:success IS NULL, code_paths,
        iif(commit_id IS :commit, ifnull(:code_paths, code_paths), :code_paths))
"""

# The same for what stays as it was, which nearly all repos do on nearly all runs: no news of it, and one statement.
_STAYS = """
UPDATE repos SET
    outcome = :outcome, code = :code, reason = :reason, files = :files, bytes = :bytes, place = :place, held = NULL,
    last_attempt = :at, last_success = :at, last_look = ifnull((SELECT started FROM runs WHERE run = :run), last_look),
    signed = ifnull(:signed, signed), scanned = ifnull(:scanned, scanned), scanned_at = ifnull(:scanned_at, scanned_at),
    class = ifnull(:class, class), code_files = ifnull(:code_files, code_files),
    code_paths = ifnull(:code_paths, code_paths)
WHERE job = :job AND kind = :kind AND repo = :repo AND revision = :revision
    AND commit_id IS :commit AND outcome IN ('published', 'unchanged')
"""

_CHANGED = """
INSERT INTO changes VALUES (:job, :kind, :repo, :revision, :at, :run, :outcome, :commit, :reason, :files,
    :fetched_files, :fetched_bytes, :reused_files, :reused_bytes, :seconds, :code, :committed, :published, :lag_seconds)
"""

_OUTDATED = """
DELETE FROM changes WHERE rowid IN (
    SELECT rowid FROM changes WHERE job = :job AND kind = :kind AND repo = :repo AND revision = :revision
    ORDER BY rowid DESC LIMIT -1 OFFSET :kept
)
"""

_LATEST = """
SELECT job, kind, repo, revision, outcome, commit_id, reason, code, files, bytes, last_attempt, last_success,
    committed, published, lag_seconds, held, place, signed, scanned, scanned_at, class, code_files, code_paths
FROM repos ORDER BY job, kind, repo, revision
"""

_FOUND = "SELECT job, kind, repo, revision, outcome, code, reason FROM repos"

_CHANGES = """
SELECT job, kind, repo, revision, outcome, at, run, commit_id, reason, code, files, fetched_files, fetched_bytes,
    reused_files, reused_bytes, seconds, committed, published, lag_seconds
FROM changes WHERE kind = ? AND repo = ? ORDER BY at DESC, rowid DESC LIMIT ?
"""

_HAPPENED = """
SELECT job, kind, repo, revision, outcome, at, run, commit_id, reason, code, files, fetched_files, fetched_bytes,
    reused_files, reused_bytes, seconds, committed, published, lag_seconds
FROM changes WHERE at >= ? ORDER BY at DESC, rowid DESC LIMIT ?
"""

_RUNS = """
SELECT run, jobs, started, finished, state, states, asked, times FROM runs
WHERE started <= ? ORDER BY started DESC, rowid DESC LIMIT ?
"""

_DAYS = "SELECT day, repos, files, bytes FROM days WHERE place = ? AND day <= ? ORDER BY day"

_log = Logger()


def _utc_now() -> str:
    return iso_utc(datetime.now(UTC))


class History:
    """An observer that remembers runs and outcomes. Safe for many threads and several processes.

    Opening raises OSError when the file can be neither read nor made. Once open, a fault of the disk costs a warning
    and a gap in the history, never a run. That a repo is as it was is written within a second of the next event, or
    with what comes next; a kill may cost it. `places` says of each job where it publishes, `targets` what that is
    called in jobs.yaml. `reading`: nothing is written.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], str] = _utc_now,
        places: Mapping[str, str] | None = None,
        *,
        targets: Mapping[str, str] | None = None,
        reading: bool = False,
    ) -> None:
        self._path, self._now, self._places, self._reading = path, now, places or {}, reading
        self._targets = targets or {}
        self._lock = threading.RLock()
        self._waiting: list[Callable[[], object]] = []
        self._since = 0.0  # when the first of them came
        if reading:
            self._connection = copied(path)
            return
        path.parent.mkdir(PRIVATE, parents=True, exist_ok=True)
        self._connection = open_or_set_aside(path)

    @staticmethod
    def hears(kind: type[Event]) -> bool:
        """Whether events of a class are written down."""
        return issubclass(kind, _WRITTEN)

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._write(lambda: self._start(event))
            case RepoFinished() if event.report.outcome is RepoOutcome.UNCHANGED:
                self._write_soon(partial(self._remember, event.run, event.report, self._now()))
            case RepoFinished():
                self._write(lambda: self._remember(event.run, event.report, self._now()))
            case RunFinished():
                self._write(lambda: self._finish(event.report))
            case RepoSigned():
                self._write(lambda: self._sign(event))
            case RepoWithdrawn():
                self._write(lambda: self._take_down(event))
            case RepoLetGo():
                self._write(lambda: self._let_go(event))
            case RepoRestored():
                self._write(lambda: self._restore(event))
            case Tended():
                row = (event.target, event.care, event.at, event.faults)
                query = "INSERT OR REPLACE INTO tended VALUES (?, ?, ?, ?)"
                self._write(lambda: self._connection.execute(query, row))
            case _:
                self._write_in_time()

    def latest(self) -> tuple[RepoStatus, ...]:
        """The state of every repo that any job ever named, by job and name. OSError when the file cannot be read."""
        rows = self._read(_LATEST)
        return tuple(map(_status, rows))

    def found(self) -> Iterator[tuple[Subject, RepoOutcome, str, str]]:
        """What every repo came to last, with its code and its reason, and no more of it. OSError as of `latest`."""
        for job, kind, repo, revision, outcome, code, reason in self._read(_FOUND):
            yield Subject(job, Kind(kind), repo, revision), RepoOutcome(outcome), code, reason

    def last_check(self, subject: Subject) -> LastCheck | None:
        """The last check of it that a report was told of; None when it is not known."""
        query = "SELECT last_look, commit_id FROM repos WHERE job = ? AND kind = ? AND repo = ? AND revision = ?"
        try:
            rows = self._read(query, *subject.parts)
        except OSError:  # as with all that is written: a gap, and no end to a run
            return None
        return next((LastCheck(at, commit) for at, commit in rows if at and commit), None)

    def runs(self, limit: int = 100) -> tuple[RunRecord, ...]:
        """The newest runs, newest first; one whose process is gone was interrupted.

        One that began after tomorrow had a wrong clock: as the newest for ever it would hide all that ran since.
        """
        self._write(self._bury_the_dead)
        rows = self._read(_RUNS, self._tomorrow(), limit)
        return tuple(
            RunRecord(
                run, _names(jobs), started, finished, RunState(state), _states(states), _names(asked), _times(times)
            )
            for run, jobs, started, finished, state, states, asked, times in rows
        )

    def changes(self, kind: Kind, repo: str, limit: int = 1000) -> tuple[ChangeRecord, ...]:
        """What became of a repo in every job, newest first. OSError when the file cannot be read."""
        return tuple(map(_change, self._read(_CHANGES, kind, repo, limit)))

    def changes_since(self, at: str, limit: int) -> tuple[ChangeRecord, ...]:
        """What became of all repos from a time on, ISO 8601 in UTC, newest first. OSError as above."""
        return tuple(map(_change, self._read(_HAPPENED, at, limit)))

    def measure(self, place: str, size: Size) -> None:
        """Remember how much a place publishes on a day; the last word of a day stands."""
        row = (place, size.day, size.repos, size.files, size.bytes)
        self._write(lambda: self._connection.execute("INSERT OR REPLACE INTO days VALUES (?, ?, ?, ?, ?)", row))

    def growth(self, place: str) -> tuple[Size, ...]:
        """The days of a place up to tomorrow, the oldest first. OSError when the file cannot be read."""
        return tuple(Size(*row) for row in self._read(_DAYS, place, self._tomorrow()[:10]))

    def tended(self) -> tuple[Tended, ...]:
        """The last time that each care was taken of each target. OSError when the file cannot be read."""
        rows = self._read("SELECT target, care, at, faults FROM tended ORDER BY target, care")
        return tuple(Tended(target, Care(care), at, faults) for target, care, at, faults in rows)

    def close(self) -> None:
        """Close the file; nothing may be asked afterwards."""
        self._write_waiting()
        with self._lock:
            self._connection.close()

    def _tomorrow(self) -> str:
        return iso_utc(datetime.fromisoformat(self._now()) + timedelta(days=1))

    def _read(self, query: str, *arguments: object) -> list[Any]:
        self._write_waiting()
        try:
            with self._lock:
                self._look_again()
                return self._connection.execute(query, arguments).fetchall()
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from error

    def _look_again(self) -> None:
        """What is only read may be another process's, and move on."""
        if self._reading:
            self._connection.close()
            self._connection = copied(self._path)
            self._bury_the_dead()

    def _write(self, change: Callable[[], object]) -> None:
        """In the order of what happened: what waits comes first."""
        self._write_waiting()
        self._commit([change])

    def _write_soon(self, change: Callable[[], object]) -> None:
        """With others like it: a transaction for each of many repos that are as they were is most of what they cost."""
        with self._lock:
            self._since = self._since if self._waiting else time.monotonic()
            self._waiting.append(change)
            full = len(self._waiting) >= _TOGETHER
        if full:
            self._write_waiting()
        else:
            self._write_in_time()

    def _write_in_time(self) -> None:
        if self._waiting and time.monotonic() - self._since >= _LATEST_BY:
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Those that one bad row keeps from being written together are written each by itself."""
        with self._lock:  # to the end: whoever reads, or writes what came later, finds them written
            waiting, self._waiting = self._waiting, []
            if waiting and not self._commit(waiting, last=len(waiting) == 1):
                for change in waiting if len(waiting) > 1 else ():
                    self._commit([change])

    def _commit(self, changes: Sequence[Callable[[], object]], *, last: bool = True) -> bool:
        """Whether they were written. `last`: that they were not is told, and they are given up."""
        if self._reading:
            return True
        try:
            with self._lock, self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                for change in changes:
                    change()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:  # a number, or a text, that no column holds
            if last:
                reason = database_cause(str(error), self._path)
                _log.warning("history.not-written", file=str(self._path), reason=reason)
            return False
        return True

    def _start(self, event: RunStarted) -> None:
        self._bury_the_dead()
        jobs = () if event.partial else event.jobs  # when a job ran last is asked of its whole runs
        asked = event.jobs if event.partial else ()
        row = (event.run, json.dumps(jobs), _owner(os.getpid()), event.at, RunState.RUNNING, json.dumps(asked))
        self._connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, NULL, ?, '{}', ?, '{}')", row)
        self._connection.execute(
            "DELETE FROM runs WHERE started < (SELECT started FROM runs ORDER BY started DESC LIMIT 1 OFFSET ?)",
            (RUNS_KEPT - 1,),
        )

    def _bury_the_dead(self) -> None:
        """A run without an end, whose process is gone, was interrupted."""
        query = "SELECT run, owner FROM runs WHERE state = ?"
        for run, owner in self._connection.execute(query, (RunState.RUNNING,)).fetchall():
            if owner != _owner(int(owner.partition(":")[0])):
                self._connection.execute("UPDATE runs SET state = ? WHERE run = ?", (RunState.INTERRUPTED, run))

    def _remember(self, run: str, report: RepoReport, at: str) -> None:
        if report.outcome is RepoOutcome.UNCHANGED and report.published is None and self._stays(run, report, at):
            return
        success = at if report.outcome in (RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED) else None
        row = {
            "run": run, "at": at, "success": success, "stopped": report.outcome is RepoOutcome.INTERRUPTED,
            "job": report.job, "kind": report.kind, "repo": report.repo,
            "revision": report.revision, "outcome": report.outcome, "commit": report.commit, "reason": report.reason,
            "files": report.files, "fetched_files": report.fetched_files, "fetched_bytes": report.fetched_bytes,
            "reused_files": report.reused_files, "reused_bytes": report.reused_bytes, "seconds": report.seconds,
            "code": report.code, "bytes": report.bytes, "committed": report.committed, "published": report.published,
            "lag_seconds": report.lag_seconds, "place": self._places.get(report.job, ""),
            "held": report.commit if report.outcome is RepoOutcome.HELD else None,
            **_columns(report.assurance),
        }  # fmt: skip
        if self._is_news(report):
            self._connection.execute(_CHANGED, row)
            self._connection.execute(_OUTDATED, row | {"kept": CHANGES_KEPT})
        self._connection.execute(_REMEMBER, row)

    def _stays(self, run: str, report: RepoReport, at: str) -> bool:
        """Whether a repo that has not changed was known to be published, at this commit; then that is written."""
        row = {
            "run": run, "at": at, "job": report.job, "kind": report.kind, "repo": report.repo,
            "revision": report.revision, "outcome": report.outcome, "commit": report.commit, "reason": report.reason,
            "code": report.code, "files": report.files, "bytes": report.bytes,
            "place": self._places.get(report.job, ""), **_columns(report.assurance),
        }  # fmt: skip
        return self._connection.execute(_STAYS, row).rowcount == 1

    def _take_down(self, event: RepoWithdrawn) -> None:
        """What the next run of each job would find."""
        reason = withdrawn_reason(event.tombstone.said, event.repo)
        for job, revision in self._rows_of(event):
            parts = job, event.repo.kind, event.repo.id, revision
            self._remember("", RepoReport(*parts, RepoOutcome.HELD, reason=reason, code=WITHDRAWN), self._now())

    def _let_go(self, event: RepoLetGo) -> None:
        for job, revision in self._rows_of(event):
            reason = f"let go of: {event.why}, and the target needed room"
            report = RepoReport(
                job, event.repo.kind, event.repo.id, revision, RepoOutcome.HELD, reason=reason, code=LET_GO
            )
            self._remember("", report, self._now())

    def _restore(self, event: RepoRestored) -> None:
        for job, revision in self._rows_of(event):
            query = "UPDATE repos SET reason = ? WHERE job = ? AND kind = ? AND repo = ? AND revision = ? AND code = ?"
            key = job, event.repo.kind, event.repo.id, revision, WITHDRAWN
            self._connection.execute(query, (f"restored at {event.at}: the next run of its job publishes it", *key))

    def _sign(self, event: RepoSigned) -> None:
        for job, revision in self._rows_of(event):
            key = job, event.repo.kind, event.repo.id, revision
            query = "UPDATE repos SET signed = 1 WHERE job = ? AND kind = ? AND repo = ? AND revision = ?"
            self._connection.execute(f"{query} AND commit_id IS NOT NULL", key)

    def _rows_of(self, event: RepoSigned | RepoWithdrawn | RepoRestored | RepoLetGo) -> list[tuple[str, str]]:
        """Jobs and revisions: of another spelling, or a name of long ago, the next run says it."""
        query = "SELECT job, revision FROM repos WHERE kind = ? AND repo = ?"
        rows = self._connection.execute(query, (event.repo.kind, event.repo.id)).fetchall()
        return [(job, revision) for job, revision in rows if self._targets.get(job) == event.target]

    def _is_news(self, report: RepoReport) -> bool:
        query = "SELECT outcome, code, held FROM repos WHERE job = ? AND kind = ? AND repo = ? AND revision = ?"
        key = report.parts
        before = self._connection.execute(query, key).fetchone()
        if before is None or report.outcome is RepoOutcome.PUBLISHED:
            return True
        still_good = before[0] in (RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED)
        if report.outcome is RepoOutcome.UNCHANGED and still_good:
            return False
        held = report.commit if report.outcome is RepoOutcome.HELD else None
        return bool(before != (report.outcome, report.code, held))

    def _finish(self, report: RunReport) -> None:
        state = RunState.COMPLETE if report.ok else RunState.FAILED
        failed = {repo.job for repo in report.repos if repo.failed}
        states = {job: RunState.FAILED if job in failed else RunState.COMPLETE for job in report.done}
        ended = RunState.INTERRUPTED if report.interrupted else state
        self._connection.execute(
            "UPDATE runs SET finished = ?, state = ?, states = ?, times = ? WHERE run = ?",
            (report.finished, ended, json.dumps(states), json.dumps(dict(report.times)), report.run),
        )


def _status(row: Sequence[Any]) -> RepoStatus:
    """Of a row of _LATEST."""
    job, kind, repo, revision, outcome, _, _, code, _, _, _, success, *_ = row
    state = RepoState.of(RepoOutcome(outcome), code, was_published=success is not None)
    assurance = _assurance(row[-len(_ASSURANCE) :])
    known = *row[5 : -len(_ASSURANCE)], assurance
    return RepoStatus(job, Kind(kind), repo, revision, state, RepoOutcome(outcome), *known)


def _change(row: Sequence[Any]) -> ChangeRecord:
    """Of a row of _CHANGES, or of _HAPPENED."""
    job, kind, repo, revision, outcome, *rest = row
    return ChangeRecord(job, Kind(kind), repo, revision, RepoOutcome(outcome), *rest)


def _columns(assurance: Assurance) -> dict[str, Any]:
    """By the names of _ASSURANCE."""
    known = assurance
    paths = None if known.code_files is None else json.dumps(known.code_paths) if known.code_paths else "[]"
    values = known.signed, known.scanned, known.scanned_at, known.worst, known.code_files, paths
    return dict(zip(_ASSURANCE, values, strict=True))


def _assurance(row: Sequence[Any]) -> Assurance:
    """Of the columns of _ASSURANCE."""
    signed, scanned, at, worst, files, paths = row
    flags = None if signed is None else bool(signed), None if scanned is None else bool(scanned)
    return Assurance(*flags, at, worst, files, tuple(json.loads(paths)) if paths and paths != "[]" else ())


def _names(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _times(text: str) -> dict[str, tuple[str, str]]:
    return {job: (began, ended) for job, (began, ended) in json.loads(text).items()}


def _states(text: str) -> dict[str, RunState]:
    return {job: RunState(state) for job, state in json.loads(text).items()}


def _owner(pid: int) -> str:
    """A process by its id and its start, since ids come again; `pid:` alone when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"{pid}:" if pid != os.getpid() else f"{pid}:?"
    # proc(5): the name in parentheses may hold spaces; starttime is field 22
    return f"{pid}:{stat.rpartition(')')[2].split()[19]}"
