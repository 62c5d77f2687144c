"""A paused job is started by nobody, whatever the file of the pauses looks like."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror_sync.daemon.requests import RequestState
from mirror_sync.state.pauses import FILE, Pauses, pause_lines
from tests.daemon.living import Manager, living, write_jobs
from tests.daemon.test_control import states

HOURLY = "name: hourly, schedule: {every: 1h}"
DAILY = "name: daily, schedule: {every: 1d}"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_pause_survives_and_ends_by_time_or_by_a_person(tmp_path: Path) -> None:
    now = NOW
    pauses = Pauses(tmp_path / "state", lambda: now)
    assert pauses.all() == {}
    pauses.pause("a", NOW + timedelta(hours=2))
    pauses.pause("b", None)
    again = Pauses(tmp_path / "state", lambda: now)
    assert again.all() == {"a": NOW + timedelta(hours=2), "b": None}
    assert list(pause_lines(again.all())) == [
        "job a is paused until 2026-01-01 02:00 UTC",
        "job b is paused until mirror-sync resume",
    ]
    now += timedelta(hours=2)
    assert again.all() == {"b": None}
    assert [again.resume("a"), again.resume("b"), again.resume("b")] == [False, True, False]
    assert again.all() == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": "soon"}', '{"a": 3}', '{"a": "2026-01-01"}'])
def test_a_file_that_cannot_be_read_pauses_nothing_and_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    pauses = Pauses(tmp_path)
    assert pauses.all() == {}
    pauses.pause("a", None)
    assert pauses.all() == {"a": None}


def test_pauses_of_several_writers_are_all_kept(tmp_path: Path) -> None:
    writers = [threading.Thread(target=Pauses(tmp_path).pause, args=(str(number), None)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(Pauses(tmp_path).all()) == 8


def test_a_paused_job_is_not_started_by_its_schedule_nor_by_a_trigger(tmp_path: Path) -> None:
    path = write_jobs(tmp_path, HOURLY, DAILY)
    pauses = Pauses(tmp_path / "state")
    pauses.pause("hourly", None)
    manager = Manager(str(tmp_path / "notify"))
    with living(["-m", "tests.daemon.slow", str(path), "polite"], tmp_path, NOTIFY_SOCKET=manager.address) as daemon:
        assert daemon.line() == "sync daily"
        daemon.until_logged('event=job.not-started job=hourly reason="it is paused"')
        assert states(tmp_path, "hourly") == {"hourly": RequestState.PAUSED}
        assert states(tmp_path, "acme/one") == {"hourly": RequestState.PAUSED, "daily": RequestState.STARTED}
        assert daemon.line() == "sync daily acme/one"
        assert pauses.resume("hourly")
        assert states(tmp_path, "hourly") == {"hourly": RequestState.STARTED}
        assert daemon.line() == "sync hourly"
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    manager.close()
