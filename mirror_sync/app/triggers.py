"""Schedules as APScheduler triggers, with the meaning that crontab(5) gives them.

APScheduler wants every field to match; in a crontab, when both the day of the month and the weekday are restricted,
either is enough. (Weekdays, which APScheduler counts from Monday, come by name.)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from mirror_sync.config.keys.values.time_values import crontab
from mirror_sync.domain.job.hours import Hours
from mirror_sync.domain.job.job import Cron, Every, Schedule


def trigger_of(schedule: Schedule) -> BaseTrigger:
    """ValueError for an expression that is no crontab expression."""
    if schedule.only is not None:
        whenever = replace(schedule, jitter=timedelta(0), only=None)
        return _Within(trigger_of(whenever), schedule.only, schedule.jitter)
    match schedule:
        case Every():
            seconds = max(round(schedule.interval.total_seconds()), 1)
            return IntervalTrigger(seconds=seconds, jitter=schedule.jitter.total_seconds() or None, timezone="UTC")
        case Cron():
            return _cron(schedule)


class _Within(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """The times of another trigger; those outside of the hours come when these begin, up to `jitter` later."""

    def __init__(self, whenever: BaseTrigger, only: Hours, jitter: timedelta) -> None:
        self._whenever, self._only, self._jitter = whenever, only, jitter

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        due = self._whenever.get_next_fire_time(previous_fire_time, now)
        if due is None:
            return None
        late = self._apply_jitter(self._only.opens(due), self._jitter.total_seconds() or None, now)
        return self._only.opens(late)


def due_after(schedule: Schedule, since: datetime) -> datetime | None:
    """The latest moment at which a job that ran at `since` should run again; None for never."""
    exact = trigger_of(replace(schedule, jitter=timedelta(0)))
    due: datetime | None = exact.get_next_fire_time(since, since)
    return None if due is None else due + schedule.jitter


def _cron(schedule: Cron) -> BaseTrigger:
    minute, hour, day, month, weekday = crontab(schedule.expression).split()
    fields = {"minute": minute, "hour": hour, "month": month, "timezone": ZoneInfo(schedule.timezone)}
    jitter = schedule.jitter.total_seconds() or None
    if _restricted(day) and _restricted(weekday):
        either = [CronTrigger(day=day, **fields), CronTrigger(day_of_week=weekday, **fields)]
        return OrTrigger(either, jitter=jitter)
    return CronTrigger(day=day, day_of_week=weekday, jitter=jitter, **fields)


def _restricted(field: str) -> bool:
    return not field.startswith("*")
