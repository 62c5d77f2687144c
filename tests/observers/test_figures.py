"""Figures as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.observe.figures import age, counted, in_bytes, in_time


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (91_200_000, "91.2 MB"),
        (99_960_000, "100 MB"),
        (999_400_000, "999 MB"),
        (999_600_000, "1.0 GB"),
        (2_000_000_000_000_000_000, "2000 PB"),
    ],
)
def test_bytes_have_at_most_three_digits_and_a_unit(count: int, text: str) -> None:
    assert in_bytes(count) == text


@given(st.integers(min_value=0, max_value=10**17))
def test_bytes_are_never_wider_than_eight_characters(count: int) -> None:
    assert len(in_bytes(count)) <= 7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0.4, "0s"),
        (42, "42s"),
        (185, "3m 5s"),
        (180, "3m"),
        (7800, "2h 10m"),
        (356_400, "4d 3h"),
        (86405, "1d"),
    ],
)
def test_times_have_at_most_two_units_that_follow_each_other(seconds: float, text: str) -> None:
    assert in_time(seconds) == text


def test_an_age_has_one_unit() -> None:
    now = datetime(2026, 1, 5, 3, tzinfo=UTC)
    assert age("2026-01-01T00:00:00Z", now) == "4d"
    assert age(None, now) == "never"


def test_one_is_singular() -> None:
    assert (counted(1, "file"), counted(12_000, "file")) == ("1 file", "12,000 files")
