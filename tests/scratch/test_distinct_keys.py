"""Keys that should all be different: as a list and a set would say it, in memory or on disk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.scratch.distinct_keys import DistinctKeys


@given(st.lists(st.binary(min_size=1, max_size=2), max_size=60), st.sampled_from([1, 3, 1000]))
def test_one_that_comes_twice_is_found_and_all_others_come_in_their_order(keys: list[bytes], most: int) -> None:
    distinct = DistinctKeys(most)
    for key in keys:
        distinct.add(key)
    twice = distinct.twice()
    if len(set(keys)) == len(keys):
        assert (twice, list(distinct.in_order())) == (None, sorted(keys))
    else:
        assert twice is not None
        assert keys.count(twice) > 1
    assert distinct.twice() == twice, "asked again"
