"""The deletion guard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.guard import ANY, Guard
from tests.domain.files import desired_of, manifest_of, mirrored, remote, trees

SIX = [mirrored(name, name.encode()) for name in "abcdef"]


@pytest.mark.parametrize(("left", "passes"), [("abcdef", True), ("abc", True), ("ab", False), ("", False)])
def test_more_than_the_share_may_not_be_removed(left: str, passes: bool) -> None:
    objection = Guard(0.5).objection(SIX, [remote(name, name.encode()) for name in left], listed=len(left))
    assert (objection == "") is passes
    if not passes and left:
        assert objection == "it removes 4 of 6 published files; guard.max_removed is 50%"


def test_an_empty_listing_is_named_as_such() -> None:
    assert Guard().objection(SIX, [], listed=0) == "it lists no file, where 6 are published; guard.max_removed is 50%"


def test_a_file_that_moved_or_changed_is_not_removed() -> None:
    moved = [remote(f"new/{name}", name.encode()) for name in "abc"] + [remote(name, b"other") for name in "def"]
    assert Guard(0.0).objection(SIX, moved, listed=6) == ""


@given(trees, trees)
def test_100_percent_switches_it_off(
    published: dict[str, tuple[bytes, bool]], new: dict[str, tuple[bytes, bool]]
) -> None:
    desired = desired_of(new)
    assert Guard(1.0).objection(manifest_of(published).values(), desired, listed=len(desired)) == ""


@given(trees, st.floats(0, 1))
def test_nothing_published_is_nothing_to_guard(new: dict[str, tuple[bytes, bool]], share: float) -> None:
    assert Guard(share).objection([], desired_of(new), listed=len(new)) == ""


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
