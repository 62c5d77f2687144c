"""What is particular to a bucket: refusals by a real server, and answers that only a scripted one gives."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mirror_sync.domain.content.keys import Caching, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import KeyMissing, StoreDenied, StoreError, StoreFull, StoreUnavailable
from mirror_sync.stores.s3.bucket_store import S3Store
from tests.servers.bucket import S3Server
from tests.servers.ports import LOOPBACK, free_port
from tests.stores.places import MIB, keys, put, read, store_at, store_in, target_on
from tests.stores.scripted import Answer, Asked, Scripted, fault, scripted

OTHER = Sha256.of(b"another body")
EVERY_CALL: dict[str, Callable[[S3Store], object]] = {
    "stat": lambda store: store.stat("k"),
    "read": lambda store: read(store, "k"),
    "put": lambda store: put(store, "k", b"x"),
    "begin": lambda store: store.begin("k", 5),
    "list": lambda store: keys(store, "k"),
    "delete": lambda store: store.delete(["k"]),
    "sweep": lambda store: store.sweep(0),
}
every_call = pytest.mark.parametrize("call", EVERY_CALL.values(), ids=EVERY_CALL.keys())


def store_on(server: Scripted, prefix: str = "") -> S3Store:
    return store_at(server.endpoint_url, prefix)


@contextmanager
def answering(answer: Answer) -> Iterator[S3Store]:
    with scripted(lambda _: answer) as server:
        yield store_on(server)


class TestRefusals:
    @every_call
    def test_a_server_that_does_not_answer_is_named_once_and_with_the_reason(
        self, call: Callable[[S3Store], object]
    ) -> None:
        url = f"http://{LOOPBACK}:{free_port()}"
        with pytest.raises(StoreUnavailable, match=r"no answer: Connection refused$") as caught:
            call(store_at(url))
        assert str(caught.value).count(url) == 1
        assert "?" not in str(caught.value)

    @every_call
    def test_a_wrong_secret_is_denied_and_not_shown(self, radosgw: S3Server, call: Callable[[S3Store], object]) -> None:
        """Only a real server tells: moto takes any secret."""
        wrong = replace(target_on(radosgw), secret_key="not-the-secret")
        with pytest.raises(StoreDenied, match="HTTP 403") as caught:
            call(S3Store(wrong))
        assert "not-the-secret" not in f"{caught.value!r} {wrong!r}"

    @every_call
    def test_a_missing_bucket_is_no_missing_key(self, radosgw: S3Server, call: Callable[[S3Store], object]) -> None:
        with pytest.raises(StoreError, match="the bucket does not exist") as caught:
            call(store_in(radosgw, bucket="nowhere"))
        assert not isinstance(caught.value, KeyMissing)

    @pytest.mark.parametrize("size", [5, 2 * MIB])
    def test_a_body_that_is_not_the_digests_own_is_refused(self, radosgw: S3Server, size: int) -> None:
        """Only a real server refuses: moto stores any body."""
        store = store_in(radosgw)
        with pytest.raises(StoreUnavailable, match="XAmzContentSHA256Mismatch"):
            store.put("k", bytes(size), OTHER)
        assert store.stat("k") is None

    @pytest.mark.parametrize("signs", [True, False])
    def test_parts_are_taken_signed_and_unsigned(self, radosgw: S3Server, signs: bool) -> None:
        store = store_in(radosgw, sign="all" if signs else "objects")
        with store.begin("k", 5) as upload:
            upload.put(0, b"12345")
            upload.complete()
        assert read(store, "k") == b"12345"

    @every_call
    def test_nobody_listening_is_unavailable(self, call: Callable[[S3Store], object]) -> None:
        with pytest.raises(StoreUnavailable, match="s3://b/ at http://127"):
            call(store_at(f"http://{LOOPBACK}:{free_port()}"))

    @every_call
    def test_a_server_that_never_answers_is_unavailable(self, call: Callable[[S3Store], object]) -> None:
        with socket.create_server((LOOPBACK, 0)) as silent:
            impatient = store_at(f"http://{LOOPBACK}:{silent.getsockname()[1]}", read_timeout=0.5)
            with pytest.raises(StoreUnavailable):
                call(impatient)

    @pytest.mark.parametrize("endpoint_url", ["nonsense", "http://", "ftp://x"])
    def test_an_endpoint_that_is_none_is_a_clear_error(self, endpoint_url: str) -> None:
        with pytest.raises(StoreError):
            store_at(endpoint_url).stat("k")

    def test_no_credentials_anywhere_are_denied(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
        with pytest.raises(StoreDenied, match="credentials"):
            store_at(f"http://{LOOPBACK}:{free_port()}", access_key=None, secret_key=None).stat("k")

    @pytest.mark.parametrize(
        ("code", "status", "kind"),
        [
            ("AccessDenied", 403, StoreDenied),
            ("QuotaExceeded", 403, StoreFull),
            ("InsufficientStorage", 507, StoreFull),
            ("SlowDown", 503, StoreUnavailable),
            ("TooManyRequests", 429, StoreUnavailable),
            ("InternalError", 500, StoreUnavailable),
            ("NoSuchKey", 404, KeyMissing),
            ("InvalidRequest", 400, StoreError),
        ],
    )
    def test_each_code_means_one_error(self, code: str, status: int, kind: type[StoreError]) -> None:
        with answering(fault(code, status)) as store, pytest.raises(StoreError) as caught:
            read(store, "k/e/y")
        assert type(caught.value) is kind
        message = str(caught.value)
        assert "k/e/y" in message
        assert kind is KeyMissing or all(part in message for part in ("s3://b/ at", str(status), code, "because"))
        assert "\n" not in message

    def test_the_first_refusal_of_a_batch_is_raised(self) -> None:
        refusal = b"<Error><Key>%b</Key><Code>%b</Code><Message>m</Message></Error>"
        body = b"<DeleteResult>%b%b</DeleteResult>" % (
            refusal % (b"gone", b"NoSuchKey"),
            refusal % (b"locked", b"AccessDenied"),
        )
        with (
            answering(Answer(body=body)) as store,
            pytest.raises(StoreDenied, match="key locked: DeleteObjects: AccessDenied"),
        ):
            store.delete(["gone", "locked"])


class TestWhatIsSent:
    @pytest.mark.parametrize("size", [0, 5, MIB + 1])
    def test_a_put_carries_the_digest_it_was_given_and_no_other_checksum(self, size: int) -> None:
        with scripted(lambda _: Answer(headers={"ETag": '"e"'})) as server:
            store_on(server, "/pre/fix/").put("k", bytes(size), OTHER)
        (asked,) = server.asked
        assert (asked.method, asked.target, asked.body) == ("PUT", "/b/pre/fix/k", bytes(size))
        assert asked.headers["x-amz-content-sha256"] == OTHER
        assert "x-amz-content-sha256" in asked.headers["authorization"]
        assert not [name for name in asked.headers if "checksum" in name or name in ("content-md5", "x-amz-trailer")]

    def test_a_small_body_does_not_wait_for_a_go_ahead(self) -> None:
        with scripted(lambda _: Answer(headers={"ETag": '"e"'})) as server:
            put(store_on(server), "k", b"small")
        assert "expect" not in server.asked[0].headers

    def test_a_body_is_sent_whole_again_after_a_503(self) -> None:
        answers = iter([fault("SlowDown", 503), Answer(headers={"ETag": '"e"'})])
        body = bytes(range(256)) * 8192
        with scripted(lambda _: next(answers)) as server:
            put(store_on(server), "k", body)
        assert [asked.body for asked in server.asked] == [body, body]

    def test_deletes_carry_an_md5_for_the_servers_that_ask_for_one(self) -> None:
        with scripted(lambda _: Answer(body=b"<DeleteResult/>")) as server:
            store_on(server).delete(["k"])
        assert "content-md5" in server.asked[0].headers

    def test_no_proxy_for_what_no_proxy_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with scripted(lambda _: Answer(body=b"far")) as proxy, scripted(lambda _: Answer(body=b"near")) as server:
            monkeypatch.setenv("http_proxy", proxy.endpoint_url)
            monkeypatch.setenv("no_proxy", LOOPBACK)
            assert read(store_on(server), "k") == b"near"
            assert read(store_at("http://bucket.example.org"), "k") == b"far"
        assert [asked.target for asked in proxy.asked] == ["http://bucket.example.org/b/k"]


class TestRanges:
    whole = bytes(range(200))

    def _ranged(self, asked: Asked, status: int) -> Answer:
        start, last = (int(text) for text in asked.headers["range"].removeprefix("bytes=").split("-"))
        part = self.whole[start : last + 1]
        return Answer(status, part, {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(self.whole)}"})

    @pytest.mark.parametrize("status", [206, 200])
    def test_the_header_tells_which_bytes_came_whatever_the_status(self, status: int) -> None:
        """rclone's server answers a range with 200."""
        with scripted(lambda asked: self._ranged(asked, status)) as server:
            assert read(store_on(server), "k", 50, 60) == self.whole[50:60]

    def test_a_server_that_ignores_ranges_is_understood(self) -> None:
        with answering(Answer(body=self.whole)) as store:
            assert read(store, "k", 50, 60) == self.whole[50:60]
            assert read(store, "k", 190) == self.whole[190:]
            assert read(store, "k", 300, 310) == b""

    def test_other_bytes_than_those_asked_for_are_an_error(self) -> None:
        with (
            answering(Answer(206, b"x" * 10, {"Content-Range": "bytes 60-69/200"})) as store,
            pytest.raises(StoreUnavailable, match="asked for bytes from 50"),
        ):
            read(store, "k", 50, 60)

    @pytest.mark.parametrize("cut", [0, 7, 199])
    def test_a_body_that_ends_too_early_is_an_error_never_a_short_end(self, cut: int) -> None:
        with answering(Answer(body=self.whole, cut=cut)) as store, pytest.raises(StoreUnavailable):
            read(store, "k")


class TestCompleting:
    """The last call of an upload, of which every bucket's history has a story."""

    part = b"12345"
    done = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"

    def _etag(self) -> str:
        return hashlib.md5(self.part).hexdigest()

    def _upload(self, complete: Callable[[], Answer], etag: str = "") -> list[Asked]:
        def script(asked: Asked) -> Answer:
            if asked.method == "POST" and "uploads" in asked.target:
                return Answer(body=b"<R><UploadId>id</UploadId></R>")
            if asked.method == "POST":
                return complete()
            return Answer(204 if asked.method == "DELETE" else 200, headers={"ETag": f'"{etag or self._etag()}"'})

        with scripted(script) as server:
            try:
                with store_on(server).begin("k", len(self.part)) as upload:
                    upload.put(0, self.part)
                    upload.complete()
            finally:
                self.asked = server.asked
        return server.asked

    def test_an_error_in_the_body_of_a_200_is_tried_again_and_then_raised(self) -> None:
        with pytest.raises(StoreUnavailable, match="InternalError"):
            self._upload(lambda: Answer(200, fault("InternalError", 500).body))
        assert [asked.method for asked in self.asked] == ["POST", "PUT", "POST", "POST", "DELETE"]

    def test_it_is_aborted_on_the_way_out(self) -> None:
        with pytest.raises(StoreDenied):
            self._upload(lambda: fault("AccessDenied", 403))
        assert (self.asked[-1].method, "uploadId=id" in self.asked[-1].target) == ("DELETE", True)

    def test_an_upload_whose_completion_was_not_heard_is_complete(self) -> None:
        """The first answer is lost; the second says that there is no such upload any more."""
        answers = iter([Answer(503), fault("NoSuchUpload", 404)])
        made = hashlib.md5(bytes.fromhex(self._etag())).hexdigest()

        def script(asked: Asked) -> Answer:
            if asked.method == "HEAD":
                return Answer(headers={"ETag": f'"{made}-1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"})
            if asked.method == "POST" and "uploads" in asked.target:
                return Answer(body=b"<R><UploadId>id</UploadId></R>")
            return next(answers) if asked.method == "POST" else Answer(headers={"ETag": f'"{self._etag()}"'})

        with scripted(script) as server, store_on(server).begin("k", len(self.part)) as upload:
            upload.put(0, self.part)
            upload.complete()
        assert [asked.method for asked in server.asked] == ["POST", "PUT", "POST", "POST", "HEAD"]

    def test_an_upload_that_somebody_removed_is_an_error_even_beside_an_older_object(self) -> None:
        with pytest.raises(StoreUnavailable, match="NoSuchUpload"):
            self._upload(lambda: fault("NoSuchUpload", 404))


@pytest.mark.parametrize(
    ("key", "media_type"),
    [
        ("site/index.html", "text/html; charset=utf-8"),
        ("site/assets/a.01234567.css", "text/css; charset=utf-8"),
        ("site/status.json", "application/json; charset=utf-8"),
        ("hub/models/a--b/refs.json", "binary/octet-stream"),
    ],
)
def test_what_a_bucket_has_of_the_catalogue_says_what_it_is(radosgw: S3Server, key: str, media_type: str) -> None:
    """So that a bucket's own website shows it; the second put takes the short way."""
    bucket = radosgw.make_bucket()
    store = store_in(radosgw, bucket=bucket)
    for body in (b"first", b"second"):
        put(store, key, body)
        found = radosgw.client().get_object(Bucket=bucket, Key=key)
        assert (found["ContentType"], found["Body"].read()) == (media_type, body)


@pytest.mark.parametrize("multipart", [True, False])
def test_every_object_says_how_long_caches_may_keep_it_whichever_way_it_was_put(
    radosgw: S3Server, *, multipart: bool
) -> None:
    """The second put takes the short way; a blob that is touched says it anew."""
    bucket = radosgw.make_bucket()
    store = store_in(radosgw, bucket=bucket, multipart=multipart, caching=Caching(immutable=3600, pointers=7))
    small, large = blob_key(Sha256.of(b"small")), blob_key(Sha256.of(b"large" * 2_000_000))
    for _ in range(2):
        put(store, small, b"small")
        put(store, "hub/models/a--b/refs.json", b"{}")
        put(store, "site/index.html", b"page")
    with store.begin(large, 10_000_000) as upload:
        for number, start in enumerate(range(0, 10_000_000, upload.part_size)):
            upload.put(number, (b"large" * 2_000_000)[start : start + upload.part_size])
        upload.complete()

    def said(key: str) -> str:
        return str(radosgw.client().head_object(Bucket=bucket, Key=key)["CacheControl"])

    assert said(small) == said(large) == "max-age=3600, immutable"
    assert said("hub/models/a--b/refs.json") == said("site/index.html") == "max-age=7"
    store_in(radosgw, bucket=bucket, caching=Caching(immutable=60)).touch(small)
    assert said(small) == "max-age=60, immutable"
