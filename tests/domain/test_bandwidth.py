"""Which limit holds when, by the clock on the wall, whatever that does."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_sync.domain.job.bandwidth import EVERY_DAY, Bandwidth, Limit, Spell, Window

WEEK = frozenset(range(5))
DAY = Bandwidth(200, (Window(time(8), time(20), 20, WEEK),), ZoneInfo("Asia/Shanghai"))
NIGHT = Bandwidth(None, (Window(time(22), time(6), 0, frozenset({4})),))  # begins on Fridays


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("instant", "limit", "until"),
    [
        ("2026-03-02T07:59:59", 200, "2026-03-02T08:00:00"),  # a Monday
        ("2026-03-02T08:00:00", 20, "2026-03-02T20:00:00"),
        ("2026-03-02T20:00:00", 200, "2026-03-03T08:00:00"),
        ("2026-03-06T21:00:00", 200, "2026-03-09T08:00:00"),  # over a week-end
    ],
)
def test_a_window_begins_with_its_first_instant_and_ends_before_its_last(
    instant: str, limit: Limit, until: str
) -> None:
    assert DAY.spell(at(instant, "Asia/Shanghai")) == Spell(limit, at(until, "Asia/Shanghai"))


@pytest.mark.parametrize(
    ("instant", "limit"),
    [
        ("2026-03-06T21:59:00", None),
        ("2026-03-06T22:00:00", 0),
        ("2026-03-07T05:59:00", 0),
        ("2026-03-07T06:00:00", None),
        ("2026-03-07T22:30:00", None),
        ("2026-03-06T05:00:00", None),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(instant: str, limit: Limit) -> None:
    assert NIGHT.spell(at(instant)).limit == limit


def test_of_windows_that_overlap_the_first_holds() -> None:
    both = Bandwidth(1, (Window(time(9), time(10), 2), Window(time(8), time(12), 3)))
    assert [both.spell(at(f"2026-03-02T{hour}:30")).limit for hour in ("07", "08", "09", "10", "12")] == [1, 3, 2, 3, 1]


def test_midnight_is_no_change_where_the_same_limit_goes_on() -> None:
    whole = Bandwidth(1, (Window(time(0), time(0), 5, WEEK),))
    assert whole.spell(at("2026-03-02T10:00")) == Spell(5, at("2026-03-07T00:00"))
    assert Bandwidth(1, (Window(time(0), time(0), 5),)).spell(at("2026-03-02T10:00")) == Spell(5, None)


@pytest.mark.parametrize(
    ("bandwidth", "closed"),
    [
        (Bandwidth(0), True),
        (Bandwidth(0, (Window(time(1), time(2), 0),)), True),
        (Bandwidth(5, (Window(time(0), time(0), 0),)), True),
        (Bandwidth(0, (Window(time(1), time(2), 5),)), False),
        (Bandwidth(), False),
    ],
)
def test_a_bandwidth_that_never_opens_is_known(bandwidth: Bandwidth, closed: bool) -> None:
    assert bandwidth.closed is closed


def test_an_hour_that_is_skipped_takes_the_window_along_and_one_that_comes_twice_has_it_twice() -> None:
    """Berlin: on 29 March 2026 the clock goes from 02:00 to 03:00, on 25 October from 03:00 back to 02:00."""
    early = Bandwidth(1, (Window(time(2, 30), time(5), 2),), ZoneInfo("Europe/Berlin"))
    assert early.spell(at("2026-03-29T00:30")) == Spell(1, at("2026-03-29T01:00"))
    skipped = Bandwidth(1, (Window(time(2, 15), time(2, 45), 2),), ZoneInfo("Europe/Berlin"))
    assert skipped.spell(at("2026-03-29T00:30")) == Spell(1, at("2026-03-30T00:15"))
    twice = Bandwidth(1, (Window(time(2), time(2, 30), 2),), ZoneInfo("Europe/Berlin"))
    spells, instant = [], at("2026-10-24T23:00")
    for _ in range(4):
        spell = twice.spell(instant)
        assert spell.until is not None
        spells.append((spell.limit, f"{spell.until:%H:%M}"))
        instant = spell.until
    assert spells == [(1, "00:00"), (2, "00:30"), (1, "01:00"), (2, "01:30")]


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]).map(
    ZoneInfo
)
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
WINDOWS = st.builds(
    Window, TIMES, TIMES, st.sampled_from([None, 0, 1, 2]), st.frozensets(st.sampled_from([*EVERY_DAY]))
)
INSTANTS = st.integers(0, 365 * 24 * 60).map(
    lambda minute: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
)


@settings(max_examples=40, deadline=None)
@given(bandwidth=st.builds(Bandwidth, st.sampled_from([None, 0, 7]), st.tuples(WINDOWS, WINDOWS), ZONES), now=INSTANTS)
def test_until_the_next_change_the_limit_is_the_same_and_then_it_is_another(
    bandwidth: Bandwidth, now: datetime
) -> None:
    spell = bandwidth.spell(now)
    end = spell.until or now + timedelta(days=8)
    step = max(timedelta(minutes=7), (end - now) / 40)
    looks = (now + step * count for count in range(int((end - now) / step) + 1))
    assert {bandwidth.spell(look).limit for look in looks if look < end} <= {spell.limit}
    if spell.until is not None:
        assert spell.until > now
        assert bandwidth.spell(spell.until).limit != spell.limit
        assert bandwidth.spell(max(now, spell.until - timedelta(microseconds=1))).limit == spell.limit
