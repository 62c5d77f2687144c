"""What every store's uploads keep to: the sentences of `ports.Upload` as laws."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from mirror_sync.errors import KeyMissing, StoreError
from mirror_sync.ports.store import Store, Upload
from tests.stores.places import (
    MIB,
    Place,
    answer,
    child,
    in_child,
    keys,
    put,
    read,
    upload_half,
    upload_with_one_buffer,
)


def part(upload: Upload, body: bytes, number: int) -> bytes:
    return body[number * upload.part_size : (number + 1) * upload.part_size]


class UploadContract:
    """A subclass brings the fixture `place`."""

    @pytest.fixture
    def store(self, place: Place) -> Store:
        return place.open()

    @pytest.fixture
    def body(self, store: Store) -> bytes:
        """Three parts, the last one short."""
        return os.urandom(2 * store.part_size + 12_345)

    def test_parts_may_come_in_any_order_from_many_threads_and_again(self, store: Store, body: bytes) -> None:
        with store.begin("a/b", len(body)) as upload:
            numbers = [0, 1, 2, 0, 1, 2]
            random.Random(1).shuffle(numbers)
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(lambda number: upload.put(number, part(upload, body, number)), numbers))
            upload.complete()
        assert read(store, "a/b") == body

    def test_of_a_repeated_part_the_last_counts(self, store: Store) -> None:
        with store.begin("a", 5) as upload:
            upload.put(0, b"wrong")
            upload.put(0, memoryview(b"right"))
            upload.complete()
        assert read(store, "a") == b"right"

    def test_a_part_may_be_reused_after_put_returns(self, store: Store) -> None:
        buffer = bytearray(2 * MIB)
        with store.begin("a", len(buffer)) as upload:
            upload.put(0, buffer)
            buffer[:] = b"x" * len(buffer)
            upload.complete()
        assert read(store, "a") == bytes(2 * MIB)

    def test_nothing_is_visible_before_complete(self, store: Store) -> None:
        with store.begin("a/b", 3) as upload:
            upload.put(0, b"new")
            assert store.stat("a/b") is None
            assert keys(store) == []
            with pytest.raises(KeyMissing), store.read("a/b"):
                pass
            upload.complete()
            assert keys(store) == ["a/b"]

    def test_the_old_object_stays_until_complete(self, store: Store) -> None:
        put(store, "a", b"old")
        with store.begin("a", 5) as upload:
            upload.put(0, b"newer")
            assert read(store, "a") == b"old"
            upload.complete()
        assert read(store, "a") == b"newer"

    def test_leaving_without_complete_leaves_nothing(self, store: Store) -> None:
        with store.begin("a/b", 3) as upload:
            upload.put(0, b"new")
        assert (store.stat("a/b"), keys(store)) == (None, [])

    def test_an_error_on_the_way_leaves_the_old_object(self, store: Store) -> None:
        put(store, "a", b"old")
        upload = store.begin("a", 3)
        with suppress(ZeroDivisionError), upload:
            upload.put(0, b"new")
            raise ZeroDivisionError
        assert read(store, "a") == b"old"

    def test_abort_may_be_repeated_and_ends_the_upload(self, store: Store) -> None:
        upload = store.begin("a", 3)
        upload.put(0, b"new")
        upload.abort()
        upload.abort()
        with pytest.raises(StoreError):
            upload.put(0, b"new")
        with pytest.raises(StoreError):
            upload.complete()
        assert store.stat("a") is None

    def test_abort_after_complete_changes_nothing(self, store: Store) -> None:
        with store.begin("a", 3) as upload:
            upload.put(0, b"new")
            upload.complete()
            upload.abort()
        assert read(store, "a") == b"new"

    def test_an_upload_that_lacks_a_part_cannot_be_completed(self, store: Store, body: bytes) -> None:
        with store.begin("a", len(body)) as upload:
            upload.put(0, part(upload, body, 0))
            upload.put(2, part(upload, body, 2))
            with pytest.raises(StoreError, match="1 of 3 parts"):
                upload.complete()
        assert store.stat("a") is None

    def test_a_body_that_is_not_the_part_is_the_callers_fault(self, store: Store) -> None:
        with store.begin("a", 5) as upload:
            for number, length in ((0, 4), (0, 6), (1, 5), (-1, 5)):
                with pytest.raises(ValueError, match="part"):
                    upload.put(number, bytes(length))

    def test_an_empty_object_is_one_empty_part(self, store: Store) -> None:
        with store.begin("a", 0) as upload:
            upload.put(0, b"")
            upload.complete()
        assert read(store, "a") == b""

    def test_what_a_killed_process_has_begun_is_never_seen(self, place: Place, store: Store) -> None:
        put(store, "a", b"old")
        with child(upload_half, place, "a") as (process, answers):
            answer(answers)
            process.kill()
        assert keys(store) == ["a"]
        assert read(store, "a") == b"old"
        put(store, "a", b"new")
        assert read(store, "a") == b"new"

    def test_memory_does_not_grow_with_the_object(self, place: Place, store: Store) -> None:
        size = 12 * store.part_size
        grown = in_child(upload_with_one_buffer, place, "big", size)
        assert grown < 8 * MIB
        found = store.stat("big")
        assert found is not None
        assert found.size == size
