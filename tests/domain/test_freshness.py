"""The lag of a commit is what its readers waited, and nothing where nobody can say."""

from __future__ import annotations

import pytest

from mirror_sync.domain.freshness import LastCheck, lag, moment

OLD, NEW = "1" * 40, "2" * 40
DAY = "2026-05-01T{}Z"
LOOK = LastCheck(DAY.format("10:00:00"), OLD)


def told(committed: str | None, published: str, last: LastCheck | None = LOOK) -> float | None:
    return lag(NEW, committed, DAY.format(published), last)


def test_it_counts_from_the_commit() -> None:
    assert told(DAY.format("10:05:00.500"), "10:11:00") == 359.5


def test_a_commit_with_an_old_date_counts_from_the_last_look_which_did_not_see_it() -> None:
    assert told("2019-01-01T00:00:00.000Z", "10:11:00") == 660


def test_a_clock_that_is_ahead_gives_no_negative_lag() -> None:
    assert told(DAY.format("11:00:00"), "10:11:00") == 0


def test_a_first_mirroring_has_none() -> None:
    assert told(DAY.format("10:05:00"), "10:11:00", None) is None


def test_a_commit_that_was_published_before_has_none() -> None:
    assert told(DAY.format("09:05:00"), "10:11:00", LastCheck(DAY.format("10:00:00"), NEW)) is None


@pytest.mark.parametrize("date", [None, "", "yesterday", "2026-05-01T10:05:00"])
def test_without_a_date_nobody_can_say(date: str | None) -> None:
    assert told(date, "10:11:00") is None


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00"])
def test_a_date_that_no_year_has_in_utc_is_none(date: str) -> None:
    assert moment(date) is None
    assert told(date, "10:11:00") is None
