"""Schedules mean what crontab(5) says, in their own time zone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from apscheduler.triggers.base import BaseTrigger

from mirror_sync.app.triggers import due_after, trigger_of
from mirror_sync.domain.job.bandwidth import Window
from mirror_sync.domain.job.hours import Hours
from mirror_sync.domain.job.job import Cron, Every

# a Thursday
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def firings(trigger: BaseTrigger, count: int, last: datetime | None = None) -> list[str]:
    """The next times, as weekday, day and time in UTC."""
    times: list[datetime] = []
    now = NOW
    for _ in range(count):
        last = trigger.get_next_fire_time(last, now)
        assert last is not None
        times.append(last)
        now = last + timedelta(seconds=1)
    return [one.astimezone(UTC).strftime("%a %d %H:%M") for one in times]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 3 * * *", ["Fri 02 03:00", "Sat 03 03:00"]),
        ("*/30 * * * *", ["Thu 01 12:00", "Thu 01 12:30"]),
        ("0 3 * * 0", ["Sun 04 03:00", "Sun 11 03:00"]),
        ("0 3 * * 7", ["Sun 04 03:00", "Sun 11 03:00"]),
        ("0 3 * * 1-5", ["Fri 02 03:00", "Mon 05 03:00"]),
        ("0 3 * * 5-7", ["Fri 02 03:00", "Sat 03 03:00"]),
        ("0 3 * * MON,wed", ["Mon 05 03:00", "Wed 07 03:00"]),
        ("0 3 15 * *", ["Thu 15 03:00", "Sun 15 03:00"]),
    ],
)
def test_weekdays_count_from_sunday(expression: str, expected: list[str]) -> None:
    assert firings(trigger_of(Cron(expression)), 2) == expected


def test_a_day_and_a_weekday_mean_either_of_them() -> None:
    assert firings(trigger_of(Cron("0 3 3 * mon")), 3) == ["Sat 03 03:00", "Mon 05 03:00", "Mon 12 03:00"]


def test_times_are_those_of_the_time_zone() -> None:
    assert firings(trigger_of(Cron("0 3 * * *", "Asia/Shanghai")), 1) == ["Thu 01 19:00"]


def test_jitter_moves_a_time_by_no_more_than_it_says() -> None:
    trigger = trigger_of(Cron("0 3 * * *", jitter=timedelta(minutes=5)))
    for _ in range(20):
        when = trigger.get_next_fire_time(None, NOW)
        assert when is not None
        assert abs(when - datetime(2026, 1, 2, 3, 0, tzinfo=UTC)) <= timedelta(minutes=5)


def test_an_interval_counts_from_the_last_time() -> None:
    trigger = trigger_of(Every(timedelta(hours=6)))
    assert trigger.get_next_fire_time(NOW, NOW) == NOW + timedelta(hours=6)


@pytest.mark.parametrize("expression", ["", "0 3 * *", "0 3 * * someday", "61 3 * * *"])
def test_what_is_no_crontab_expression_is_a_value_error(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        trigger_of(Cron(expression))


NIGHT = Hours((Window(time(1), time(6), None),))


def test_what_is_due_outside_of_the_hours_comes_once_when_they_begin() -> None:
    hourly = Every(timedelta(hours=2), only=NIGHT)
    assert firings(trigger_of(hourly), 4, NOW) == ["Fri 02 01:00", "Fri 02 03:00", "Fri 02 05:00", "Sat 03 01:00"]
    assert firings(trigger_of(Cron("30 5,12 * * *", only=NIGHT)), 3) == ["Fri 02 01:00", "Fri 02 05:30", "Sat 03 01:00"]


def test_jitter_counts_from_the_beginning_of_the_hours() -> None:
    trigger = trigger_of(Every(timedelta(hours=2), timedelta(minutes=30), only=NIGHT))
    times = {firings(trigger, 1, NOW)[0] for _ in range(50)}
    assert len(times) > 1
    assert all(one.startswith("Fri 02 01:") for one in times)


def test_a_job_is_not_overdue_while_its_hours_have_not_begun() -> None:
    assert due_after(Every(timedelta(hours=2), only=NIGHT), NOW) == datetime(2026, 1, 2, 1, tzinfo=UTC)
