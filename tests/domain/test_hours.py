"""The hours of a job: when they begin, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.job.bandwidth import EVERY_DAY, Window
from mirror_sync.domain.job.hours import Hours

NIGHT = Hours((Window(time(1), time(6), None),))
NIGHTS_OF_WORK = Hours((Window(time(22), time(6), None, frozenset(range(5))),))
ALWAYS = Hours((Window(time(0), time(0), None),))
INSTANTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis wants it so
HOURS = st.builds(
    lambda start, stop, days, zone: Hours((Window(start, stop, 5, days),), ZoneInfo(zone)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.frozensets(st.sampled_from(sorted(EVERY_DAY)), min_size=1),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Shanghai", "America/New_York"]),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "instant", "opens", "closes"),
    [
        (NIGHT, "2026-01-01 00:59", "2026-01-01 01:00", "2026-01-01 00:59"),
        (NIGHT, "2026-01-01 01:00", "2026-01-01 01:00", "2026-01-01 06:00"),
        (NIGHT, "2026-01-01 06:00", "2026-01-02 01:00", "2026-01-01 06:00"),
        (NIGHTS_OF_WORK, "2026-01-03 05:59", "2026-01-03 05:59", "2026-01-03 06:00"),  # a saturday: friday's night
        (NIGHTS_OF_WORK, "2026-01-03 22:30", "2026-01-05 22:00", "2026-01-03 22:30"),
    ],
)
def test_what_is_due_outside_waits_for_the_beginning(hours: Hours, instant: str, opens: str, closes: str) -> None:
    assert (hours.opens(at(instant)), hours.closes(at(instant))) == (at(opens), at(closes))


def test_hours_of_all_days_never_end() -> None:
    now = at("2026-01-01 12:00")
    assert (ALWAYS.opens(now), ALWAYS.closes(now)) == (now, None)


@given(HOURS, INSTANTS)
def test_the_next_opening_is_open_and_not_before_its_instant(hours: Hours, instant: datetime) -> None:
    opens = hours.opens(instant)
    assert opens >= instant
    assert hours.opens(opens) == opens
    closes = hours.closes(opens)
    assert closes is None or closes > opens
