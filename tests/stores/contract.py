"""What every store keeps to: the sentences of `ports.Store` as laws. Each store runs them under its own name."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import KeyMissing, StoreError
from mirror_sync.ports.store import Store
from tests.stores.places import MIB, Place, child, keys, put, read, write_again_and_again

NOT_KEYS = ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a/..", "a\0b", ".staging/a", "\ud800"]
ODD_KEYS = ["ünï--cödé/文.json", "a b/c+d", "%41%2F", "q?x=1&y#z", 'it\'s "so"', "back\\slash", "tilde~*(x)", "😀"]
RANGES = [(0, 10), (5, 8), (7, None), (0, None), (3, 3), (0, 0), (5, 2), (90, 1000), (99, 100), (100, None), (500, 600)]


class StoreContract:
    """A subclass brings the fixture `place`."""

    odd_keys: ClassVar[Sequence[str]] = ODD_KEYS

    @pytest.fixture
    def store(self, place: Place) -> Store:
        return place.open()

    @pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 5 * MIB])
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_what_is_read_is_what_was_put(self, store: Store, size: int, kind: type) -> None:
        body = os.urandom(size)
        store.put("a/b", kind(body), Sha256.of(body))
        assert read(store, "a/b") == body

    def test_the_body_may_be_reused_after_put_returns(self, store: Store) -> None:
        body = bytearray(b"first")
        store.put("a", body, Sha256.of(body))
        body[:] = b"later"
        assert read(store, "a") == b"first"

    def test_stat_knows_the_size_and_when(self, store: Store) -> None:
        put(store, "a/b", b"12345")
        put(store, "a/c", b"")
        found, empty = store.stat("a/b"), store.stat("a/c")
        assert found is not None
        assert empty is not None
        assert (found.key, found.size, empty.size) == ("a/b", 5, 0)
        assert empty.modified >= found.modified > 1_600_000_000

    def test_stat_is_none_when_nothing_is_stored_under_the_key(self, store: Store) -> None:
        put(store, "a/b", b"x")
        assert [store.stat(key) for key in ("b", "a", "a/c", "a/b/c", "a/bc")] == [None] * 5

    @pytest.mark.parametrize("size", [0, 10, 9 * MIB])
    def test_a_touched_object_is_as_young_as_one_that_was_just_put_and_keeps_its_bytes(
        self, store: Store, size: int
    ) -> None:
        body = os.urandom(size)
        store.put("a/b", body, Sha256.of(body))
        before = store.stat("a/b")
        time.sleep(1.1)  # a bucket's clock has seconds
        store.touch("a/b")
        after = store.stat("a/b")
        put(store, "a/c", b"")
        now = store.stat("a/c")
        assert before is not None
        assert after is not None
        assert now is not None
        assert before.modified < after.modified <= now.modified
        assert read(store, "a/b") == body

    def test_a_missing_key_cannot_be_touched(self, store: Store) -> None:
        put(store, "a/b", b"x")
        with pytest.raises(KeyMissing):
            store.touch("a/c")

    def test_a_missing_key_cannot_be_read(self, store: Store) -> None:
        put(store, "a/b", b"x")
        for key in ("b", "a", "a/b/c"):
            for start, stop in ((0, None), (2, 5), (3, 3)):
                with pytest.raises(KeyMissing) as caught, store.read(key, start, stop):
                    pass
                assert caught.value.key == key

    def test_a_range_is_a_slice(self, store: Store) -> None:
        body = bytes(range(100))
        put(store, "a", body)
        assert [read(store, "a", *each) for each in RANGES] == [body[slice(*each)] for each in RANGES]

    def test_an_empty_object_has_only_empty_ranges(self, store: Store) -> None:
        put(store, "a", b"")
        assert [read(store, "a", *each) for each in RANGES] == [b""] * len(RANGES)

    def test_a_second_put_replaces_the_first(self, store: Store) -> None:
        for body in (b"old and longer", b"new"):
            put(store, "a", body)
            assert read(store, "a") == body

    def test_a_reader_that_began_before_a_replacement_reads_the_old_object_to_its_end(self, store: Store) -> None:
        old, new = os.urandom(6 * MIB), os.urandom(MIB)
        put(store, "a", old)
        got, buffer = bytearray(), memoryview(bytearray(65_536))
        with store.read("a") as stream:
            got += buffer[: stream.readinto(buffer)]
            put(store, "a", new)
            while count := stream.readinto(buffer):
                got += buffer[:count]
        assert got == old
        assert read(store, "a") == new

    def test_readers_beside_two_writing_processes_see_one_object_or_the_other_whole(
        self, place: Place, store: Store
    ) -> None:
        bodies = [b"a" * 200_000, b"b" * 300_000]
        put(store, "k", bodies[0])
        first, second = (child(write_again_and_again, place, "k", body, 15) for body in bodies)
        with first as (one, _), second as (other, _):
            seen = [read(store, "k")]
            while one.is_alive() or other.is_alive():
                seen.append(read(store, "k"))
        assert (one.exitcode, other.exitcode) == (0, 0)
        assert set(seen) <= set(bodies)

    def test_every_thread_finds_what_every_other_has_put(self, store: Store) -> None:
        def work(number: int) -> None:
            put(store, f"own/{number}", b"%d" % number)
            put(store, "shared", b"shared")
            assert read(store, f"own/{number}") == b"%d" % number
            assert read(store, "shared") == b"shared"

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(work, range(64)))
        assert len(keys(store, "own/")) == 64

    def test_every_key_is_listed_once(self, store: Store) -> None:
        unordered = ["a/b/c", "a-b", "a/b", "a/b-c", "a0", "a/b/C", "B", "é", "a.b", "z", "😀", "a/\uffee"]
        wanted = [key for key in unordered if key != "a/b"]  # no key is the folder of another: domain/content/keys.py
        for key in wanted:
            put(store, key, b"x")
        assert keys(store) == sorted(wanted)

    def test_a_prefix_may_end_anywhere(self, store: Store) -> None:
        for key in ("ab/cd/1", "ab/cd/2", "ab/ce/3", "abx/4", "b/5"):
            put(store, key, b"x")
        for prefix in ("", "a", "ab", "ab/", "ab/c", "ab/cd", "ab/cd/", "ab/cd/1", "ab/cd/1/", "b/5", "c", "ab/x/y"):
            assert keys(store, prefix) == [key for key in keys(store) if key.startswith(prefix)]

    def test_list_says_what_stat_says(self, store: Store) -> None:
        put(store, "a/b", b"12345")
        (listed,) = store.list("a/")
        found = store.stat("a/b")
        assert found is not None
        assert (listed.key, listed.size, int(listed.modified)) == (found.key, found.size, int(found.modified))

    def test_more_objects_than_a_page_or_a_batch_holds_are_listed_and_deleted(self, store: Store) -> None:
        many = [f"many/{number:05}" for number in range(1_003)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: put(store, key, b""), many))
        assert keys(store, "many/") == many
        store.delete(iter(many[1:]))
        assert keys(store) == many[:1]

    def test_deleting_removes_these_and_no_others(self, store: Store) -> None:
        for key in ("a/1", "a/2", "a/22"):
            put(store, key, b"x")
        store.delete(["a/2"])
        assert keys(store) == ["a/1", "a/22"]

    def test_deleting_what_is_not_there_is_no_error(self, store: Store) -> None:
        put(store, "a/b", b"x")
        store.delete(["b", "a", "a/c", "a/b/c"])
        store.delete([])
        assert keys(store) == ["a/b"]

    def test_a_deleted_key_can_be_put_again(self, store: Store) -> None:
        put(store, "a/b", b"x")
        store.delete(["a/b"])
        assert store.stat("a/b") is None
        put(store, "a/b", b"y")
        assert read(store, "a/b") == b"y"

    def test_odd_keys_survive(self, store: Store) -> None:
        for key in self.odd_keys:
            put(store, f"x/{key}", key.encode())
        assert keys(store) == sorted(f"x/{key}" for key in self.odd_keys)
        assert [read(store, f"x/{key}") for key in self.odd_keys] == [key.encode() for key in self.odd_keys]
        store.delete(f"x/{key}" for key in self.odd_keys)
        assert keys(store) == []

    @pytest.mark.parametrize("key", NOT_KEYS)
    def test_what_is_no_key_is_refused_by_every_verb(self, store: Store, key: str) -> None:
        with pytest.raises(StoreError, match="not a key"):
            store.stat(key)
        with pytest.raises(StoreError, match="not a key"), store.read(key):
            pass
        with pytest.raises(StoreError, match="not a key"):
            put(store, key, b"x")
        with pytest.raises(StoreError, match="not a key"):
            store.begin(key, 5)
        with pytest.raises(StoreError, match="not a key"):
            store.delete([key])

    @pytest.mark.parametrize("prefix", ["/", "../", "a/../b", "a//", "\0", "\ud800"])
    def test_what_is_no_beginning_of_a_key_is_not_listed(self, store: Store, prefix: str) -> None:
        with pytest.raises(StoreError):
            keys(store, prefix)
