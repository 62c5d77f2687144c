"""A lease: one holder at a time, whatever the place answers and the clocks say."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror_sync.daemon.lease import JobMark, Lease, LeaseRecord, Term
from mirror_sync.daemon.timetable import resumed
from mirror_sync.domain.job.job import Cron, Every, Schedule
from mirror_sync.errors import DocumentError, StoreError, StoreUnavailable
from mirror_sync.ports.lease_place import Tagged, WrittenByAnother
from mirror_sync.state.pauses import Pauses

LEASE = 30.0
NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@dataclass
class Place:
    """In memory. `away`: it does not answer; `mute`: it writes, and nobody hears of it."""

    standing: Tagged | None = None
    away: bool = False
    mute: bool = False
    writes: int = 0

    def prove(self) -> None:
        self._answer()

    def read(self) -> Tagged | None:
        self._answer()
        return self.standing

    def write(self, body: bytes, expected: str | None) -> str:
        self._answer()
        if expected != (None if self.standing is None else self.standing.tag):
            raise WrittenByAnother
        self.writes += 1
        self.standing = Tagged(body, str(self.writes))
        if self.mute:
            raise StoreUnavailable("no answer")
        return self.standing.tag

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable("no answer")

    @property
    def record(self) -> LeaseRecord:
        assert self.standing is not None
        return LeaseRecord.decode(self.standing.body)


@dataclass
class Side:
    """A daemon with a clock of its own."""

    place: Place
    folder: Path
    name: str
    now: float = 0.0
    terms: list[Term] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self.pauses = Pauses(self.folder / self.name)
        self.lease = Lease(self.place, LEASE, self.name, self.stop, self.pauses, lambda: self.now)

    def lead(self, term: Term) -> None:
        self.terms.append(term)

    def leave(self, reason: str) -> None:
        self.left.append(reason)

    def step(self, after: float = 0.0) -> None:
        """One step of its thread, so many seconds later by its own clock."""
        self.now += after
        with suppress(StoreError, DocumentError, WrittenByAnother):
            self.lease.step(self)

    @property
    def leads(self) -> bool:
        return self.lease.term is not None


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def one(place: Place, tmp_path: Path) -> Side:
    side = Side(place, tmp_path, "one", now=1000.0)
    side.step()
    assert side.leads
    return side


@pytest.fixture
def two(place: Place, one: Side, tmp_path: Path) -> Side:
    """Its clock is years ahead."""
    side = Side(place, tmp_path, "two", now=1e8)
    side.step()
    return side


def test_it_is_taken_a_whole_lease_after_the_last_change_that_was_seen(one: Side, two: Side) -> None:
    two.step(29)
    one.step(10)
    two.step(2)  # the first look after the change: only from here on it is old
    two.step(29)
    assert (two.leads, two.lease.standing.holder) == (False, "one")
    two.step(2)
    assert two.leads


def test_a_holder_that_cannot_write_gives_up_before_another_may_begin(place: Place, one: Side, two: Side) -> None:
    (term,) = one.terms
    place.away = True
    one.step(24)
    assert one.leads
    one.now += 2
    assert term.is_set()  # by the clock, before any thread has looked
    one.step()
    assert len(one.left) == 1
    two.step(100)
    assert not two.leads
    place.away = False
    two.step()
    assert two.leads


def test_a_holder_whose_clock_stood_still_finds_out_as_it_begins_something(place: Place, one: Side, two: Side) -> None:
    two.step(LEASE)
    assert two.leads
    assert one.leads  # as far as it can know: it was suspended, and its clock, too
    assert not one.lease.begin("job")
    assert not one.leads
    assert place.record.name == "two"
    assert "job" not in place.record.jobs


def test_what_is_over_stays_over() -> None:
    now = [0.0]
    term = Term(threading.Event(), 10.0, lambda: now[0])
    term.extend(20.0)
    now[0] = 15.0
    assert not term.is_set()
    now[0] = 25.0
    assert term.wait()
    term.extend(100.0)
    assert term.is_set()


def test_a_write_whose_answer_was_lost_was_ones_own(place: Place, one: Side) -> None:
    place.mute = True
    one.step(10)
    place.mute = False
    one.step(10)
    one.step(10)
    assert (one.leads, one.left, place.writes) == (True, [], 4)


def test_a_lease_that_is_given_back_is_taken_at_once_and_only_where_nothing_goes_on(one: Side, two: Side) -> None:
    one.stop.set()
    one.lease.end(clean=False)
    two.step(1)
    assert not two.leads
    two.step(LEASE)
    two.stop.set()
    two.lease.end(clean=True)
    three = Side(two.place, two.folder, "three")
    three.step()
    assert three.leads


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"format": 2}', b"\xff", b'{"format": 1, "holder": ""}', b"[" * 9999]
)
def test_what_is_no_lease_is_nobodys_to_take(tmp_path: Path, body: bytes) -> None:
    place = Place(Tagged(body, "x"))
    side = Side(place, tmp_path, "one")
    side.step()
    side.step(1000)
    assert (side.leads, place.writes) == (False, 0)
    with pytest.raises(DocumentError, match=r"daemon/lease\.json is"):
        LeaseRecord.decode(body)


def test_the_next_one_knows_how_old_runs_are_by_its_own_clock_and_what_is_paused(one: Side, two: Side) -> None:
    until = datetime(2099, 1, 1, tzinfo=UTC)
    one.pauses.pause("paused", until)
    assert one.lease.begin("ended")
    one.lease.ended("ended")
    for _ in range(10):
        one.step(10)
    assert one.lease.begin("cut")
    two.step(5)
    two.step(LEASE)
    assert two.leads
    assert two.lease.marks() == {"ended": JobMark(100 + LEASE, going=False), "cut": JobMark(LEASE, going=True)}
    assert two.pauses.all() == {"paused": until}


def test_a_job_that_was_paused_stays_so_for_who_comes_after_the_leader_has_died_and_a_resume_here_is_kept(
    one: Side, place: Place
) -> None:
    one.pauses.pause("paused", None)
    one.step(10)
    late = Side(place, one.folder, "late")
    late.pauses.pause("here", None)
    late.step()
    late.step(LEASE)
    paused = {"paused": None, "here": None}
    assert (late.leads, late.pauses.all(), place.record.paused) == (True, paused, paused)
    assert late.pauses.resume("paused")  # while its daemon is away
    again = Side(place, one.folder, "late")
    again.step()
    again.step(LEASE)
    assert (again.leads, again.pauses.all()) == (True, {"here": None})


def test_who_has_not_seen_it_change_knows_nothing_of_how_old_it_is(one: Side, two: Side) -> None:
    assert one.lease.begin("job")
    late = Side(one.place, one.folder, "late")
    late.step()
    late.step(LEASE)
    assert (late.leads, late.lease.marks(), late.lease.alive_since()) == (True, {}, None)


def test_jobs_go_on_where_another_daemon_has_left_them() -> None:
    every, daily = Every(timedelta(hours=6)), Cron("0 11 * * *")
    schedules: dict[str, Schedule] = {
        "cut": daily,
        "waits": every,
        "late": every,
        "new": every,
        "due": daily,
        "done": daily,
    }
    marks = {
        "cut": JobMark(60, going=True),
        "waits": JobMark(3600, going=False),
        "late": JobMark(7 * 3600, going=False),
        "done": JobMark(3590, going=False),
    }
    first = resumed(schedules, marks, 3700, NOW)
    assert first == {"cut": NOW, "waits": NOW + timedelta(hours=5), "late": NOW, "due": NOW}
    assert resumed(schedules, {}, None, NOW) == {}


def test_the_object_can_be_read_by_a_person(place: Place, one: Side) -> None:
    assert place.standing is not None
    said = json.loads(place.standing.body)
    assert (said["name"], said["lease"], said["jobs"], said["paused"]) == ("one", LEASE, {}, {})
