"""A time reads the same whatever zone it came in."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mirror_sync.domain.times import iso_utc

NOON = datetime(2026, 7, 1, 12, 0, 0, 999_999, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York", "Asia/Kolkata"])
def test_it_is_written_in_utc_to_the_second(zone: str) -> None:
    assert iso_utc(NOON.astimezone(ZoneInfo(zone))) == "2026-07-01T12:00:00Z"
