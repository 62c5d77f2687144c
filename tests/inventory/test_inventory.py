"""The inventory: every gap between jobs.yaml and the mirror is a line that says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mirror_sync.app.inventory import Inventory, Memory, narrowed, take_inventory
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.job.job import Cron, Every, Job, Schedule
from mirror_sync.domain.outcome.report import RepoOutcome, RepoState, RepoStatus
from mirror_sync.domain.repo import Kind, RepoPattern
from mirror_sync.state.records import RunRecord, RunState

NOW = datetime(2026, 1, 2, tzinfo=UTC)
EARLIER, LATER = "2026-01-01T12:00:00Z", "2026-01-01T18:00:00Z"


def job(*repos: str, revisions: tuple[str, ...] = ("main",), schedule: Schedule | None = None) -> Job:
    patterns = tuple(map(RepoPattern.parse, repos))
    return Job("job", patterns, "hub", "disk", revisions, schedule=schedule)


def status(
    repo: str,
    outcome: RepoOutcome = RepoOutcome.UNCHANGED,
    *,
    revision: str = "main",
    code: str = "",
    at: str = EARLIER,
    place: str = "",
    success: bool = True,
) -> RepoStatus:
    state, last_success = RepoState.of(outcome, code, was_published=success), at if success else None
    known = RepoStatus("job", Kind.MODEL, repo, revision, state, outcome, code=code, last_attempt=at, place=place)
    return replace(known, last_success=last_success)


def run(state: RunState, started: str = EARLIER) -> RunRecord:
    return RunRecord("run-1", ("job",), started, None, state)


def inventory(of: Job, *statuses: RepoStatus, runs: tuple[RunRecord, ...] = ()) -> Inventory:
    return take_inventory([of], Memory(statuses, runs, {"job": "file:///mirror"}), NOW)


def states(found: Inventory) -> dict[str, RepoState]:
    return {f"{line.repo}@{line.revision}": line.state for line in found.lines}


def test_a_mirror_is_complete_when_all_that_is_asked_for_is_as_upstream_has_it() -> None:
    found = inventory(job("acme/a", "acme/b"), status("acme/a"), status("acme/b", RepoOutcome.PUBLISHED))
    assert found.complete
    assert found.mirrored == 2


def test_each_kind_of_gap_has_a_word_of_its_own_and_the_worst_comes_first() -> None:
    found = inventory(
        job("acme/a", "acme/b", "acme/c", "acme/d", "acme/e", "acme/f", "acme/g"),
        status("acme/a"),
        status("acme/b", RepoOutcome.REFUSED, code="license"),
        status("acme/c", RepoOutcome.HELD, code="guard"),
        status("acme/d", RepoOutcome.HELD, code="not-found-or-private"),
        status("acme/e", RepoOutcome.FAILED, code="gated"),
        status("acme/f", RepoOutcome.FAILED, code="unreachable"),
    )
    assert list(states(found).values()) == ["failed", "gated", "gone", "held", "refused", "never", "unchanged"]
    assert (found.mirrored, found.complete) == (1, False)


def test_a_repo_that_was_published_into_another_target_is_a_gap() -> None:
    moved = status("acme/a", place="file:///old")
    found = inventory(job("acme/a", "acme/b"), moved, status("acme/b", place="file:///mirror"))
    assert states(found) == {"acme/a@main": "elsewhere", "acme/b@main": "unchanged"}
    assert "file:///old" in found.lines[0].reason


def test_every_revision_counts_by_itself() -> None:
    found = inventory(job("acme/a", revisions=("main", "v1")), status("acme/a"))
    assert states(found) == {"acme/a@v1": "never", "acme/a@main": "unchanged"}


def test_a_pattern_is_a_gap_until_a_repo_of_it_is_known() -> None:
    assert states(inventory(job("acme/*"))) == {"acme/*@main": "never"}
    assert states(inventory(job("acme/*"), status("acme/a"))) == {"acme/a@main": "unchanged"}


def test_a_pattern_that_could_not_be_listed_is_a_gap_until_a_later_run_lists_it() -> None:
    failed = status("acme/*", RepoOutcome.FAILED, revision="*")
    assert states(inventory(job("acme/*"), failed)) == {"acme/*@*": "failed"}
    after = inventory(job("acme/*"), failed, status("acme/a", at=LATER))
    assert states(after) == {"acme/a@main": "unchanged"}


def test_revisions_that_could_not_be_listed_are_one_gap_until_a_later_run_lists_them() -> None:
    failed = status("acme/a", RepoOutcome.FAILED, revision="v*, w*")
    both = job("acme/a", revisions=("main", "v*", "w*"))
    found = inventory(both, status("acme/a", at=LATER), failed)
    assert states(found) == {"acme/a@v*, w*": "failed", "acme/a@main": "unchanged"}, "main needs no list"
    after = inventory(
        both, status("acme/a"), failed, *(status("acme/a", revision=name, at=LATER) for name in ("v1", "w1"))
    )
    assert states(after) == {f"acme/a@{name}": "unchanged" for name in ("main", "v1", "w1")}


def test_what_no_job_names_any_more_is_counted_and_not_asked_for() -> None:
    found = inventory(job("acme/a"), status("acme/a"), status("acme/old"))
    assert (list(states(found)), found.unnamed, found.complete) == (["acme/a@main"], 1, True)


def test_a_repo_that_no_run_came_to_says_what_stopped_the_run() -> None:
    interrupted = inventory(job("acme/a"), runs=(run(RunState.INTERRUPTED),))
    assert "interrupted" in interrupted.lines[0].reason
    assert "a run goes on" in inventory(job("acme/a"), runs=(run(RunState.RUNNING),)).lines[0].reason
    assert "has no schedule" in inventory(job("acme/a")).lines[0].reason
    assert "no schedule" not in inventory(job("acme/a", schedule=Every(timedelta(hours=1)))).lines[0].reason


def test_a_job_that_was_done_before_its_run_was_interrupted_is_not_interrupted() -> None:
    cut = replace(run(RunState.INTERRUPTED), states={"job": RunState.COMPLETE})
    (line,) = inventory(job("acme/a"), runs=(cut,)).jobs
    assert line.last_run is not None
    assert (line.last_run.state, line.notes) == (RunState.COMPLETE, ())


def test_an_interval_counts_from_the_start_of_the_last_run() -> None:
    hourly = job("acme/a", schedule=Every(timedelta(hours=1)))
    (line,) = inventory(hourly, runs=(run(RunState.COMPLETE, "2026-01-01T23:30:00Z"),)).jobs
    assert (line.next_run, line.due, line.notes) == (NOW + timedelta(minutes=30), False, ())


def test_a_job_that_should_have_run_long_ago_is_late() -> None:
    for schedule in (Every(timedelta(hours=1)), Cron("0 * * * *")):
        (line,) = inventory(job("acme/a", schedule=schedule), runs=(run(RunState.COMPLETE),)).jobs
        assert line.due
        assert "does the daemon run?" in line.notes[0]
        (line,) = inventory(job("acme/a", schedule=schedule), runs=(run(RunState.RUNNING),)).jobs
        assert not line.due


def test_a_job_whose_time_has_come_is_due_before_it_is_late() -> None:
    for schedule in (Every(timedelta(hours=1)), Cron("57 * * * *")):
        (line,) = inventory(
            job("acme/a", schedule=schedule), runs=(run(RunState.COMPLETE, "2026-01-01T22:57:00Z"),)
        ).jobs
        assert (line.due, line.notes) == (True, ())


def test_a_crontab_time_is_the_next_one_in_its_zone() -> None:
    daily = job("acme/a", schedule=Cron("0 3 * * *", "Asia/Shanghai"))
    (line,) = inventory(daily).jobs
    assert line.next_run == datetime(2026, 1, 2, 19, tzinfo=UTC)


def test_files_that_a_selection_leaves_out_are_said() -> None:
    part = Job("job", (RepoPattern.parse("acme/a"),), "hub", "disk", selection=Selection(("*.json",)))
    assert inventory(part).jobs[0].notes == ("job job mirrors a part of each repo: include *.json",)


def test_a_pattern_narrows_the_lines_and_the_jobs() -> None:
    found = inventory(job("acme/a", "acme/b", "other/c"), status("acme/a"))
    assert list(states(narrowed(found, RepoPattern.parse("acme/*")))) == ["acme/b@main", "acme/a@main"]
    assert narrowed(found, RepoPattern.parse("dataset:acme/*")).jobs == ()


def test_a_paused_job_is_not_late_and_says_until_when() -> None:
    hourly = job("acme/a", schedule=Every(timedelta(hours=1)))
    until = NOW + timedelta(hours=5)
    for end, next_run in ((None, None), (until, until)):
        memory = Memory((), (run(RunState.COMPLETE),), {}, {"job": end})
        found = take_inventory([hourly], memory, NOW)
        (line,) = found.jobs
        assert (line.paused, line.due, line.next_run) == (True, False, next_run)
        assert line.notes[0].startswith("job job is paused until")
        assert len(line.notes) == 1
        assert "paused" in found.lines[0].reason


def test_a_private_repo_that_was_never_mirrored_is_held_and_not_gone() -> None:
    never = status("acme/a", RepoOutcome.HELD, code="private", success=False)
    turned = status("acme/b", RepoOutcome.HELD, code="private")
    assert states(inventory(job("acme/*"), never, turned)) == {"acme/a@main": "held", "acme/b@main": "gone"}
