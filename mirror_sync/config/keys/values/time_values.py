"""Durations, crontab expressions and time zones, from the text of jobs.yaml. ValueError says what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from mirror_sync.config.findings import nearest_word, quoted

_DURATION = re.compile(
    r"(?:(?P<days>[0-9]{1,4})d)?(?:(?P<hours>[0-9]{1,6})h)?(?:(?P<minutes>[0-9]{1,6})m)?(?:(?P<seconds>[0-9]{1,6})s)?"
)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")  # as crontab counts them; 7 is sunday again
_DAY = r"[0-7]|sun|mon|tue|wed|thu|fri|sat"
_DAYS = re.compile(rf"(?:\*|(?P<first>{_DAY})(?:-(?P<last>{_DAY}))?)(?:/(?P<step>[1-7]))?")


def duration(text: object) -> timedelta:
    """`6h`, `90m`, `1d12h`, `30s`: days, hours, minutes, seconds, in this order."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise ValueError(f"{text} has no unit; write {text}s, {text}m, {text}h or {text}d")  # noqa: TRY004  as below
    if not isinstance(text, str):
        raise ValueError("must be a duration like 6h, 90m, 1d12h or 30s")  # noqa: TRY004  pydantic takes ValueError
    match = _DURATION.fullmatch(text.strip())
    if match is None or not text.strip():
        raise ValueError(f"{quoted(text)} is no duration; write 6h, 90m, 1d12h or 30s")
    return timedelta(**{unit: int(count) for unit, count in match.groupdict().items() if count})


def interval(text: object) -> timedelta:
    """A duration that is not zero."""
    length = duration(text)
    if not length:
        raise ValueError(f"{quoted(text)} is no time at all; write 6h, 90m, 1d12h or 30s")
    return length


def crontab(text: str) -> str:
    """A checked crontab expression, weekdays by name: the scheduler counts them from monday, crontab from sunday."""
    from apscheduler.triggers.cron import CronTrigger  # dear, and a jobs.yaml need not have a schedule

    right = 'write minute hour day month weekday, as in "0 3 * * *"'
    fields = text.lower().split()
    if len(fields) != 5:  # noqa: PLR2004  what a crontab line has
        raise ValueError(f"{quoted(text)} has {len(fields)} fields, not five; {right}")
    fields[4] = ",".join(_by_name(item) for item in fields[4].split(","))
    expression = " ".join(fields)
    try:
        CronTrigger.from_crontab(expression, timezone=UTC)
    except ValueError as error:
        why = str(error).rpartition("': ")[2]  # without the scheduler's own beginning
        raise ValueError(f"{quoted(text)} is no crontab expression ({why}); {right}") from None
    if fields[4] == "*" and not _has_a_day(fields[2], fields[3]):  # else the weekday comes, of itself
        raise ValueError(f"{quoted(text)} never comes: no month in it has such a day; {right}")
    return expression


def _has_a_day(day: str, month: str) -> bool:
    """Whether a day of some month comes, at least in a leap year."""
    from apscheduler.triggers.cron import CronTrigger

    trigger = CronTrigger(year="2024", month=month, day=day, timezone=UTC)
    return trigger.get_next_fire_time(None, datetime(2024, 1, 1, tzinfo=UTC)) is not None


def _by_name(item: str) -> str:
    """One item of the weekday field; what is not understood stays, for the scheduler to refuse."""
    match = _DAYS.fullmatch(item)
    if match is None or item == "*":
        return item
    return ",".join(_WEEKDAYS[day % 7] for day in _days(match)) or item


def _days(match: re.Match[str]) -> Iterator[int]:
    step = int(match["step"] or 1)
    if match["first"] is None:
        return iter(range(0, 7, step))
    first = _number(match["first"])
    last = _number(match["last"]) if match["last"] else 6 if match["step"] else first
    if last == 0 and first > 0:
        last = 7  # fri-sun
    return iter(range(first, last + 1, step))


def _number(day: str) -> int:
    return int(day) if day.isdigit() else _WEEKDAYS.index(day)


# What clocks show and no list of zones knows; of several places, one that many mean.
_ABBREVIATED = {
    "CEST": "Europe/Berlin", "EEST": "Europe/Athens", "WEST": "Europe/Lisbon", "BST": "Europe/London",
    "MSK": "Europe/Moscow", "IST": "Asia/Kolkata", "CST": "Asia/Shanghai, or America/Chicago", "SGT": "Asia/Singapore",
    "HKT": "Asia/Hong_Kong", "JST": "Asia/Tokyo", "KST": "Asia/Seoul", "AEST": "Australia/Sydney",
    "EDT": "America/New_York", "CDT": "America/Chicago", "MDT": "America/Denver", "PST": "America/Los_Angeles",
    "PDT": "America/Los_Angeles",
}  # fmt: skip


def zone(name: str) -> str:
    """The name of an IANA time zone that this machine knows."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder of zones, an OSError
        known = available_timezones()
        if not known and name.upper() == "UTC":
            return "UTC"
        if not known:
            raise ValueError("this machine has no time zones; install tzdata, or write UTC") from None
        if name.upper() in _ABBREVIATED:
            raise ValueError(f"{quoted(name)} is no IANA time zone; write {_ABBREVIATED[name.upper()]}") from None
        hint = nearest_word(name, {zone.lower() for zone in known})
        near = next((zone for zone in sorted(known) if hint and zone.lower() in hint), "")
        right = f"did you mean {near}?" if near else "write an IANA name like Asia/Shanghai, or UTC"
        raise ValueError(f"{quoted(name)} is no IANA time zone; {right}") from None
    return name
