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
def test_there_are_at_most_ten_thousand_parts_of_whole_mebibytes_that_s3_takes(size: int) -> None:
    parts = Parts.of(size)
    assert 1 <= len(parts) <= 10_000
    assert parts.part_size >= 5 * MIB
    assert parts.part_size % MIB == 0


@given(SIZES)
def test_parts_are_larger_than_asked_for_only_where_there_would_be_many(size: int) -> None:
    part_size = Parts.of(size).part_size
    assert part_size <= (16 if size < 1024 * MIB else 32) * MIB or (part_size - MIB) * 10_000 < size


@given(st.integers(16 * MIB + 1, 5 * 1024**4))
def test_an_object_is_never_all_in_flight_at_once(size: int) -> None:
    """A kill costs the parts in flight: of every object that is brought in parts there are some more."""
    assert len(Parts.of(size)) > 3


def test_the_sizes_in_between() -> None:
    assert [Parts.of(size * MIB).part_size // MIB for size in (17, 40, 64, 100, 128, 1000, 1024)] == [
        5, 5, 8, 13, 16, 16, 32
    ]  # fmt: skip
    assert Parts.of(4 * MIB, MIB).part_size == MIB, "a part size that was asked for is not made larger"
