"""What no client should send gets a clean answer."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from tests.front.bucket import model
from tests.front.mirrors import Mirror
from tests.waiting import PATIENCE

CLIMBS = [
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "..%2f..",
    "%2e%2e%2f%2e%2e",
    ".",
    "a/..",
    "a%2f..%2fb",
    "../../../../etc/passwd",
]


def raw(mirror: Mirror, request: bytes) -> int:
    """The status of the answer to bytes that no client library would send."""
    parts = urlsplit(mirror.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("climb", CLIMBS)
def test_a_path_that_climbs_is_refused_in_every_spelling(mirror: Mirror, climb: str) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    for target in (
        f"{repo.at}/resolve/{commit}/{climb}/f",
        f"{repo.at}/resolve/main/{climb}",
        f"{repo.api}/tree/main/{climb}",
        f"{repo.api}/revision/{climb}",
        f"/{climb}/{climb}/f",
        f"/blobs/sha256/{climb}/{climb}",
        f"/api/models/{climb}/{climb}",
    ):
        assert mirror.get(target).status == 400, target


@pytest.mark.parametrize("path", ["%", "%2", "%zz", "f%", "%ff", "%c3%28", "%00", "f%00", "%ed%a0%80"])
def test_bad_percent_encoding_is_refused(mirror: Mirror, path: str) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    for target in (
        f"{repo.at}/resolve/{commit}/{path}",
        f"{repo.at}/resolve/main/{path}",
        f"{repo.api}/tree/main/{path}",
    ):
        assert mirror.get(target).status == 400, target


@pytest.mark.parametrize(
    "target",
    [
        *("/x", "/hub/models/a--b/refs.json", "/api/", "/api/agents", "/v3/"),
        *("/-/documents/hub/models/a--b/refs.json", "/-/blob", "/-/document", "/-/pointer"),
        *("/nginx.conf", "/s3-credentials.json", "/blobs/sha256/", "/blobs/sha256/aa"),
    ],
)
def test_there_is_nothing_but_the_routes(mirror: Mirror, target: str) -> None:
    assert mirror.get(target).status == 404


def test_a_blob_that_is_not_there_is_missing(mirror: Mirror) -> None:
    digest = Sha256.of(b"nobody has this")
    assert mirror.get(f"/{blob_key(digest)}").error == (404, "EntryNotFound")
    assert mirror.head(f"/{blob_key(digest)}").error == (404, "EntryNotFound")
    assert mirror.get(f"/blobs/sha256/00/{digest}").status == 404
    assert mirror.get(f"/{blob_key(digest).upper()}").status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "PROPFIND", "BREW"])
def test_a_method_that_writes_is_refused(mirror: Mirror, method: str) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    for target in (f"{repo.at}/resolve/{commit}/f", f"{repo.at}/resolve/main/f", repo.api, "/healthz"):
        reply = mirror.ask(method, target)
        assert (reply.status, reply.header("Allow")) == (405, "GET, HEAD"), target
    assert mirror.get(f"{repo.api}/paths-info/main").header("Allow") == "POST"


def test_huge_headers_get_a_clean_refusal(mirror: Mirror) -> None:
    status = raw(mirror, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Huge: " + b"x" * 300_000 + b"\r\n\r\n")
    assert 400 <= status < 500


def test_a_huge_path_gets_a_clean_refusal(mirror: Mirror) -> None:
    assert 400 <= raw(mirror, b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n") < 500


def test_a_huge_body_is_refused(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"})
    reply = mirror.ask("POST", f"{repo.api}/paths-info/main", {}, b"paths=" + b"x" * (2 << 20))
    assert reply.status == 413


@pytest.mark.parametrize(
    "request_line", [b"GET", b"GET /healthz", b"\x16\x03\x01\x00", b"GET /healthz HTTP/9.9", b"get\x00 / HTTP/1.1"]
)
def test_what_is_not_http_gets_a_clean_refusal_or_nothing(mirror: Mirror, request_line: bytes) -> None:
    try:
        status = raw(mirror, request_line + b"\r\nHost: x\r\n\r\n")
    except (IndexError, ValueError, ConnectionError):
        return
    assert status < 600
    assert mirror.get("/healthz").status == 200


@pytest.mark.parametrize("odd", ["\x80", "\u00e9\u4e2d/\u00e9".encode().decode("latin-1"), "\xff\xfe\\", '"<>^`{|}'])
def test_bytes_that_should_have_been_encoded_never_hang_a_front(mirror: Mirror, odd: str) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    for target in (
        f"{repo.at}/resolve/{commit}/{odd}",
        f"{repo.api}/tree/main/{odd}",
        f"/{odd}",
        f"{repo.api}?x={odd}",
    ):
        request = f"GET {target} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {odd}\r\nX-Forwarded-Host: {odd}\r\n\r\n"
        assert 200 <= raw(mirror, request.encode("latin-1")) < 500, target


@pytest.mark.parametrize("host", ["[", "]", "[::1", "a b", "x:99999999", "\x80", "", "x" * 5000])
def test_an_odd_host_gets_a_clean_answer(mirror: Mirror, host: str) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"})
    for target in (f"{repo.at}/resolve/main/f", f"{repo.api}/tree/main?recursive=true", "/acme/none/resolve/main/f"):
        request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        assert 200 <= raw(mirror, request.encode("latin-1")) < 500, target


def test_a_query_plays_no_part_in_finding_a_file(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    for revision in (commit, "main"):
        assert mirror.get(f"{repo.at}/resolve/{revision}/f?download=true&x=%zz/../..").body == b"1"


def test_refusals_are_json_and_say_why(mirror: Mirror) -> None:
    for target in ("/acme/none/resolve/main/f", "/acme/%2e%2e/resolve/main/f", "/nothing/here/at/all"):
        reply = mirror.get(target)
        assert reply.json["error"] == reply.header("X-Error-Message")
        assert reply.header("Cache-Control") == "no-store"
        assert reply.header("X-Content-Type-Options") == "nosniff"


def test_a_head_of_a_refusal_has_no_body(mirror: Mirror) -> None:
    reply = mirror.head("/acme/none/resolve/main/f")
    assert (reply.error, reply.body) == ((404, "RepoNotFound"), b"")


def test_healthz_needs_no_bucket(mirror: Mirror) -> None:
    assert mirror.get("/healthz").body == b"ok\n"
