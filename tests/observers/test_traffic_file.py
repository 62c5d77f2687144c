"""What `traffic` counted is kept by day, and never made less."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from mirror_sync.domain.outcome.traffic import Reads, TrafficReport
from mirror_sync.state.traffic_file import DAYS_KEPT, keep_traffic, kept_days, kept_unusual

DAY = date(2026, 1, 1)


def report(**sizes: int) -> TrafficReport:
    """`d0=5`: five bytes on the first day."""
    days = {DAY + timedelta(days=int(name[1:])): Reads(1, size, {"client"}) for name, size in sizes.items()}
    at = datetime(2026, 1, 1, tzinfo=UTC) if sizes else None
    return TrafficReport(at, at, {}, days, {}, (), None, 0)


def bytes_by_day(folder: Path, target: str = "disk") -> dict[str, int]:
    return {day["day"]: day["bytes"] for day in kept_days(folder, target)}


def test_days_are_merged_and_the_count_that_saw_more_of_a_day_stays(tmp_path: Path) -> None:
    keep_traffic(tmp_path, "disk", report(d0=100, d1=10))  # the log was rotated on the second day
    keep_traffic(tmp_path, "disk", report(d1=90, d2=30))
    keep_traffic(tmp_path, "disk", report(d0=100, d1=10))
    assert bytes_by_day(tmp_path) == {"2026-01-01": 100, "2026-01-02": 90, "2026-01-03": 30}


def test_a_report_without_a_request_changes_nothing(tmp_path: Path) -> None:
    keep_traffic(tmp_path, "disk", report())
    assert list(tmp_path.iterdir()) == []


def test_each_target_has_its_own_days(tmp_path: Path) -> None:
    keep_traffic(tmp_path, "disk", report(d0=1))
    keep_traffic(tmp_path, "bucket", report(d0=2))
    assert (bytes_by_day(tmp_path), bytes_by_day(tmp_path, "bucket")) == ({"2026-01-01": 1}, {"2026-01-01": 2})


def test_the_newest_days_are_kept_and_no_more(tmp_path: Path) -> None:
    keep_traffic(tmp_path, "disk", report(**{f"d{number}": 1 for number in range(DAYS_KEPT + 7)}))
    days = list(bytes_by_day(tmp_path))
    assert (len(days), days[0]) == (DAYS_KEPT, (DAY + timedelta(days=7)).isoformat())


def test_what_cannot_be_read_is_as_if_nothing_was_kept(tmp_path: Path) -> None:
    (tmp_path / "traffic-disk.json").write_text('{"days": [{"day": "2026-01-01"}]}')
    assert kept_days(tmp_path, "disk") == ()
    keep_traffic(tmp_path, "disk", report(d0=3))
    assert bytes_by_day(tmp_path) == {"2026-01-01": 3}


def test_the_last_request_is_a_time_in_utc_and_what_is_none_is_as_if_nothing_was_kept(tmp_path: Path) -> None:
    keep_traffic(tmp_path, "disk", report(d0=3))
    assert kept_unusual(tmp_path, "disk") == ("2026-01-01T00:00:00Z", ())
    for last in ("null", '"yesterday"', "7"):
        (tmp_path / "traffic-disk.json").write_text(f'{{"unusual": [], "last": {last}}}')
        assert kept_unusual(tmp_path, "disk") == ("", ())
