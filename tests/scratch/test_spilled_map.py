"""A map that goes to the disk says what a dict would."""

from __future__ import annotations

import sqlite3
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.errors import StoreUnavailable
from mirror_sync.scratch.spilled_map import SpilledMap
from mirror_sync.scratch.unnamed import scratch_errors, unnamed

short = st.binary(max_size=2)


@given(st.lists(st.tuples(st.sampled_from(["put", "pop", "get", "clear"]), short, short)), st.integers(0, 4))
def test_it_is_a_dict_whatever_it_keeps_in_memory(steps: list[tuple[str, bytes, bytes]], most: int) -> None:
    spilled, plain = SpilledMap(most), dict[bytes, bytes]()
    for verb, key, value in steps:
        if verb == "put":
            assert spilled.put(key, value) is (key not in plain)
            plain[key] = value
        elif verb == "pop":
            assert spilled.pop(key) == plain.pop(key, None)
        elif verb == "get":
            assert (spilled.get(key), key in spilled) == (plain.get(key), key in plain)
        else:
            spilled.clear()
            plain.clear()
        assert (len(spilled), list(spilled.all_keys())) == (len(plain), sorted(plain))


def test_what_is_many_is_not_in_memory() -> None:
    assert _peak(40_000) - _peak(20_000) < 20_000 * 8  # bytes


def _peak(count: int) -> int:
    tracemalloc.start()
    try:
        spilled = SpilledMap(1000)
        for number in range(count):
            spilled.put(number.to_bytes(40, "big"), bytes(52))
        assert len(spilled) == sum(1 for _ in spilled.all_keys()) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_disk_that_cannot_be_used_is_told_in_one_line() -> None:
    with pytest.raises(StoreUnavailable, match=r"^the folder for temporary files \(TMPDIR, or /var/tmp\) cannot be"):
        unnamed("no table at all")
    with pytest.raises(StoreUnavailable), scratch_errors():
        raise sqlite3.OperationalError("locked")
