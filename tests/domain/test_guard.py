"""The deletion guard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.guard import ANY, Guard


@pytest.mark.parametrize(("removed", "passes"), [(0, True), (3, True), (4, False), (6, False)])
def test_more_than_the_share_may_not_be_removed(removed: int, passes: bool) -> None:
    objection = Guard(0.5).objection(6, lambda: removed, listed=1)
    assert (objection == "") is passes
    if not passes:
        assert objection == f"it removes {removed} of 6 published files; guard.max_removed is 50%"


def test_an_empty_listing_is_named_as_such() -> None:
    said = Guard().objection(6, lambda: 6, listed=0)
    assert said == "it lists no file, where 6 are published; guard.max_removed is 50%"


@given(st.integers(0), st.integers(0), st.integers(0))
def test_100_percent_switches_it_off(published: int, removed: int, listed: int) -> None:
    assert Guard(1.0).objection(published, lambda: removed, listed=listed) == ""


@given(st.integers(0), st.floats(0, 1))
def test_nothing_published_is_nothing_to_guard(listed: int, share: float) -> None:
    assert Guard(share).objection(0, lambda: 0, listed=listed) == ""


def test_an_accepted_move_of_a_name_is_that_move_alone() -> None:
    here, there = CommitId("a" * 40), CommitId("b" * 40)
    guard = Guard(accept=frozenset({Guard.move(here, there)}))
    assert guard.follows(here, there)
    assert not guard.follows(there, here)
    assert not Guard(accept=frozenset({ANY, there})).follows(here, there)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match=r"guard\.max_removed"):
        Guard(share)
