"""The daemon keeps to the hours of its jobs."""

from __future__ import annotations

import signal
import threading
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.daemon.requests import RequestState
from mirror_sync.daemon.runs import Runs
from mirror_sync.domain.audit_record import BY_DAEMON, Actor, ActorKind
from mirror_sync.domain.repo import Repo
from mirror_sync.wiring.program import Mirror
from tests.daemon.before import Before
from tests.daemon.living import Manager, living, write_jobs
from tests.daemon.test_control import states
from tests.waiting import PATIENCE, until

ONE = Repo.parse("acme/one")
ALICE = Actor(ActorKind.USER, "alice@here")


def hours(start: timedelta, stop: timedelta) -> str:
    """From one time to another, counted from now."""
    now = datetime.now(UTC)
    return f"{now + start:%H:%M}-{now + stop:%H:%M}"


CLOSED = hours(timedelta(hours=2), timedelta(hours=3))
OPEN = hours(timedelta(hours=-1), timedelta(hours=2))


def test_a_job_outside_of_its_hours_waits_and_a_trigger_does_not(tmp_path: Path) -> None:
    path = write_jobs(
        tmp_path, f"name: night, schedule: {{every: 1h, only: '{CLOSED}'}}", "name: day, schedule: {every: 1h}"
    )
    manager = Manager(str(tmp_path / "notify"))
    with living(["-m", "tests.daemon.slow", str(path), "polite"], tmp_path, NOTIFY_SOCKET=manager.address) as daemon:
        manager.until("READY")
        assert daemon.line() == "sync day", "the job before it waits"
        assert states(tmp_path, "night") == {"night": RequestState.STARTED}
        assert daemon.line() == "sync night"
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    manager.close()


class Noting(Mirror):
    """Says when it would have to end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.ends: list[datetime | None] = []
        self.bring = self.sync
        self.sync = Before(self.sync, self.ends.append)


def runs_of(folder: Path, only: str) -> tuple[Runs, Noting]:
    settings = load(write_jobs(folder, f"name: night, schedule: {{every: 1h, only: '{only}'}}"), {})
    mirror, runs = Noting(settings), Runs(threading.Event(), lambda event: None, lambda: None)
    runs.take(settings, mirror)
    return runs, mirror


def test_a_run_that_is_due_has_to_end_with_its_hours(tmp_path: Path) -> None:
    runs, mirror = runs_of(tmp_path, OPEN)
    runs.due("night")
    (end,) = mirror.ends
    assert end is not None
    assert f"{end:%H:%M}" == OPEN.partition("-")[2]
    assert [status.outcome for status in mirror.status()] == ["published"]
    assert runs.end(60)


def test_what_nobody_ordered_has_to_end_with_the_hours_of_its_job_as_a_run_that_is_due(tmp_path: Path) -> None:
    runs, mirror = runs_of(tmp_path, OPEN)
    assert runs.again("night", [ONE])
    until(lambda: len(mirror.ends) == 1 and not runs.names())
    assert [begun.state for begun in runs.hint(ONE)] == [RequestState.STARTED]
    until(lambda: len(mirror.ends) == 2 and not runs.names())
    assert [f"{end:%H:%M}" for end in mirror.ends if end] == [OPEN.partition("-")[2]] * 2
    assert runs.end(60)


def test_what_a_run_has_needed_is_given_back_when_it_ends(tmp_path: Path) -> None:
    runs, mirror = runs_of(tmp_path, OPEN)

    class Held:
        """In a circle, so that a collection alone finds it."""

    def hold(_: object) -> None:
        held = Held()
        held.__dict__["itself"] = held
        left.append(weakref.ref(held))

    left: list[weakref.ref[Held]] = []
    mirror.sync = Before(mirror.sync, hold)
    runs.due("night")
    assert [one() for one in left] == [None]
    assert runs.end(60)


@pytest.mark.parametrize("name", ["night", "acme/one"])
def test_what_somebody_ordered_goes_on_after_the_hours_of_its_job(name: str, tmp_path: Path) -> None:
    runs, mirror = runs_of(tmp_path, OPEN)
    assert [begun.state for begun in runs.ask(name, ALICE)] == [RequestState.STARTED]
    until(lambda: bool(mirror.ends) and not runs.names())
    assert mirror.ends == [None]
    assert runs.end(60)


class Lasting(Noting):
    """Its runs go on until they may end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.may_end = threading.Event()
        self.sync = Before(self.sync, lambda until: self.may_end.wait(PATIENCE))


@pytest.mark.parametrize("order", [False, True], ids=["nobody", "somebody"])
def test_a_try_whose_turn_comes_after_the_hours_waits_for_the_next_ones_unless_somebody_ordered_the_same(
    order: bool, tmp_path: Path
) -> None:
    came: list[tuple[bool, bool]] = []
    first = Lasting(load(write_jobs(tmp_path, f"name: night, schedule: {{every: 1h, only: '{OPEN}'}}"), {}))
    then = Noting(load(write_jobs(tmp_path, f"name: night, schedule: {{every: 1h, only: '{CLOSED}'}}"), {}))
    runs = Runs(
        threading.Event(),
        lambda event: None,
        lambda: None,
        lambda job, repos, it: came.append((repos == {ONE}, it is None)),
    )
    runs.take(first.settings, first)
    assert runs.again("night", [ONE])
    until(lambda: bool(runs.names()))
    assert runs.again("night", [ONE])
    assert [begun.state for begun in (runs.ask_repo(ONE, ALICE) if order else ())] == [RequestState.MERGED] * order
    runs.take(then.settings, then)  # its hours have ended meanwhile
    first.may_end.set()
    until(lambda: len(came) == 2 and not runs.names())
    assert came == [(True, False), (True, not order)]
    assert (len(first.ends), then.ends) == (1, [None] * order)
    assert runs.end(60)


def test_a_time_that_comes_late_outside_of_the_hours_waits_for_the_next_ones(tmp_path: Path) -> None:
    runs, mirror = runs_of(tmp_path, CLOSED)
    runs.due("night")
    assert mirror.ends == []
    assert runs.end(0)


def test_a_webhook_starts_nothing_outside_of_the_hours(tmp_path: Path) -> None:
    runs, mirror = runs_of(tmp_path, CLOSED)
    assert [begun.state for begun in runs.hint(ONE)] == [RequestState.CLOSED]
    assert runs.hint(ONE, ["other-branch"]) == ()
    assert (mirror.ends, runs.end(0)) == ([], True)


def test_a_run_is_stopped_at_its_time_and_what_is_left_is_brought_by_the_next(tmp_path: Path) -> None:
    _, mirror = runs_of(tmp_path, OPEN)
    report = mirror.bring(BY_DAEMON, ["night"], until=datetime.now(UTC))
    assert (report.interrupted, report.repos, mirror.stop.is_set()) == (True, (), False)
    assert [repo.outcome for repo in mirror.bring(BY_DAEMON, ["night"]).repos] == ["published"]
    mirror.close()


def test_the_end_of_a_run_is_seen_by_who_waits_in_a_source_and_by_nobody_else(tmp_path: Path) -> None:
    """A pause of the bandwidth lasts for hours: only the end of its own run ends the wait for it."""
    pause = f"bandwidth: {{limit: 0, windows: [{{hours: '{CLOSED}', limit: 1MB/s}}], timezone: UTC}}"
    mirror = Noting(load(write_jobs(tmp_path, f"name: night, schedule: {{every: 1h}}, {pause}"), {}))
    last = threading.Timer(30, mirror.stop.set)
    last.start()
    report = mirror.bring(BY_DAEMON, ["night"], until=datetime.now(UTC) + timedelta(seconds=1))
    last.cancel()
    assert (report.interrupted, report.left, mirror.stop.is_set()) == (True, 1, False)
    mirror.close()
