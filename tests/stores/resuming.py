"""What every store keeps to when an upload is gone on with: the rest of `ports.Upload`, and `sweep`, as laws."""

from __future__ import annotations

import json
import os

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreError
from mirror_sync.ports.store import Store, Upload
from tests.stores.places import MIB, Place, answer, child, keys, read, upload_half_and_tell
from tests.stores.uploads import part

KEY = blob_key(Sha256.of(b"what is uploaded"))
NO_TOKENS = ["", "{}", "[]", "nonsense", '{"upload": 3}', json.dumps(dict.fromkeys(("upload", "size"), "x"))]
HOUR = 3600.0
BACK = -60.0  # an age that everything has


def kept_upload(place: Place, body: bytes, kept: int, key: str = KEY) -> str:
    """Puts leading parts and leaves them; returns the token."""
    with place.open().begin(key, len(body)) as upload:
        for number in range(kept):
            upload.put(number, part(upload, body, number))
        upload.keep()
        return upload.token(kept)


def put_rest(upload: Upload, body: bytes) -> None:
    for number in range(upload.kept, -(-len(body) // upload.part_size)):
        upload.put(number, part(upload, body, number))


class ResumeContract:
    """A subclass brings the fixture `place`."""

    @pytest.fixture
    def store(self, place: Place) -> Store:
        return place.open()

    @pytest.fixture
    def body(self, store: Store) -> bytes:
        """Three parts, the last one short."""
        return os.urandom(2 * store.part_size + 12_345)

    @pytest.mark.parametrize("kept", [1, 2, 3])
    def test_what_was_kept_need_not_be_put_again(self, place: Place, store: Store, body: bytes, kept: int) -> None:
        token = kept_upload(place, body, kept)
        assert keys(store) == []
        with store.begin(KEY, len(body), token) as upload:
            assert upload.kept == kept
            put_rest(upload, body)
            upload.complete()
        assert read(store, KEY) == body

    def test_what_a_killed_process_has_put_is_gone_on_with(self, place: Place, store: Store) -> None:
        with child(upload_half_and_tell, place, KEY) as (process, answers):
            token = answer(answers)
            process.kill()
        with store.begin(KEY, 2 * store.part_size, token) as upload:
            assert upload.kept == 1
            upload.put(1, b"b" * store.part_size)
            upload.complete()
        assert read(store, KEY) == b"a" * store.part_size + b"b" * store.part_size

    def test_parts_beyond_the_token_are_put_again_and_the_last_counts(self, place: Place, body: bytes) -> None:
        with place.open().begin(KEY, len(body)) as first:
            first.put(0, part(first, body, 0))
            first.put(1, bytes(first.part_size))
            first.keep()
        store = place.open()
        with store.begin(KEY, len(body), first.token(1)) as upload:
            assert upload.kept == 1
            with pytest.raises(StoreError, match="2 of 3 parts"):
                upload.complete()
            put_rest(upload, body)
            upload.complete()
        assert read(store, KEY) == body

    def test_it_may_be_kept_again_and_again(self, place: Place, body: bytes) -> None:
        token = None
        for number in range(3):
            with place.open().begin(KEY, len(body), token) as upload:
                assert upload.kept == number
                upload.put(number, part(upload, body, number))
                upload.keep()
                token = upload.token(number + 1)
        with place.open().begin(KEY, len(body), token) as upload:
            upload.complete()
        assert read(place.open(), KEY) == body

    def test_kept_parts_are_vouched_for_or_can_be_read(self, place: Place, store: Store, body: bytes) -> None:
        with store.begin(KEY, len(body), kept_upload(place, body, 2)) as upload:
            kept = upload.read_kept()
            if kept is not None:
                got, buffer = bytearray(), memoryview(bytearray(100_003))
                with kept as stream:
                    while count := stream.readinto(buffer):
                        got += buffer[:count]
                assert got == body[: 2 * upload.part_size]

    def test_a_token_is_small_whatever_the_number_of_parts(self, store: Store) -> None:
        with store.begin(KEY, 3) as upload:
            upload.put(0, b"abc")
            assert len(upload.token(1)) < 500

    @pytest.mark.parametrize("token", NO_TOKENS)
    def test_what_is_no_token_starts_anew(self, store: Store, token: str) -> None:
        with store.begin(KEY, 3, token) as upload:
            assert upload.kept == 0
            upload.put(0, b"abc")
            upload.complete()
        assert read(store, KEY) == b"abc"

    def test_after_an_abort_it_starts_anew(self, place: Place, store: Store, body: bytes) -> None:
        with store.begin(KEY, len(body), kept_upload(place, body, 2)) as upload:
            token = upload.token(2)
            upload.keep()
            upload.abort()
        with store.begin(KEY, len(body), token) as again:
            assert again.kept == 0
            put_rest(again, body)
            again.complete()
        assert read(store, KEY) == body

    def test_after_it_was_completed_it_starts_anew(self, place: Place, store: Store, body: bytes) -> None:
        token = kept_upload(place, body, 3)
        with store.begin(KEY, len(body), token) as upload:
            upload.complete()
        with store.begin(KEY, len(body), token) as again:
            assert again.kept == 0
        assert read(store, KEY) == body

    def test_another_cut_starts_anew_and_removes_the_old_parts(self, place: Place, store: Store, body: bytes) -> None:
        token = kept_upload(place, body, 2)
        with store.begin(KEY, len(body) + 1, token) as upload:
            assert upload.kept == 0
        assert store.sweep(BACK) == 0

    def test_sweeping_removes_what_nobody_goes_on_with_and_nothing_younger(
        self, place: Place, store: Store, body: bytes
    ) -> None:
        token = kept_upload(place, body, 1)
        store.put("a", b"x", Sha256.of(b"x"))
        assert store.sweep(HOUR) == 0
        assert store.sweep(BACK) == 1
        assert store.sweep(BACK) == 0
        with store.begin(KEY, len(body), token) as upload:
            assert upload.kept == 0
        assert keys(store) == ["a"]

    def test_an_upload_goes_on_beside_a_sweep(self, place: Place, store: Store, body: bytes) -> None:
        with store.begin(KEY, len(body), kept_upload(place, body, 1)) as upload:
            assert place.open().sweep(HOUR) == 0
            put_rest(upload, body)
            upload.complete()
        assert read(store, KEY) == body

    def test_sweeping_where_nothing_was_ever_put_finds_nothing(self, store: Store) -> None:
        assert store.sweep(BACK) == 0

    def test_free_space_is_told_in_bytes_or_not_at_all(self, store: Store) -> None:
        free = store.free()
        assert free is None or free > MIB
