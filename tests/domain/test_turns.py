"""Whose turn it is between short and long work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.turns import Length, most_long, next_turn

SHORT, LONG = Length.SHORT, Length.LONG


def test_who_has_fewer_at_work_goes_first() -> None:
    assert next_turn([SHORT, LONG], {SHORT: 3, LONG: 2}, LONG) is LONG
    assert next_turn([SHORT, LONG], {SHORT: 0, LONG: 2}, SHORT) is SHORT


@pytest.mark.parametrize("last", Length)
def test_of_two_that_have_as_many_the_other_one_goes(last: Length) -> None:
    assert next_turn([SHORT, LONG], {SHORT: 0, LONG: 0}, last) is last.other


def test_who_waits_alone_goes_whatever_is_at_work() -> None:
    assert next_turn([LONG], {SHORT: 0, LONG: 9}, LONG) is LONG
    assert next_turn([], {SHORT: 0, LONG: 0}, LONG) is None


@given(places=st.integers(1, 64), first=st.sampled_from(Length), ends=st.lists(st.sampled_from(Length), max_size=200))
def test_while_both_wait_each_comes_to_half_of_the_places(places: int, first: Length, ends: list[Length]) -> None:
    """Whatever ended in between, and whoever had all places at first."""
    running = {first: places, first.other: 0}
    last = first
    for ended in [*ends, *[first] * places]:
        if not running[ended]:
            continue
        running[ended] -= 1
        turn = next_turn([SHORT, LONG], running, last)
        assert turn is not None
        running[turn] += 1
        last = turn
    assert abs(running[SHORT] - running[LONG]) <= 2


@pytest.mark.parametrize(("places", "long"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 6), (64, 48)])
def test_long_work_leaves_a_place_where_there_are_several(places: int, long: int) -> None:
    assert most_long(places) == long
