"""The pieces of `serve` that have laws of their own."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.hub.conditions import byte_range, is_current
from mirror_sync.front.hub.lru import ByteLru
from mirror_sync.front.hub.snapshots import Snapshots
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published
from tests.front.stores import WatchedStore


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 60))))
def test_a_cache_never_holds_more_bytes_than_it_may(puts: list[tuple[int, int]]) -> None:
    cache: ByteLru[int, int] = ByteLru(100)
    for key, weight in puts:
        cache.put(key, weight, weight)
        held = [cache.get(number) for number in range(21)]
        assert sum(weight or 0 for weight in held) <= 100
        assert weight > 25 or cache.get(key) == weight


def test_what_was_used_last_stays() -> None:
    cache: ByteLru[str, int] = ByteLru(100)
    for key in "abcd":
        cache.put(key, 1, 25)
    cache.get("a")
    cache.put("e", 1, 25)
    assert [key for key in "abcde" if cache.get(key)] == ["a", "c", "d", "e"]


def test_refs_are_read_again_after_their_time_and_documents_never(tmp_path: Path) -> None:
    store, now = WatchedStore(DirectoryStore(tmp_path)), [0.0]
    repo = Published(store, Repo(Kind.MODEL, "a/b"))
    commit = repo.publish({"f": b"1"})
    snapshots = Snapshots(store, 1.0, clock=lambda: now[0])
    for moment in (0.0, 0.9, 1.1, 1.9):
        now[0] = moment
        refs = snapshots.refs(repo.repo)
        assert refs is not None
        snapshots.root(refs.snapshots[commit])
    assert [key.rpartition("/")[2] for key in store.read_keys] == ["refs.json", repo.root(commit), "refs.json"]


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_that_is_satisfied_lies_within_the_file(size: int, first: int, last: int) -> None:
    if first <= last and first < size:
        assert byte_range(f"bytes={first}-{last}", None, '"e"', size) == (first, min(last + 1, size))
    assert byte_range(f"bytes=-{last + 1}", None, '"e"', size) == (max(size - last - 1, 0), size)


@given(st.text())
def test_any_if_none_match_is_read(held: str) -> None:
    assert is_current(held, '"e"') in (True, False)
