"""What every answer has, whatever it is: headers for safety, and those by which a page of another origin may read it.

Each once: a strict client refuses an answer that says a thing twice.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.digest import Sha256
from tests.front.bucket import Published, model
from tests.front.mirrors import Mirror, Reply
from tests.waiting import PATIENCE

SMALL, LARGE = b"0123456789" * 20, bytes(1_100_000)
SHOWN = {
    *("etag", "content-length", "content-range", "accept-ranges", "link", "x-repo-commit", "x-linked-size"),
    *("x-linked-etag", "x-error-code", "x-error-message", "docker-content-digest"),
}


def names(mirror: Mirror, method: str, target: str, **headers: str) -> tuple[int, Counter[str]]:
    """The status of an answer as it comes over the wire, and how often each header stands in it."""
    parts, said = urlsplit(mirror.url), {"Host": "x", "Connection": "close", **headers}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in said.items())]
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = connection.makefile("rb").read()
    first, *rest = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return int(first.split()[1]), Counter(line.partition(":")[0].lower() for line in rest)


def answers(mirror: Mirror, repo: Published) -> Iterator[tuple[int, str, str, dict[str, str]]]:
    """One request for every kind of answer, and its status."""
    commit = repo.publish({"s.json": SMALL, "l": LARGE})
    mirror.store.put(site_key("index.html"), b"<!doctype html>", Sha256.of(b"<!doctype html>"))
    pinned, at = f"{repo.at}/resolve/{commit}", f"{repo.at}/resolve/main"
    for name in ("s.json", "l"):
        for where in (pinned, at):
            yield 200, "GET", f"{where}/{name}", {}
            yield 206, "GET", f"{where}/{name}", {"Range": "bytes=1-2"}
            for span in ("bytes=99999999-", "bytes=5-2", "bytes=x", "bytes=-0"):
                yield 416, "GET", f"{where}/{name}", {"Range": span}
        tag = mirror.head(f"{pinned}/{name}").header("ETag") or ""
        yield 304, "GET", f"{pinned}/{name}", {"If_None_Match": tag}
        yield 200, "HEAD", f"{pinned}/{name}", {}
        yield 307, "HEAD", f"{at}/{name}", {}
        yield 404, "GET", f"{pinned}/none", {}
    for target in (repo.api, f"{repo.api}/tree/main", f"{repo.api}/refs", "/healthz", "/-/index.html"):
        yield 200, "GET", target, {}
        yield 200, "GET", target, {"Range": "bytes=99999999-"}
    tree = f"{repo.api}/tree/main?recursive=true"
    yield 400, "GET", f"{tree}&cursor=x", {}
    yield 410, "GET", f"{tree}&cursor={'0' * 64}-0-0", {}
    yield 302, "GET", "/", {}
    yield 404, "GET", "/api/models/acme/none", {}
    yield 404, "GET", "/-/none.html", {}
    yield 400, "GET", "/a/%zz/resolve/main/f", {}
    yield 405, "DELETE", repo.api, {}
    yield 204, "OPTIONS", f"{at}/s.json", {}


def test_every_kind_of_answer_says_each_thing_once_and_is_for_pages_of_any_origin(mirror: Mirror) -> None:
    asked = list(answers(mirror, model(mirror.store)))
    for status, method, target, headers in asked:
        got, found = names(mirror, method, target, **headers)
        assert got == status, (method, target, headers)
        assert {name for name, times in found.items() if times > 1} == set(), (method, target, headers)
        wanted = {"access-control-allow-origin", "access-control-expose-headers", "x-content-type-options"}
        assert wanted <= found.keys(), (method, target, headers)
        if method == "GET" and status not in (302, 304):
            assert found["content-type"] == 1, (method, target, headers)


BEFORE_THE_MIRROR = [
    b"GET\r\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
    b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a/%zz/b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"TRACE /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n",
    b"POST /api/models/a/b/paths-info/main HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + bytes(2_000_000),
]


@pytest.mark.parametrize("request_", BEFORE_THE_MIRROR, ids=lambda request: request[:40].decode())
def test_what_a_server_refuses_by_itself_is_for_pages_of_any_origin_too(mirror: Mirror, request_: bytes) -> None:
    parts = urlsplit(mirror.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        with suppress(OSError):  # it may close while we still send
            connection.sendall(request_)
        with connection.makefile("rb") as answer:
            lines = [line.decode("latin-1").strip().lower() for line in iter(answer.readline, b"\r\n")]
    assert 400 <= int(lines[0].split()[1]) < 600
    found = Counter(line.partition(":")[0] for line in lines)
    for name in ("access-control-allow-origin", "access-control-expose-headers", "x-content-type-options"):
        assert found[name] == 1, lines
    assert "access-control-allow-origin: *" in lines


def test_an_unsatisfiable_range_is_told_in_json_and_without_the_headers_of_the_file(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"s.txt": SMALL, "l": LARGE})
    for name in ("s.txt", "l"):
        for revision in (commit, "main"):
            reply = mirror.get(f"{repo.at}/resolve/{revision}/{name}", Range="bytes=99999999-")
            assert reply.json == {"error": "Range not satisfiable"}
            assert reply.headers.get_all("Content-Type") == ["application/json; charset=utf-8"]
            assert [reply.header(header) for header in ("ETag", "X-Repo-Commit", "X-Linked-Size")] == [None] * 3


@pytest.mark.parametrize("span", ["bytes=0-", "bytes=-5", "bytes=3-3", "bytes= 3 - 5 ", "bytes=0-0,5-9", "items=0-1"])
def test_what_has_a_range_keeps_its_type(mirror: Mirror, span: str) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"s.json": SMALL, "l.txt": LARGE})
    for name, media_type in (("s.json", "application/json"), ("l.txt", "text/plain; charset=utf-8")):
        for condition in ({}, {"If_Range": '"other"'}):
            reply = mirror.get(f"{repo.at}/resolve/{commit}/{name}", Range=span, **condition)
            assert reply.status in (200, 206)
            assert reply.headers.get_all("Content-Type") == [media_type]
    other = mirror.get(f"{repo.at}/resolve/{commit}/s.json", Range="bytes=9999999-", If_Range='"other"')
    assert (other.status, other.headers.get_all("Content-Type")) == (200, ["application/json"])


def listed(reply: Reply, name: str) -> set[str]:
    return {word.strip().lower() for word in (reply.header(name) or "").split(",")}


@pytest.mark.parametrize(
    "target", ["/acme/any/resolve/main/f", "/api/models/acme/any/paths-info/main", "/no/such/thing"]
)
def test_a_browser_that_asks_first_is_told_that_it_may(mirror: Mirror, target: str) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    reply = mirror.ask("OPTIONS", target, {**asked, "Access-Control-Request-Headers": "range,authorization"})
    assert (reply.status, reply.body, reply.header("Access-Control-Allow-Origin")) == (204, b"", "*")
    assert listed(reply, "Access-Control-Allow-Methods") == {"get", "head", "post"}
    allowed = {"authorization", "content-type", "range", "if-none-match", "if-range"}
    assert listed(reply, "Access-Control-Allow-Headers") == allowed
    assert reply.header("Content-Type") is None


def test_a_page_is_shown_what_clients_go_by(mirror: Mirror) -> None:
    reply = mirror.get("/acme/none/resolve/main/f")
    assert listed(reply, "Access-Control-Expose-Headers") == SHOWN
    assert reply.header("Vary") is None
    assert reply.header("Access-Control-Allow-Credentials") is None
