"""What a user reads about each fault of a schedule, whole."""

from __future__ import annotations

import pytest

from tests.config.texts import job_fault

CRON = 'write minute hour day month weekday, as in "0 3 * * *"'
DURATION = "write 6h, 90m, 1d12h or 30s"
SCHEDULE_FAULTS = [
    ("schedule: 6h", "11: schedule: must be a mapping, not text; write schedule: {every: 6h}"),
    ("schedule: {}", '11: schedule: says neither every nor cron; write {every: 6h} or {cron: "0 3 * * *"}'),
    ("schedule: {evry: 6h}", '11: schedule: says neither every nor cron; write {every: 6h} or {cron: "0 3 * * *"}'),
    (
        "schedule: {every: 6h, cron: '0 3 * * *'}",
        "23: schedule.cron: cron stands beside every, where only one can be; remove it or every",
    ),
    ("schedule: {every: 6h, timezone: UTC}", "11: schedule: timezone is for cron, or for only; remove it"),
    (
        "schedule: {every: 6h, only: 1am}",
        "29: schedule.only: '1am' are no hours; write 08:00-20:00, or 22:00-06:00 for a night",
    ),
    (
        "schedule: {every: 6h, only: '01:00-06:00 weekdays'}",
        "29: schedule.only: 'weekdays' is no day; write mon-fri, or sat,sun",
    ),
    (
        "schedule: {every: 6h, only: []}",
        '29: schedule.only: must be hours; write "01:00-06:00", or "22:00-06:00 mon-fri"',
    ),
    ("schedule: {every: 6h, jiter: 5m}", "23: schedule.jiter: this key is not known; did you mean jitter?"),
    ("schedule: {every: 6 hours}", f"19: schedule.every: '6 hours' is no duration; {DURATION}"),
    ("schedule: {every: 12h1d}", f"19: schedule.every: '12h1d' is no duration; {DURATION}"),
    ("schedule: {every: ''}", f"19: schedule.every: '' is no duration; {DURATION}"),
    ("schedule: {every: 0m}", f"19: schedule.every: '0m' is no time at all; {DURATION}"),
    ("schedule: {every: 90}", "19: schedule.every: 90 has no unit; write 90s, 90m, 90h or 90d"),
    ("schedule: {every: [6h]}", "19: schedule.every: must be a duration like 6h, 90m, 1d12h or 30s"),
    (
        "schedule: {every: 1h, jitter: 60m}",
        "31: schedule.jitter: must be shorter than every, so that no run skips the next",
    ),
    ("schedule: {cron: '0 3 * *'}", f"18: schedule.cron: '0 3 * *' has 4 fields, not five; {CRON}"),
    (
        "schedule: {cron: '61 3 * * *'}",
        (
            "18: schedule.cron: '61 3 * * *' is no crontab expression "
            f"(the last value (61) is higher than the maximum value (59)); {CRON}"
        ),
    ),
    (
        "schedule: {cron: '0 3 31 2 *'}",
        f"18: schedule.cron: '0 3 31 2 *' never comes: no month in it has such a day; {CRON}",
    ),
    (
        "schedule: {cron: '0 3 31 4,jun,9-9,11 *'}",
        f"18: schedule.cron: '0 3 31 4,jun,9-9,11 *' never comes: no month in it has such a day; {CRON}",
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: Asia/Shangai}",
        "41: schedule.timezone: 'Asia/Shangai' is no IANA time zone; did you mean Asia/Shanghai?",
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: Mars}",
        "41: schedule.timezone: 'Mars' is no IANA time zone; write an IANA name like Asia/Shanghai, or UTC",
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: CEST}",
        "41: schedule.timezone: 'CEST' is no IANA time zone; write Europe/Berlin",
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: ../UTC}",
        "41: schedule.timezone: '../UTC' is no IANA time zone; write an IANA name like Asia/Shanghai, or UTC",
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: Europe}",
        "41: schedule.timezone: 'Europe' is no IANA time zone; write an IANA name like Asia/Shanghai, or UTC",
    ),
]


@pytest.mark.parametrize(("line", "message"), SCHEDULE_FAULTS)
def test_schedule(line: str, message: str) -> None:
    assert job_fault(line) == message
