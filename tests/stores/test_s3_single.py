"""A target that says `multipart: off`: a large object goes in one PUT, and is not there before it is complete."""

from __future__ import annotations

import os

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreError
from mirror_sync.stores.s3.bucket_store import S3Store
from tests.servers.bucket import S3Server
from tests.stores.places import MIB, PART_SIZE, put, read, store_at, store_in
from tests.stores.scripted import Answer, fault, scripted

BODY = os.urandom(2 * PART_SIZE + 12_345)
KEY = blob_key(Sha256.of(BODY))


def store_on(server: S3Server) -> S3Store:
    return store_in(server, "pre/fix", multipart=False)


def upload(store: S3Store, body: bytes, key: str = KEY) -> None:
    with store.begin(key, len(body)) as one:
        for number in range(max(1, -(-len(body) // one.part_size))):
            one.put(number, bytearray(body[number * one.part_size : (number + 1) * one.part_size]))
        assert store.stat(key) is None
        one.complete()


@pytest.mark.parametrize("size", [0, 1, MIB, len(BODY)])
def test_parts_become_one_object_when_they_are_complete(radosgw: S3Server, size: int) -> None:
    store, body = store_on(radosgw), BODY[:size]
    upload(store, body, blob_key(Sha256.of(body)))
    assert read(store, blob_key(Sha256.of(body))) == body


def test_a_server_that_checks_refuses_other_bytes_than_those_of_the_key(radosgw: S3Server) -> None:
    store = store_on(radosgw)
    with pytest.raises(StoreError, match="PutObject: HTTP 400 XAmzContentSHA256Mismatch"):
        upload(store, b"x" + BODY[1:])
    assert store.stat(KEY) is None


def test_leaving_without_complete_leaves_nothing(radosgw: S3Server) -> None:
    store = store_on(radosgw)
    with store.begin(KEY, len(BODY)) as one:
        for number in range(3):
            one.put(number, BODY[number * PART_SIZE : (number + 1) * PART_SIZE])
        one.keep()
        token = one.token(3)
    assert store.stat(KEY) is None
    with store.begin(KEY, len(BODY), token) as again:
        assert again.kept == 0


def test_parts_come_in_order_and_once(radosgw: S3Server) -> None:
    with store_on(radosgw).begin(KEY, len(BODY)) as one:
        assert one.in_order
        one.put(0, BODY[:PART_SIZE])
        for number in (0, 2):
            with pytest.raises(StoreError, match="1 comes next"):
                one.put(number, BODY[number * PART_SIZE : (number + 1) * PART_SIZE])


def test_a_large_object_is_touched_by_one_copy(radosgw: S3Server) -> None:
    store = store_on(radosgw)
    upload(store, BODY)
    store.touch(KEY)
    assert read(store, KEY) == BODY


def test_only_puts_are_asked_for() -> None:
    with scripted(lambda _: Answer(headers={"ETag": '"e"'})) as server:
        store = store_at(server.endpoint_url, multipart=False)
        with store.begin(KEY, len(BODY)) as one:
            for number in range(-(-len(BODY) // one.part_size)):
                one.put(number, BODY[number * one.part_size : (number + 1) * one.part_size])
            one.complete()
        assert store.sweep(0) == 0
    (asked,) = server.asked
    assert (asked.method, asked.body) == ("PUT", BODY)
    assert asked.headers["x-amz-content-sha256"] == Sha256.of(BODY)


def test_a_refusal_is_told_to_whoever_puts_or_completes() -> None:
    with scripted(lambda _: fault("AccessDenied", 403)) as server:
        store = store_at(server.endpoint_url, multipart=False)
        with store.begin("k", 5) as one:
            one.put(0, b"12345")
            with pytest.raises(StoreError, match="PutObject: HTTP 403 AccessDenied"):
                one.complete()


def test_more_than_one_put_takes_is_refused_before_the_first_byte() -> None:
    with scripted(lambda _: Answer()) as server:
        store = store_at(server.endpoint_url, multipart=False)
        with pytest.raises(StoreError, match=f"{server.endpoint_url}, key {KEY}: PutObject: .*multipart: off"):
            store.begin(KEY, (5 << 30) + 1)
    assert not server.asked


def test_small_objects_are_put_as_ever(radosgw: S3Server) -> None:
    store = store_on(radosgw)
    put(store, "k", b"x")
    assert read(store, "k") == b"x"
