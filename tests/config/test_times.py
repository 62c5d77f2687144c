"""Durations and crontab expressions mean what people who write them mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_sync.config.keys.values.time_values import crontab, duration, zone

SUNDAY = datetime(2024, 1, 7, tzinfo=UTC)


@given(st.integers(0, 9999), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_the_sum_of_its_parts(days: int, hours: int, minutes: int, seconds: int) -> None:
    wanted = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    assert duration(f"{days}d{hours}h{minutes}m{seconds}s") == wanted


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("0", [0]),
        ("7", [0]),
        ("1-5", [1, 2, 3, 4, 5]),
        ("0-2", [0, 1, 2]),
        ("5-7", [0, 5, 6]),
        ("*", [0, 1, 2, 3, 4, 5, 6]),
        ("*/2", [0, 2, 4, 6]),
        ("1-5/2", [1, 3, 5]),
        ("3/2", [3, 5]),
        ("mon", [1]),
        ("FRI-SUN", [0, 5, 6]),
        ("sun-tue", [0, 1, 2]),
        ("1,wed,5", [1, 3, 5]),
    ],
)
def test_weekdays_count_from_sunday_as_in_crontab(written: str, days: list[int]) -> None:
    trigger = CronTrigger.from_crontab(crontab(f"0 3 * * {written}"), timezone=UTC)
    fired = [day for day in range(7) if _fires(trigger, SUNDAY + timedelta(days=day))]
    assert fired == days


def _fires(trigger: CronTrigger, day: datetime) -> bool:
    following = trigger.get_next_fire_time(None, day)
    return following is not None and following.date() == day.date()


@given(st.text(alphabet="0123456789*/-,montuesL# ", max_size=30))
def test_any_text_is_a_crontab_expression_the_scheduler_takes_or_a_fault(text: str) -> None:
    try:
        expression = crontab(text)
    except ValueError:
        return
    CronTrigger.from_crontab(expression, timezone=UTC)
    assert crontab(expression) == expression


@settings(deadline=None)  # a fault looks through all zones
@given(st.text(max_size=40))
def test_any_text_is_a_time_zone_or_a_fault(text: str) -> None:
    try:
        known = zone(text)
    except ValueError as error:
        known = "" if "is no IANA time zone; " in str(error) else "an odd message"
    assert known in {"", text}


@pytest.mark.parametrize(
    "text", ["0 3 29 2 *", "0 3 31 2,3 *", "0 3 31 2 mon", "0 3 */30 2 *", "0 3 * 2 *", "0 3 31 * *"]
)
def test_what_comes_at_least_in_a_leap_year_or_on_a_weekday_is_a_schedule(text: str) -> None:
    assert crontab(text) == text
