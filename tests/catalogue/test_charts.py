"""Charts stay within their frames and their scales are round, whatever the figures."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.catalogue.charts import growth_chart, steps_to, traffic_chart
from mirror_sync.domain.catalogue.rows import Day

FIGURES = st.integers(0, 10**18)
DAYS = st.dictionaries(st.integers(0, 800), FIGURES, min_size=1, max_size=60).map(
    lambda found: [Day(str(date(2025, 1, 1) + timedelta(days=day)), found[day]) for day in sorted(found)]
)


@given(FIGURES)
def test_a_scale_begins_at_nothing_reaches_the_most_and_has_few_equal_steps(most: int) -> None:
    steps = steps_to(most)
    assert steps[0] == 0
    assert steps[-2] < max(most, 1) <= steps[-1]
    assert 2 <= len(steps) <= 6
    assert re.fullmatch(r"[125]0*", str(steps[1]))
    assert len({after - before for before, after in pairwise(steps)}) == 1


@given(DAYS)
def test_a_line_stays_in_its_frame_and_goes_on_to_the_right(days: list[Day]) -> None:
    chart = growth_chart(days)
    assert chart is not None
    points = [tuple(map(float, point.split())) for point in chart.line[1:].split("L")]
    assert len(points) == len(days)
    across = [x for x, _ in points]
    assert across == sorted(across)
    assert chart.left <= across[0]
    assert across[-1] <= chart.right
    assert all(0 <= y <= chart.floor for _, y in points)


@given(DAYS)
def test_bars_stand_on_the_floor_side_by_side(days: list[Day]) -> None:
    chart = traffic_chart(days)
    assert chart is not None
    assert all(abs(bar.y + bar.height - chart.floor) < 0.05 for bar in chart.bars)
    assert chart.bars[0].x >= chart.left - 0.05
    assert chart.bars[-1].x + chart.bars[-1].width <= chart.right + 0.05
    assert all(one.x + one.width <= other.x + 0.05 for one, other in pairwise(chart.bars))


@given(DAYS)
def test_dates_are_far_enough_from_each_other_to_be_read(days: list[Day]) -> None:
    chart = growth_chart(days)
    assert chart is not None
    places = [tick.at for tick in chart.dates]
    assert chart.dates[-1].words == days[-1].day
    assert all(after - before > 100 for before, after in pairwise(places))


def test_a_bar_has_a_greatest_width() -> None:
    chart = traffic_chart([Day("2026-11-20", 5)])
    assert chart is not None
    assert chart.bars[0].width < (chart.right - chart.left) / 10


def test_nothing_known_is_no_chart() -> None:
    assert growth_chart([]) is None
    assert traffic_chart([]) is None
