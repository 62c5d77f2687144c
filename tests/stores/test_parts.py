"""How objects are cut: laws over all sizes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.stores.parts import MIB, Parts

SIZES = st.integers(0, 5 * 1024**4)  # bytes; S3's largest object is 5 TiB


@given(SIZES)
def test_parts_add_up_to_the_object_and_all_but_the_last_are_alike(size: int) -> None:
    parts = Parts.of(size)
    last = len(parts) - 1
    assert last * parts.part_size + parts.length(last) == size
    assert all(parts.length(number) == parts.part_size for number in {0, last // 2, last} - {last})


@given(SIZES)
def test_there_are_at_most_ten_thousand_parts_of_whole_mebibytes(size: int) -> None:
    parts = Parts.of(size)
    assert 1 <= len(parts) <= 10_000
    assert parts.part_size >= 16 * MIB
    assert parts.part_size % MIB == 0


@given(SIZES)
def test_parts_are_no_larger_than_they_need_to_be(size: int) -> None:
    part_size = Parts.of(size).part_size
    assert part_size == 16 * MIB or (part_size - MIB) * 10_000 < size
