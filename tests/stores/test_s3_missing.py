"""Something else than a bucket answers at its address: that is never taken for "nothing is stored there"."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror_sync.errors import KeyMissing, StoreError
from mirror_sync.stores.s3.bucket_store import S3Store
from tests.servers.bucket import S3Server
from tests.stores.places import keys, put, read, store_in
from tests.stores.scripted import LISTING, Answer, Asked, fault, is_listing, scripted
from tests.stores.test_s3 import EVERY_CALL, store_on

OPERATIONS = {
    "stat": "HeadObject|ListObjectsV2",
    "read": "GetObject",
    "put": "PutObject",
    "begin": "CreateMultipartUpload",
    "list": "ListObjectsV2",
    "delete": "DeleteObjects?",
    "sweep": "ListMultipartUploads",
    "touch": "CopyObject|HeadObject|ListObjectsV2",
}
CALLS: dict[str, Callable[[S3Store], object]] = {**EVERY_CALL, "touch": lambda store: store.touch("k")}
PAGE = b"<!DOCTYPE html>\n<html><body><h1>Welcome</h1></body></html>"
PAGE_IN_XML = b'<?xml version="1.0"?><html><body><h1>Welcome</h1></body></html>'
HTML = {"Content-Type": "text/html; charset=utf-8"}
MARK = {"x-amz-request-id": "1"}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "answer",
    [Answer(404), Answer(404, b'{"error": "not found"}'), Answer(404, PAGE, HTML), Answer(404, PAGE_IN_XML, HTML)],
    ids=["empty", "json", "page", "page in xml"],
)
def test_a_404_that_no_bucket_gives_is_an_error_with_address_and_operation(name: str, answer: Answer) -> None:
    with scripted(lambda _: answer) as server, pytest.raises(StoreError, match=OPERATIONS[name]) as caught:
        CALLS[name](store_on(server))
    assert not isinstance(caught.value, KeyMissing)
    assert server.endpoint_url in str(caught.value)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "put"])
@pytest.mark.parametrize("body", [PAGE, PAGE_IN_XML, b""], ids=["page", "page in xml", "empty"])
def test_a_web_page_in_place_of_an_answer_is_an_error(name: str, body: bytes) -> None:
    """A put cannot tell: what was put is looked for before it is relied on."""
    with scripted(lambda _: Answer(200, body, HTML)) as server, pytest.raises(StoreError) as caught:
        CALLS[name](store_on(server))
    assert server.endpoint_url in str(caught.value)


@pytest.mark.parametrize("name", ["list", "delete", "touch"])
def test_the_xml_of_something_else_is_no_answer(name: str) -> None:
    """In a quiet DeleteObjects, or a CopyObject, nothing else would show that it was not done."""

    def script(asked: Asked) -> Answer:
        if asked.method == "HEAD":
            return Answer(200, b"12345", {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "ETag": '"x"'})
        return Answer(200, b"<Welcome/>")

    with scripted(script) as server, pytest.raises(StoreError, match="without the XML of an S3 server"):
        CALLS[name](store_on(server))


def test_nor_does_it_complete_an_upload() -> None:
    def script(asked: Asked) -> Answer:
        if asked.method == "PUT":
            return Answer(headers={"ETag": '"e"'})
        begun = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        return Answer(body=begun if asked.target.endswith("?uploads") else b"<Welcome/>")

    with scripted(script) as server, store_on(server).begin("k", 3) as upload:
        upload.put(0, b"abc")
        with pytest.raises(StoreError, match="CompleteMultipartUpload: HTTP 200 without the XML of an S3 server"):
            upload.complete()


ONE = (
    b"<Contents><Key>hub/a</Key><Size>3</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    b"<ETag>x</ETag></Contents>"
)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"<IsTruncated>true</IsTruncated>" + ONE, "nothing to ask for the rest with"),
        (b"<IsTruncated>true</IsTruncated><NextMarker>hub/a</NextMarker>" + ONE, "nothing to ask for the rest"),
        (b"<KeyCount>5</KeyCount><IsTruncated>false</IsTruncated>" + ONE, "with 1 keys that says 5"),
        (b"<Prefix>elsewhere/</Prefix><IsTruncated>false</IsTruncated>", "another prefix than 'hub/'"),
        (b"<IsTruncated>false</IsTruncated>" + ONE.replace(b"hub/", b"bub/"), "another prefix than 'hub/'"),
    ],
    ids=["cut", "cut, of version 1", "short", "foreign prefix", "foreign key"],
)
def test_a_listing_that_is_not_the_whole_of_what_was_asked_for_is_an_error(said: bytes, why: str) -> None:
    """What it lacks would be taken for not there: a prune would remove what is in use."""
    answer = Answer(body=b"<ListBucketResult><Name>b</Name>" + said + b"</ListBucketResult>")
    with scripted(lambda _: answer) as server, pytest.raises(StoreError, match=why):
        list(store_on(server).list("hub/"))


def test_an_answer_that_lacks_what_it_is_for_is_an_error_with_address_and_operation() -> None:
    def script(asked: Asked) -> Answer:
        begun = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        return Answer(body=begun, headers={"Content-Type": "application/xml"}) if asked.method == "POST" else Answer()

    with scripted(script) as server, store_on(server).begin("k", 3) as upload:
        with pytest.raises(StoreError, match="UploadPart: an answer without 'ETag'") as caught:
            upload.put(0, b"abc")
        assert server.endpoint_url in str(caught.value)


def test_a_404_without_the_mark_of_a_bucket_that_has_one_is_asked_again() -> None:
    """Where a gateway has lost the bucket meanwhile, HEAD alone would say that nothing is there."""
    gone = [False]

    def script(asked: Asked) -> Answer:
        if gone[0]:
            return Answer(404)
        listing = Answer(body=LISTING.body, headers=MARK)
        return listing if is_listing(asked) else Answer(404, headers=MARK)

    with scripted(script) as server:
        store = store_on(server)
        assert store.stat("k") is None
        assert store.stat("k") is None
        assert len(server.asked) == 3, "the bucket is looked at once"
        gone[0] = True
        with pytest.raises(StoreError, match="GetObject: HTTP 404 without the code"):
            store.stat("k")


def test_a_bucket_that_marks_nothing_is_asked_for_a_listing_once() -> None:
    def script(asked: Asked) -> Answer:
        return LISTING if is_listing(asked) else Answer(404)

    with scripted(script) as server:
        store = store_on(server)
        assert [store.stat(key) for key in ("a", "b", "c")] == [None] * 3
    assert [is_listing(asked) for asked in server.asked].count(True) == 1
    assert len(server.asked) == 4


def test_who_may_not_list_may_still_be_told_that_a_key_is_missing() -> None:
    def script(asked: Asked) -> Answer:
        return fault("AccessDenied", 403) if is_listing(asked) else Answer(404)

    with scripted(script) as server:
        assert store_on(server).stat("k") is None


def test_a_real_bucket_marks_its_answers(radosgw: S3Server) -> None:
    """So nothing is asked twice there; and a missing key stays one for every verb."""
    store = store_in(radosgw)
    assert store.stat("k") is None
    with pytest.raises(KeyMissing):
        read(store, "k")
    with pytest.raises(KeyMissing):
        store.touch("k")


@pytest.mark.parametrize("status", [501, 405])
def test_where_there_are_no_batches_objects_are_deleted_one_by_one(status: int) -> None:
    def script(asked: Asked) -> Answer:
        return fault("NotImplemented", status) if asked.method == "POST" else Answer(204)

    with scripted(script) as server:
        store = store_on(server, "p")
        store.delete(["a", "b"])
        store.delete(["c"])
    deleted = [asked.target.partition("?")[0] for asked in server.asked if asked.method == "DELETE"]
    assert sorted(deleted) == ["/b/p/a", "/b/p/b", "/b/p/c"]
    assert [asked.method for asked in server.asked].count("POST") == 1


def test_one_that_cannot_be_deleted_is_named() -> None:
    def script(asked: Asked) -> Answer:
        if asked.method == "POST":
            return fault("NotImplemented", 501)
        return fault("AccessDenied", 403) if "locked" in asked.target else fault("NoSuchKey", 404)

    with scripted(script) as server, pytest.raises(StoreError, match="key locked: DeleteObject: HTTP 403"):
        store_on(server).delete(["gone", "locked"])


def test_a_server_without_uploads_in_parts_is_told_apart_by_the_operation_and_a_remedy() -> None:
    with (
        scripted(lambda _: Answer(400)) as server,
        pytest.raises(StoreError, match=r"key k: CreateMultipartUpload: HTTP 400.*multipart: off"),
    ):
        store_on(server).begin("k", 5)


@pytest.mark.parametrize("status", [400, 416])
def test_a_range_beyond_the_end_is_empty_whatever_the_server_calls_it(status: int) -> None:
    def script(asked: Asked) -> Answer:
        return fault("InvalidArgument", status) if "range" in asked.headers else Answer(body=b"short")

    with scripted(script) as server:
        assert read(store_on(server), "k", 10, 20) == b""


def test_a_listing_goes_on_over_keys_of_a_bucket(radosgw: S3Server) -> None:
    store = store_in(radosgw)
    assert keys(store) == []
    put(store, "k", b"x")
    assert keys(store) == ["k"]
