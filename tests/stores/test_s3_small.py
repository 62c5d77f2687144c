"""The short way of objects into a bucket: what boto3 showed is followed, and what goes wrong is boto3's again."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreDenied, StoreError, StoreUnavailable
from mirror_sync.stores.s3.bucket_store import S3Store
from mirror_sync.stores.s3.small_objects import Signed, signed_headers
from tests.servers.bucket import S3Server
from tests.servers.ports import LOOPBACK
from tests.stores.contract import ODD_KEYS
from tests.stores.places import MIB, put, read, store_at, store_in
from tests.stores.scripted import LISTING, Answer, Asked, Scripted, fault, is_listing, scripted

STORED = Answer(headers={"ETag": '"e"'})
BOTO = "amz-sdk-invocation-id"  # a header that boto3 sends and the short way does not


def warm_store(server: Scripted, prefix: str = "") -> S3Store:
    """A store that boto3 has shown the way."""
    store = store_at(server.endpoint_url, prefix)
    put(store, "first", b"first")
    server.asked.clear()
    return store


def by_boto3(server: Scripted) -> list[bool]:
    """Of each request, whether boto3 made it."""
    return [BOTO in asked.headers for asked in server.asked]


@contextmanager
def after(*answers: Answer) -> Iterator[tuple[Scripted, S3Store]]:
    """A warm store, and a server that gives it these answers and then says yes to everything."""
    left: list[Answer] = []
    with scripted(lambda _: left.pop(0) if left else STORED) as server:
        store = warm_store(server)
        left += answers
        yield server, store


class TestSignature:
    @pytest.mark.parametrize("token", [None, "a/token+of=a-role"])
    @pytest.mark.parametrize("key", ["plain", *ODD_KEYS])
    def test_it_is_botocores_own(self, monkeypatch: pytest.MonkeyPatch, key: str, token: str | None) -> None:
        keys = ReadOnlyCredentials("AKEY", "a-secret", token)
        with scripted(lambda _: STORED) as server:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKEY")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
            if token:
                monkeypatch.setenv("AWS_SESSION_TOKEN", token)
            store = store_at(server.endpoint_url, "pre", access_key=None, secret_key=None, region="eu-west-7")
            put(store, key, b"x")
        (sent,) = server.asked
        described = {"cache-control": sent.headers["cache-control"]}
        place = Signed("PUT", sent.headers["host"], sent.target, Sha256.of(b"x"), described)
        ours = signed_headers(place, "eu-west-7", keys, sent.headers["x-amz-date"])
        assert ours["x-amz-content-sha256"] == sent.headers["x-amz-content-sha256"]
        assert ours.get("x-amz-security-token") == sent.headers.get("x-amz-security-token")
        request = AWSRequest("PUT", server.endpoint_url + sent.target)
        request.headers["host"] = place.host
        for name, value in ours.items():
            request.headers[name] = value
        del request.headers["authorization"]
        request.context["timestamp"] = sent.headers["x-amz-date"]
        signer = _Told(keys, "s3", "eu-west-7")
        text = signer.string_to_sign(request, signer.canonical_request(request))
        assert ours["authorization"].endswith(f"Signature={signer.signature(text, request)}")


class _Told(S3SigV4Auth):
    """botocore's signer, on a request that carries the digest of its payload."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.headers["x-amz-content-sha256"])


class TestWay:
    def test_boto3_goes_first_and_the_others_follow(self) -> None:
        with scripted(lambda _: STORED) as server:
            store = store_at(server.endpoint_url, "pre/fix")
            for name in ("one", "two", "three"):
                put(store, name, name.encode())
        assert by_boto3(server) == [True, False, False]
        assert [(asked.method, asked.target, asked.body) for asked in server.asked] == [
            ("PUT", f"/b/pre/fix/{name}", name.encode()) for name in ("one", "two", "three")
        ]
        assert [asked.headers["host"] for asked in server.asked] == [urlsplit(server.endpoint_url).netloc] * 3

    def test_one_connection_serves_them_all(self) -> None:
        with scripted(lambda _: STORED) as server:
            store = warm_store(server)
            before = len(server.connections)
            for number in range(5):
                put(store, f"k{number}", b"x")
        assert len(server.connections) - before == 1

    def test_the_bucket_may_be_in_the_hosts_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name below localhost leads to this machine everywhere that follows RFC 6761; here, made to."""
        real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real(LOOPBACK, *rest, **more))
        with scripted(lambda _: STORED) as server:
            port = urlsplit(server.endpoint_url).port
            store = store_at(f"http://s3.localhost:{port}", addressing="virtual", bucket="bucket")
            for name in ("one", "two"):
                put(store, name, b"x")
        assert [(asked.headers["host"], asked.target) for asked in server.asked] == [
            (f"bucket.s3.localhost:{port}", "/one"),
            (f"bucket.s3.localhost:{port}", "/two"),
        ]
        assert by_boto3(server) == [True, False]

    @pytest.mark.parametrize(("size", "boto3"), [(10 * MIB + 1, False), (20 * MIB, True)])
    def test_what_is_larger_than_a_part_is_left_to_boto3(self, size: int, boto3: bool) -> None:
        body = bytes(range(256)) * (size // 256) + bytes(size % 256)
        with scripted(lambda _: STORED) as server:
            put(warm_store(server), "k", body)
        assert by_boto3(server) == [boto3]
        assert server.asked[-1].body == body

    @pytest.mark.parametrize("answer", [Answer(503), fault("SlowDown", 503)])
    def test_a_server_that_refuses_large_bodies_is_asked_whether_they_may_come(self, answer: Answer) -> None:
        body = bytes(range(256)) * (MIB // 256)
        with after(answer) as (server, store):
            for name in ("refused", "later"):
                put(store, name, body)
            put(store, "small", b"small")
        assert by_boto3(server) == [False, True, True, False]
        assert [asked.body for asked in server.asked[1:]] == [body, body, b"small"]

    def test_a_real_server_takes_every_key(self, radosgw: S3Server) -> None:
        store = store_in(radosgw, "some/prefix")
        put(store, "first", b"shows the way")
        for key in ODD_KEYS:
            put(store, key, key.encode())
        assert [read(store, key) for key in ODD_KEYS] == [key.encode() for key in ODD_KEYS]

    def test_many_threads_may_put(self, radosgw: S3Server) -> None:
        store = store_in(radosgw)
        bodies = {f"k{number}": bytes([number]) * number for number in range(40)}
        threads = [threading.Thread(target=put, args=(store, key, body)) for key, body in bodies.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {key: read(store, key) for key in bodies} == bodies

    def test_a_target_that_never_signs_bodies_binds_none_by_either_way(self, radosgw: S3Server) -> None:
        """So a server hashes nothing of what comes, and takes what is not what was promised."""
        store = store_in(radosgw, sign="never")
        for key in ("first", "k"):
            store.put(key, b"changed", Sha256.of(b"promised"))
        assert [read(store, key) for key in ("first", "k")] == [b"changed"] * 2
        single = store_in(radosgw, sign="never", multipart=False)
        with single.begin(blob_key(Sha256.of(b"promised")), 7) as upload:
            upload.put(0, b"changed")
            upload.complete()
        assert read(single, blob_key(Sha256.of(b"promised"))) == b"changed"

    def test_a_body_that_was_changed_in_memory_is_refused(self, radosgw: S3Server) -> None:
        store = store_in(radosgw)
        put(store, "first", b"shows the way")
        with pytest.raises(StoreUnavailable, match="XAmzContentSHA256Mismatch"):
            store.put("k", b"changed", Sha256.of(b"promised"))
        assert store.stat("k") is None


class TestLooking:
    stated = Answer(headers={"Last-Modified": "Thu, 01 Jan 2026 00:00:10 GMT", "Content-Length": "12"})

    def test_what_is_there_and_what_is_not(self) -> None:
        with after(self.stated, Answer(404), LISTING, self.stated) as (server, store):
            # the third answer is about the bucket, since a missing object might be a missing bucket
            found = [store.stat("k"), store.stat("none"), store.stat("k")]
        assert [stat and (stat.key, stat.size, stat.modified) for stat in found] == [
            ("k", 12, 1767225610.0),
            None,
            ("k", 12, 1767225610.0),
        ]
        heads = [asked for asked in server.asked if not is_listing(asked)]
        assert [(asked.method, asked.target) for asked in heads] == [
            ("HEAD", f"/b/{key}") for key in ("k", "none", "k")
        ]
        assert [BOTO in asked.headers for asked in heads] == [False] * 3

    def test_one_look_of_boto3_shows_the_way_also_where_nothing_is(self) -> None:
        def script(asked: Asked) -> Answer:
            return LISTING if is_listing(asked) else STORED if asked.method == "PUT" else Answer(404)

        with scripted(script) as server:
            store = store_at(server.endpoint_url)
            assert [store.stat("k"), store.stat("k")] == [None, None]
            put(store, "k", b"x")
        assert [(asked.method, BOTO in asked.headers) for asked in server.asked if not is_listing(asked)] == [
            ("HEAD", True),
            ("HEAD", False),
            ("PUT", False),
        ]

    def test_an_answer_that_says_too_little_is_asked_of_boto3(self) -> None:
        with after(Answer(503), self.stated) as (server, store):
            found = store.stat("k")
        assert found is not None
        assert found.size == 12
        assert by_boto3(server) == [False, True]

    def test_a_real_server_says_of_every_key_what_boto3_says(self, radosgw: S3Server) -> None:
        bucket = radosgw.make_bucket()
        store = store_in(radosgw, bucket=bucket)
        for key in ODD_KEYS:
            put(store, key, key.encode())
        for key in ODD_KEYS:
            told = radosgw.client().head_object(Bucket=bucket, Key=key)
            found = store.stat(key)
            assert found is not None
            assert (found.size, found.modified) == (told["ContentLength"], told["LastModified"].timestamp())


class TestFaults:
    @pytest.mark.parametrize("answer", [fault("SlowDown", 503), fault("InternalError", 500), Answer(429)])
    def test_a_server_that_is_busy_is_asked_again_by_boto3(self, answer: Answer) -> None:
        with after(answer) as (server, store):
            put(store, "k", b"body")
            put(store, "next", b"body")
        assert by_boto3(server) == [False, True, False]
        assert [asked.body for asked in server.asked] == [b"body"] * 3

    def test_one_that_stays_busy_is_unavailable(self) -> None:
        with (
            after(*[fault("SlowDown", 503)] * 3) as (server, store),
            pytest.raises(StoreUnavailable, match="HTTP 503 SlowDown"),
        ):
            put(store, "k", b"body")
        assert by_boto3(server) == [False, True, True]

    @pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 20", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nETag: x"])
    def test_a_connection_that_breaks_is_replaced(self, raw: bytes) -> None:
        with after(Answer(raw=raw)) as (server, store):
            put(store, "k", b"body")
            put(store, "next", b"after")
        assert by_boto3(server) == [False, True, False]
        assert [asked.body for asked in server.asked] == [b"body", b"body", b"after"]

    def test_an_idle_connection_that_was_closed_is_replaced(self) -> None:
        with after(Answer(200, headers={"Connection": "close"}), STORED) as (server, store):
            for number in range(3):
                put(store, f"k{number}", b"x")
        assert by_boto3(server) == [False] * 3

    @pytest.mark.parametrize(
        ("answer", "kind"), [(fault("AccessDenied", 403), StoreDenied), (fault("InvalidRequest", 400), StoreError)]
    )
    def test_a_refusal_is_told_by_boto3(self, answer: Answer, kind: type[StoreError]) -> None:
        with after(answer, answer) as (server, store), pytest.raises(kind, match="key k: PutObject: HTTP 40"):
            put(store, "k", b"body")
        assert by_boto3(server) == [False, True]

    def test_a_server_that_refuses_what_boto3_may_is_left_to_boto3(self) -> None:
        def script(asked: Asked) -> Answer:
            return STORED if BOTO in asked.headers else fault("SignatureDoesNotMatch", 403)

        with scripted(script) as server:
            store = warm_store(server)
            for number in range(10):
                put(store, f"k{number}", b"x")
        assert by_boto3(server).count(False) == 3
        assert by_boto3(server)[-5:] == [True] * 5


class TestEnvironment:
    def test_a_proxy_is_used_for_every_put(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with scripted(lambda _: STORED) as proxy:
            monkeypatch.setenv("http_proxy", proxy.endpoint_url)
            store = store_at("http://bucket.example.org")
            for name in ("one", "two"):
                put(store, name, b"x")
        assert [asked.target for asked in proxy.asked] == [f"http://bucket.example.org/b/{n}" for n in ("one", "two")]

    def test_keys_that_end_are_renewed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those of a role, as a metadata service gives them: here the one for containers."""
        given = iter(range(1, 100))

        def role(_: Asked) -> Answer:
            number = next(given)
            ends = datetime.now(UTC) + timedelta(seconds=30)  # so soon that botocore asks again at every look
            said = {"AccessKeyId": f"AKEY{number}", "SecretAccessKey": "s", "Token": f"t{number}"}
            return Answer(body=json.dumps({**said, "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}).encode())

        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
        with scripted(role) as service, scripted(lambda _: STORED) as server:
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.endpoint_url}/role")
            store = store_at(server.endpoint_url, access_key=None, secret_key=None)
            for number in range(4):
                put(store, f"k{number}", b"x")
        tokens = [asked.headers["x-amz-security-token"] for asked in server.asked]
        assert len(set(tokens)) == len(tokens)
        for asked, token in zip(server.asked, tokens, strict=True):
            assert f"Credential=AKEY{token.removeprefix('t')}/" in asked.headers["authorization"]


class TestParts:
    """Of a large object: `begin` and `complete` are botocore's."""

    size = 12 * MIB  # three parts, the last one short

    @staticmethod
    def part_answer(asked: Asked) -> Answer:
        if asked.method == "POST":
            done = b"<CompleteMultipartUploadResult/>"
            return Answer(body=done if "uploadId" in asked.target else b"<R><UploadId>a/b+c</UploadId></R>")
        return Answer(headers={"ETag": f'"e{TestParts.number(asked)}"'})

    @staticmethod
    def number(asked: Asked) -> str:
        return parse_qs(urlsplit(asked.target).query).get("partNumber", [""])[0]

    def put_all(self, store: S3Store) -> None:
        with store.begin("k", self.size) as upload:
            for number in (2, 0, 1):
                upload.put(number, bytes([number]) * min(upload.part_size, self.size - number * upload.part_size))
            upload.complete()

    @pytest.mark.parametrize("signs", [False, True])
    def test_they_follow_the_way_signed_as_botocore_signs_and_their_etags_complete_the_upload(
        self, signs: bool
    ) -> None:
        keys = ReadOnlyCredentials("AKEY", "a-secret", None)
        with scripted(self.part_answer) as server:
            store = store_at(server.endpoint_url, region="eu-west-7", sign="all" if signs else "objects")
            put(store, "first", b"first")
            self.put_all(store)
        parts = [asked for asked in server.asked if "partNumber" in asked.target]
        assert [asked.target for asked in parts] == [f"/b/k?partNumber={n}&uploadId=a%2Fb%2Bc" for n in (3, 1, 2)]
        assert [BOTO in asked.headers for asked in parts] == [False] * 3
        for asked in parts:
            assert asked.headers["x-amz-content-sha256"] == (Sha256.of(asked.body) if signs else "UNSIGNED-PAYLOAD")
            request = AWSRequest("PUT", server.endpoint_url + asked.target)
            for name in ("host", "x-amz-content-sha256", "x-amz-date"):
                request.headers[name] = asked.headers[name]
            request.context["timestamp"] = asked.headers["x-amz-date"]
            signer = _Told(keys, "s3", "eu-west-7")
            text = signer.string_to_sign(request, signer.canonical_request(request))
            assert asked.headers["authorization"].endswith(f"Signature={signer.signature(text, request)}")
        told = re.findall(rb"<PartNumber>(\d)</PartNumber><ETag>(.+?)</ETag>", server.asked[-1].body)
        assert told == [(b"%d" % number, b'"e%d"' % number) for number in (1, 2, 3)]

    @pytest.mark.parametrize("answer", [fault("SlowDown", 503), Answer(200), Answer(raw=b""), fault("NoSuchKey", 404)])
    def test_what_is_not_answered_with_an_etag_is_sent_again_by_botocore(self, answer: Answer) -> None:
        bad = [answer]

        def script(asked: Asked) -> Answer:
            return bad.pop() if bad and self.number(asked) == "3" else self.part_answer(asked)

        with scripted(script) as server:
            self.put_all(warm_store(server))
        parts = [(self.number(asked), BOTO in asked.headers) for asked in server.asked if self.number(asked)]
        assert parts == [("3", False), ("3", True), ("1", True), ("2", True)], "and those behind it, for a while"

    def test_a_real_server_has_what_was_put_so(self, radosgw: S3Server) -> None:
        body = bytes(range(256)) * (12 * MIB // 256)
        for signs in (False, True):
            store = store_in(radosgw, "a/prefix", sign="all" if signs else "objects")
            put(store, "first", b"shows the way")
            with store.begin("odd + key", len(body)) as upload:
                for start in range(0, len(body), upload.part_size):
                    upload.put(start // upload.part_size, body[start : start + upload.part_size])
                upload.complete()
            assert read(store, "odd + key") == body


def test_to_open_a_bucket_looks_into_the_folders_of_no_other_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's own loader lists all of them, some 800, to know that S3 is one of them."""
    listed: list[str] = []
    real = os.listdir

    def listdir(path: str) -> list[str]:
        listed.append(str(path))
        return real(path)

    with scripted(lambda _: STORED) as server:
        monkeypatch.setattr(os, "listdir", listdir)
        put(store_at(server.endpoint_url), "k", b"x")
    assert len(listed) <= 12, listed
