"""How many segments of a large file are in flight: what was said, or as many as the rate gains by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from mirror_sync.domain.job.segment_gauge import MOST, SegmentGauge

MIB = 1 << 20


def splits(gauge: SegmentGauge, rate: Callable[[int], float], seconds: int) -> Iterator[int]:
    """What the gauge says in every tenth of a second of a line that gives `rate` bytes a second to so many segments."""
    for tenth in range(10 * seconds):
        gauge.came(int(rate(gauge.split(1)) / 10), tenth / 10)
        yield gauge.split(1)


def test_segments_double_as_long_as_each_brings_more_and_no_further_than_the_bound() -> None:
    found = list(splits(SegmentGauge(), lambda split: split * MIB, 30))
    assert found[-1] == MOST
    assert all(after in (before, 2 * before) for before, after in pairwise(found))


def test_what_gains_nothing_is_taken_back_and_not_tried_again_at_once() -> None:
    found = list(splits(SegmentGauge(), lambda _: MIB, 30))
    assert set(found) == {1, 2}
    assert found[-1] == 1
    assert sum(after > before for before, after in pairwise(found)) == 1


def test_segments_stay_where_the_line_is_full() -> None:
    found = list(splits(SegmentGauge(), lambda split: min(split, 4) * MIB, 60))
    assert max(found) == 8
    assert found[-1] == 4


def test_a_line_that_was_slow_for_a_while_is_tried_again() -> None:
    gauge = SegmentGauge()
    assert list(splits(gauge, lambda _: MIB, 30))[-1] == 1
    for tenth in range(1200):
        gauge.came(gauge.split(1) * MIB // 10, 30 + tenth / 10)
    assert gauge.split(1) > 4


@pytest.mark.parametrize(("said", "window", "split"), [(16, 4, 4), (16, 2, 8), (5, 2, 3), (1, 1, 1), (3, 3, 1)])
def test_a_number_that_was_said_is_shared_out_among_the_parts_in_flight(said: int, window: int, split: int) -> None:
    gauge = SegmentGauge(said)
    assert gauge.split(window) == split
    gauge.came(MIB, 100.0)
    assert gauge.split(window) == split


def test_one_segment_is_one_part_at_a_time() -> None:
    assert SegmentGauge(1).window(4) == 1
    assert SegmentGauge(16).window(4) == 4
    assert SegmentGauge().window(4) == 4


def test_a_pause_between_files_counts_for_no_rate() -> None:
    gauge = SegmentGauge()
    for tenth in range(35):
        gauge.came(MIB, tenth / 10)
    assert gauge.split(1) == 2
    gauge.rest()
    for tenth in range(40):
        gauge.came(3 * MIB, 1000 + tenth / 10)
    assert gauge.split(1) == 4
