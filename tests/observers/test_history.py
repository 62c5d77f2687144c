"""The history: what is known of every repo survives failures, crashes and broken files."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from mirror_sync.domain.content.assurance import Assurance
from mirror_sync.domain.freshness import LastCheck
from mirror_sync.domain.outcome.events import RepoFinished, RepoRestored, RepoWithdrawn, RunFinished, RunStarted
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.state.history import CHANGES_KEPT, History
from mirror_sync.state.history_file import SCHEMA
from mirror_sync.state.records import RunState, Size

START = "2026-01-01T00:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite3"


def ticking() -> Iterator[str]:
    return (f"2026-01-01T00:00:{second:02}Z" for second in count(1))


def opened(path: Path) -> History:
    times = ticking()
    return History(path, now=lambda: next(times))


def outcome(
    result: RepoOutcome, commit: str | None = "c" * 40, reason: str = "", files: int = 3, code: str = ""
) -> RepoFinished:
    report = RepoReport("job", Kind.MODEL, "acme/one", "main", result, commit, reason, code, files)
    return RepoFinished("run-1", report)


SIGNED = Assurance(True, True, START, "pickle", 2, ("a.pt", "b.py"))


def test_what_is_known_of_the_trust_in_a_commit_stays_until_more_is_told_of_it(path: Path) -> None:
    def told(result: RepoOutcome, commit: str, assurance: Assurance | None = None) -> Assurance:
        assurance = assurance or Assurance()
        history(replace(event := outcome(result, commit), report=replace(event.report, assurance=assurance)))
        return history.latest()[0].assurance

    history = opened(path)
    assert told(RepoOutcome.PUBLISHED, "c" * 40, SIGNED) == SIGNED
    assert told(RepoOutcome.UNCHANGED, "c" * 40) == SIGNED, "nothing is told now"
    assert told(RepoOutcome.UNCHANGED, "c" * 40, Assurance(False, True)) == replace(SIGNED, signed=False)
    assert told(RepoOutcome.HELD, "d" * 40) == replace(SIGNED, signed=False), "what was published stays"
    assert told(RepoOutcome.PUBLISHED, "d" * 40) == Assurance(), "of another commit nothing is known"
    none = Assurance(False, False, None, "", 0)
    assert told(RepoOutcome.PUBLISHED, "e" * 40, none) == none
    history.close()
    assert opened(path).latest()[0].assurance == none


def test_what_is_taken_down_is_held_from_that_moment_on_in_the_jobs_of_that_target(path: Path) -> None:
    history = History(path, places={"job": "here"}, targets={"job": "disk"})
    history(outcome(RepoOutcome.PUBLISHED))
    words = Repo(Kind.MODEL, "acme/one"), "Ada", "a leak", START
    history(RepoWithdrawn("elsewhere", *words, 1, 2, 3))
    assert history.latest()[0].outcome == "published"
    history(RepoWithdrawn("disk", *words, 1, 2, 3))
    (status,) = history.latest()
    assert (status.outcome, status.code) == ("held", "withdrawn")
    assert status.reason == "taken down on 2026-01-01 by Ada: a leak; mirror-sync restore acme/one lets it come back"
    assert history.changes(Kind.MODEL, "acme/one")[0].code == "withdrawn"
    history(RepoRestored("disk", *words))
    assert history.latest()[0].reason == f"restored at {START}: the next run of its job publishes it"


def test_a_repo_without_any_run_is_not_known(path: Path) -> None:
    assert opened(path).latest() == ()


def test_a_failure_keeps_what_is_still_published(path: Path) -> None:
    history = opened(path)
    history(outcome(RepoOutcome.PUBLISHED))
    history(outcome(RepoOutcome.FAILED, commit=None, reason="no answer", files=0))
    (status,) = history.latest()
    assert (status.outcome, status.reason) == (RepoOutcome.FAILED, "no answer")
    assert (status.commit, status.files) == ("c" * 40, 3)
    assert (status.last_success, status.last_attempt) == ("2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z")


def test_what_is_published_stays_so_when_its_next_version_is_interrupted(path: Path) -> None:
    history = opened(path)
    history(outcome(RepoOutcome.UNCHANGED))
    history(outcome(RepoOutcome.INTERRUPTED, commit="d" * 40, reason="1 byte is kept", files=0, code="interrupted"))
    (status,) = history.latest()
    assert (status.outcome, status.code, status.reason) == ("unchanged", "", "1 byte is kept")
    assert (status.commit, status.files, status.last_success) == ("c" * 40, 3, "2026-01-01T00:00:01Z")
    assert [change.outcome for change in history.changes(Kind.MODEL, "acme/one")] == ["interrupted", "unchanged"]


def test_what_was_never_published_is_interrupted(path: Path) -> None:
    history = opened(path)
    history(outcome(RepoOutcome.FAILED, reason="no answer", code="unreachable"))
    history(outcome(RepoOutcome.INTERRUPTED, reason="1 byte is kept", code="interrupted"))
    (status,) = history.latest()
    assert (status.outcome, status.code, status.last_success) == ("interrupted", "interrupted", None)


def test_an_unchanged_repo_counts_as_a_success(path: Path) -> None:
    history = opened(path)
    history(outcome(RepoOutcome.FAILED, reason="no answer"))
    history(outcome(RepoOutcome.UNCHANGED))
    (status,) = history.latest()
    assert (status.outcome, status.reason, status.last_success) == ("unchanged", "", "2026-01-01T00:00:02Z")


def test_everything_is_read_back_by_another_process_opening_the_file(path: Path) -> None:
    first = opened(path)
    first(outcome(RepoOutcome.HELD, reason="licence llama3.1 is in licenses.review"))
    assert History(path).latest() == first.latest()


def test_many_runs_without_news_leave_one_change(path: Path) -> None:
    history = opened(path)
    for _ in range(5):
        history(outcome(RepoOutcome.UNCHANGED))
    for _ in range(5):
        history(outcome(RepoOutcome.FAILED, reason="no answer"))
    with sqlite3.connect(path) as connection:
        changes = connection.execute("SELECT outcome FROM changes ORDER BY at").fetchall()
    assert changes == [("unchanged",), ("failed",)]


def rows(path: Path, table: str = "changes") -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_fault_that_stays_is_one_change_however_its_figures_move_and_the_newest_are_shown(path: Path) -> None:
    history = History(path)
    for run in range(40):
        history(outcome(RepoOutcome.FAILED, reason=f"asks us to wait for {run} s", code="rate-limited"))
    assert rows(path) == 1
    assert history.latest()[0].reason == "asks us to wait for 39 s"
    history(outcome(RepoOutcome.FAILED, reason="no answer", code="unreachable"))
    assert [change.code for change in history.changes(Kind.MODEL, "acme/one")] == ["unreachable", "rate-limited"]


def test_of_the_changes_of_a_repo_and_revision_the_newest_are_kept(path: Path) -> None:
    """A state that goes to and fro, and many publications, grow no file without bound; others keep what they have."""
    history = History(path)
    other = outcome(RepoOutcome.PUBLISHED)
    history(replace(other, report=replace(other.report, revision="v1")))
    for run in range(CHANGES_KEPT + 30):
        history(outcome(RepoOutcome.FAILED, code=("unreachable", "rate-limited")[run % 2], reason=str(run)))
    assert rows(path) == CHANGES_KEPT + 1
    kept = [change.reason for change in history.changes(Kind.MODEL, "acme/one") if change.revision == "main"]
    assert kept == [str(run) for run in reversed(range(30, CHANGES_KEPT + 30))]
    assert rows(path, "repos") == 2


@pytest.mark.parametrize(
    ("repos", "interrupted", "state"),
    [
        ((), False, RunState.COMPLETE),
        ((outcome(RepoOutcome.FAILED).report,), False, RunState.FAILED),
        ((), True, RunState.INTERRUPTED),
    ],
)
def test_the_end_of_a_run_says_how_it_went(
    path: Path, repos: tuple[RepoReport, ...], interrupted: bool, state: RunState
) -> None:
    history = opened(path)
    history(RunStarted("run-1", ("a", "b"), START))
    assert [run.state for run in history.runs()] == [RunState.RUNNING]
    history(RunFinished(RunReport("run-1", START, "2026-01-01T00:01:00Z", repos, interrupted)))
    (run,) = history.runs()
    assert (run.jobs, run.finished, run.state) == (("a", "b"), "2026-01-01T00:01:00Z", state)


def test_a_run_of_single_repos_remembers_of_which_jobs_they_are(path: Path) -> None:
    history = opened(path)
    history(RunStarted("run-1", ("a", "b"), START, partial=True))
    history(RunFinished(RunReport("run-1", START, START, (), interrupted=True)))
    (run,) = history.runs()
    assert (run.jobs, run.asked, run.state) == ((), ("a", "b"), RunState.INTERRUPTED)


def test_each_job_of_a_run_has_its_own_times(path: Path) -> None:
    history = opened(path)
    history(RunStarted("run-1", ("a", "b"), START))
    middle, end = "2026-01-01T00:01:00Z", "2026-01-01T00:09:00Z"
    times = {"a": (START, middle), "b": (middle, end)}
    history(RunFinished(RunReport("run-1", START, end, (), done=("a", "b"), times=times)))
    (run,) = history.runs()
    assert [(run.of(job).started, run.of(job).finished) for job in "ab"] == [(START, middle), (middle, end)]


def test_each_job_of_a_run_ends_by_itself(path: Path) -> None:
    history = opened(path)
    jobs = ("job", "fine", "cut short")
    history(RunStarted("run-1", jobs, START))
    assert {history.runs()[0].state_of(job) for job in jobs} == {RunState.RUNNING}
    failed = outcome(RepoOutcome.FAILED).report
    history(RunFinished(RunReport("run-1", START, START, (failed,), interrupted=True, done=("job", "fine"))))
    (run,) = History(path).runs()
    assert [run.of(job).state for job in jobs] == [RunState.FAILED, RunState.COMPLETE, RunState.INTERRUPTED]
    assert run.state is RunState.INTERRUPTED


def test_repos_that_have_not_changed_are_written_together_and_known_at_once(path: Path) -> None:
    """Commits are counted, and no time is: a slow machine may make some more of them."""
    history, other, versions = opened(path), sqlite3.connect(path), set[int]()
    for number in range(512):
        report = replace(outcome(RepoOutcome.UNCHANGED).report, repo=f"acme/{number}")
        history(RepoFinished("run-1", report))
        versions |= {version for (version,) in other.execute("PRAGMA data_version")}
    assert len(versions) < 512 / 8
    other.close()
    assert len(history.latest()) == 512


def test_what_comes_later_is_written_after_what_waits(path: Path) -> None:
    history = opened(path)
    for result in (RepoOutcome.UNCHANGED, RepoOutcome.FAILED, RepoOutcome.UNCHANGED):
        history(outcome(result))
    history.close()
    (status,) = opened(path).latest()
    assert (status.outcome, status.last_attempt) == (RepoOutcome.UNCHANGED, "2026-01-01T00:00:03Z")


def test_one_that_cannot_be_written_takes_none_with_it_of_those_that_wait(path: Path) -> None:
    history = opened(path)
    for name, size in (("one", 1), ("two", 2**70), ("three", 3)):
        report = replace(outcome(RepoOutcome.UNCHANGED).report, repo=f"acme/{name}", bytes=size)
        history(RepoFinished("run-1", report))
    assert {status.repo for status in history.latest()} == {"acme/one", "acme/three"}


def test_many_threads_lose_nothing(path: Path) -> None:
    history = History(path)

    def report(number: int) -> None:
        for step in range(20):
            name = f"acme/r{number}-{step}"
            history(RepoFinished("run-1", RepoReport("job", Kind.DATASET, name, "main", RepoOutcome.PUBLISHED)))

    threads = [threading.Thread(target=report, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history.latest()) == 80


CHILD = """
import sys, time
from pathlib import Path
from mirror_sync.domain.outcome.events import RepoFinished, RunStarted
from mirror_sync.domain.freshness import LastCheck
from mirror_sync.domain.repo import Kind
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.state.history import History
history = History(Path(sys.argv[1]))
history(RunStarted("killed", ("job",), "2026-01-01T00:00:00Z"))
history(RepoFinished("killed", RepoReport("job", Kind.MODEL, "acme/one", "main", RepoOutcome.PUBLISHED)))
print("ready", flush=True)
time.sleep(600)
"""


def test_a_killed_process_loses_no_outcome_and_its_run_is_interrupted_at_the_next_start(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        history = History(path)
        history(RunStarted("beside", ("job",), "2026-01-01T00:00:01Z"))
        beside = {run.run: run.state for run in history.runs()}
        os.kill(child.pid, signal.SIGKILL)
    assert beside == {"killed": RunState.RUNNING, "beside": RunState.RUNNING}
    history = History(path)
    assert [status.repo for status in history.latest()] == ["acme/one"]
    history(RunStarted("next", ("job",), "2026-01-01T00:00:02Z"))
    assert {run.run: run.state for run in history.runs()} == {
        "killed": RunState.INTERRUPTED,
        "beside": RunState.RUNNING,
        "next": RunState.RUNNING,
    }


@pytest.mark.parametrize("body", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_file_is_set_aside_whole_and_a_new_one_begun(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(body)
    history = opened(path)
    history(outcome(RepoOutcome.PUBLISHED))
    assert len(history.latest()) == 1
    assert path.with_name("history.sqlite3.unreadable-1").read_bytes() == body


def test_a_file_of_a_newer_program_is_set_aside_whole(path: Path) -> None:
    opened(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    assert opened(path).latest() == ()
    assert path.with_name("history.sqlite3.unreadable-1").exists()


VERSION_1 = """
CREATE TABLE runs (
    run TEXT PRIMARY KEY, jobs TEXT NOT NULL, owner TEXT NOT NULL, started TEXT NOT NULL,
    finished TEXT, state TEXT NOT NULL
);
CREATE INDEX runs_by_start ON runs (started);
CREATE TABLE repos (
    job TEXT NOT NULL, kind TEXT NOT NULL, repo TEXT NOT NULL, revision TEXT NOT NULL,
    outcome TEXT NOT NULL, commit_id TEXT, reason TEXT NOT NULL, files INTEGER NOT NULL,
    last_attempt TEXT NOT NULL, last_success TEXT,
    PRIMARY KEY (job, kind, repo, revision)
) WITHOUT ROWID;
CREATE TABLE changes (
    job TEXT NOT NULL, kind TEXT NOT NULL, repo TEXT NOT NULL, revision TEXT NOT NULL, at TEXT NOT NULL,
    run TEXT NOT NULL, outcome TEXT NOT NULL, commit_id TEXT, reason TEXT NOT NULL, files INTEGER NOT NULL,
    fetched_files INTEGER NOT NULL, fetched_bytes INTEGER NOT NULL, reused_files INTEGER NOT NULL,
    reused_bytes INTEGER NOT NULL, seconds REAL NOT NULL
);
CREATE INDEX changes_by_repo ON changes (job, kind, repo, revision, at);
INSERT INTO runs VALUES ('run-0', '["job"]', '1:', '2025-01-01T00:00:00Z', '2025-01-01T00:00:01Z', 'failed');
INSERT INTO repos VALUES
    ('job', 'model', 'acme/old', 'main', 'failed', NULL, 'no answer', 0, '2025-01-01T00:00:01Z', NULL);
INSERT INTO changes VALUES
    ('job', 'model', 'acme/old', 'main', '2025-01-01T00:00:01Z', 'run-0', 'failed', NULL, 'no answer',
    0, 0, 0, 0, 0, 0.5);
PRAGMA user_version = 1;
"""


def test_a_file_of_the_version_before_keeps_its_rows_and_learns_codes(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
    history = opened(path)
    (old,) = history.latest()
    assert (old.repo, old.outcome, old.reason, old.code) == ("acme/old", "failed", "no answer", "")
    assert [(run.run, run.state_of("job")) for run in history.runs()] == [("run-0", RunState.FAILED)]
    history(outcome(RepoOutcome.FAILED, reason="no answer", code="unreachable"))
    assert {status.repo: status.code for status in history.latest()} == {"acme/old": "", "acme/one": "unreachable"}
    with sqlite3.connect(path) as connection:
        changes = connection.execute("SELECT repo, code FROM changes ORDER BY at").fetchall()
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    assert changes == [("acme/old", ""), ("acme/one", "unreachable")]
    assert not list(path.parent.glob("*.unreadable-*"))


def test_a_file_of_the_version_before_becomes_as_a_new_one(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
    opened(path).close()
    new = path.with_name("new.sqlite3")
    opened(new).close()
    columns = [
        [
            sqlite3.connect(file).execute(f"PRAGMA table_info({table})").fetchall()
            for table in ("runs", "repos", "changes", "days")
        ]
        for file in (path, new)
    ]
    assert columns[0] == columns[1]


def test_a_code_goes_when_its_reason_does(path: Path) -> None:
    history = opened(path)
    history(outcome(RepoOutcome.FAILED, reason="no answer", code="unreachable"))
    history(outcome(RepoOutcome.UNCHANGED))
    assert [status.code for status in history.latest()] == [""]


def test_a_history_that_can_no_longer_be_written_never_stops_a_run(path: Path) -> None:
    history = opened(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE repos")
    history(outcome(RepoOutcome.PUBLISHED))


def test_a_place_that_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite3").mkdir()
    with pytest.raises(OSError, match="unable to open"):
        History(tmp_path / "history.sqlite3")


def published(commit: str, run: str, lag: float | None = None) -> RepoFinished:
    report = outcome(RepoOutcome.PUBLISHED, commit=commit).report
    at = "2026-01-01T00:00:09Z"
    return RepoFinished(run, replace(report, committed="2025-12-31T00:00:00.000Z", published=at, lag_seconds=lag))


def test_how_fresh_the_last_publication_was_stays_known(path: Path) -> None:
    history = opened(path)
    history(published("c" * 40, "run-1", 12.5))
    history(outcome(RepoOutcome.UNCHANGED))
    history(outcome(RepoOutcome.FAILED, commit=None))
    (status,) = history.latest()
    assert (status.committed, status.published, status.lag_seconds) == (
        "2025-12-31T00:00:00.000Z",
        "2026-01-01T00:00:09Z",
        12.5,
    )
    history(published("d" * 40, "run-2"))
    assert history.latest()[0].lag_seconds is None, "of another publication nobody can say"


def test_the_last_look_is_the_start_of_the_last_run_that_succeeded(path: Path) -> None:
    history = opened(path)
    report = outcome(RepoOutcome.PUBLISHED).report
    assert history.last_check(report.subject) is None
    for run, at, result in (
        ("run-1", "2026-01-01T00:00:00Z", RepoOutcome.PUBLISHED),
        ("run-2", "2026-01-02T00:00:00Z", RepoOutcome.UNCHANGED),
        ("run-3", "2026-01-03T00:00:00Z", RepoOutcome.FAILED),
        ("run-4", "2026-01-04T00:00:00Z", RepoOutcome.HELD),
    ):
        history(RunStarted(run, ("job",), at))
        history(RepoFinished(run, replace(report, outcome=result)))
    assert history.last_check(report.subject) == LastCheck("2026-01-02T00:00:00Z", "c" * 40)
    assert history.last_check(replace(report, revision="v1").subject) is None


def test_a_history_that_can_no_longer_be_read_knows_no_look(path: Path) -> None:
    history = opened(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE repos")
    assert history.last_check(outcome(RepoOutcome.PUBLISHED).report.subject) is None


def test_what_became_of_a_repo_is_read_newest_first_with_the_run_that_did_it(path: Path) -> None:
    history = opened(path)
    history(outcome(RepoOutcome.FAILED, commit=None, reason="no answer"))
    history(outcome(RepoOutcome.PUBLISHED))
    history(
        replace(outcome(RepoOutcome.PUBLISHED), report=replace(outcome(RepoOutcome.PUBLISHED).report, repo="acme/b"))
    )
    changes = history.changes(Kind.MODEL, "acme/one")
    assert [(change.outcome, change.reason) for change in changes] == [("published", ""), ("failed", "no answer")]
    assert {change.run for change in changes} == {"run-1"}
    assert history.changes(Kind.DATASET, "acme/one") == ()


def test_where_a_commit_was_published_is_remembered_also_after_a_failure_elsewhere(path: Path) -> None:
    first = History(path, places={"job": "file:///old"})
    first(outcome(RepoOutcome.PUBLISHED))
    moved = History(path, places={"job": "file:///new"})
    moved(outcome(RepoOutcome.FAILED, commit=None, reason="no answer"))
    assert moved.latest()[0].place == "file:///old"
    moved(outcome(RepoOutcome.PUBLISHED))
    assert moved.latest()[0].place == "file:///new"


def test_runs_and_days_of_a_clock_that_was_years_ahead_are_left_out(path: Path) -> None:
    history = opened(path)
    for run, day in (("wrong", "2099-01-01"), ("right", "2026-01-01")):
        history(RunStarted(run, ("job",), f"{day}T00:00:00Z"))
        history.measure("here", Size(day, 1, 1, 1))
    assert [found.run for found in history.runs()] == ["right"]
    assert [size.day for size in history.growth("here")] == ["2026-01-01"]


@pytest.mark.parametrize("size", [2**63, -(2**63) - 1])
def test_a_number_that_no_column_holds_is_a_gap_and_stops_nothing(path: Path, size: int) -> None:
    history = opened(path)
    history.measure("here", Size("2026-01-01", 1, 1, size))
    assert history.growth("here") == ()
    finished = outcome(RepoOutcome.PUBLISHED)
    history(replace(finished, report=replace(finished.report, bytes=size)))
    assert history.latest() == ()
    history(outcome(RepoOutcome.PUBLISHED, reason="half a character: \ud800"))
    assert history.latest() == ()
    history(finished)
    assert len(history.latest()) == 1


def test_a_repo_that_stays_as_it_was_costs_one_statement_and_keeps_what_is_known_of_it(path: Path) -> None:
    history, said = opened(path), list[str]()
    known = Assurance(True, True, START, "safe", 1, ("a.bin",))
    started = RunStarted("run-1", ("job",), START)
    history(started)
    first = outcome(RepoOutcome.PUBLISHED)
    history(RepoFinished("run-1", replace(first.report, assurance=known)))
    history._connection.set_trace_callback(said.append)
    for _ in range(2):
        history(outcome(RepoOutcome.UNCHANGED, reason="as it was", files=4))
    (now,) = history.latest()
    history._connection.set_trace_callback(None)
    assert [one.split()[0] for one in said if "repos" in one] == ["UPDATE", "UPDATE", "SELECT"]
    assert (now.outcome, now.reason, now.files, now.assurance) == (RepoOutcome.UNCHANGED, "as it was", 4, known)
    assert history.last_check(first.report.subject) == LastCheck(START, "c" * 40)
    assert [one.outcome for one in history.changes(Kind.MODEL, "acme/one")] == [RepoOutcome.PUBLISHED]


def test_an_unchanged_repo_that_had_failed_or_has_another_commit_is_not_one_that_stays(path: Path) -> None:
    history = opened(path)
    history(outcome(RepoOutcome.PUBLISHED))
    history(outcome(RepoOutcome.FAILED, commit=None, reason="no answer"))
    history(outcome(RepoOutcome.UNCHANGED))
    history(outcome(RepoOutcome.UNCHANGED, commit="d" * 40))
    told = [one.outcome for one in history.changes(Kind.MODEL, "acme/one")]
    assert told == [RepoOutcome.UNCHANGED, RepoOutcome.FAILED, RepoOutcome.PUBLISHED]
    assert history.latest()[0].commit == "d" * 40
