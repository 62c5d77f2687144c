"""What the strictest servers refuse, and ways to answer that other hubs and mirrors have, each behind a switch."""

from __future__ import annotations

import json
import socket

import pytest

from tests.standin import LFS, SIDE_CALLS, Generated, Hub
from tests.waiting import PATIENCE

from .conftest import Ask

MALFORMED = {
    "two hosts": b"Host: a\r\nHost: a\r\n",
    "no host": b"X: y\r\n",
    "two user agents": b"Host: a\r\nUser-Agent: x\r\nuser-agent: x\r\n",
    "two tokens": b"Host: a\r\nAuthorization: Bearer x\r\nAUTHORIZATION: Bearer x\r\n",
    "two ranges": b"Host: a\r\nRange: bytes=0-1\r\nRange: bytes=0-1\r\n",
    "two lengths": b"Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
    "a length that is none": b"Host: a\r\nContent-Length: +1\r\n",
    "a length beside chunks": b"Host: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    "a space before the colon": b"Host: a\r\nX : y\r\n",
    "a folded header": b"Host: a\r\nX: y\r\n z\r\n",
    "a control character": b"Host: a\r\nX: y\x01\r\n",
    "a bare line feed": b"Host: a\nX: y\r\n",
}


def answered(hub: Hub, request: bytes) -> bytes:
    """All that comes for these bytes."""
    with socket.create_connection(("127.0.0.1", int(hub.url.rpartition(":")[2])), timeout=PATIENCE) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as stream:
            return stream.read()


@pytest.mark.parametrize("head", MALFORMED.values(), ids=MALFORMED)
def test_what_a_strict_server_refuses_is_refused_and_ends_the_connection(hub: Hub, head: bytes) -> None:
    whole = answered(hub, b"GET /api/models HTTP/1.1\r\n" + head + b"\r\n")
    assert whole.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in whole
    assert len(hub.log) == 0


@pytest.mark.parametrize(
    "first", [b"GET  /api/models HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /\xfc HTTP/1.1", b"GET / HTTP/2"]
)
def test_a_request_line_that_is_none_is_refused(hub: Hub, first: bytes) -> None:
    assert answered(hub, first + b"\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_fields_that_are_lists_may_come_in_pieces_and_are_noted_as_they_came(hub: Hub) -> None:
    assert b" 200 " in answered(hub, b"GET /api/models HTTP/1.1\r\nHost: a\r\nAccept: b\r\naccept: c\r\n\r\n")
    (record,) = hub.log
    assert record.request.names == ("host", "accept", "accept")
    assert record.request.headers["accept"] == "b, c"


def test_as_aiohttp_it_reads_no_longer_lines_and_no_more_headers_than_that(hub: Hub) -> None:
    url = b"GET /api/models HTTP/1.1\r\nHost: a\r\n"
    long, many = url + b"X: " + b"y" * 8190 + b"\r\n\r\n", url + b"X: y\r\n" * 128 + b"\r\n"
    assert [b" 200 " in answered(hub, request) for request in (long, many)] == [True, True]
    hub.behaviour.aiohttp = True
    assert [answered(hub, request)[9:12] for request in (long, many)] == [b"431", b"431"]
    assert b" 200 " in answered(hub, url + b"X: " + b"y" * 8000 + b"\r\n\r\n")


def test_a_hub_without_side_calls_answers_404_to_them_without_a_code_and_all_else_as_ever(hub: Hub, ask: Ask) -> None:
    hub.behaviour.lacks = SIDE_CALLS
    repo = f"{hub.url}/api/models/acme/tiny"
    for call in ("commits/main", "auth-check", "refs"):
        answer = ask(f"{repo}/{call}")
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, None)
    for url in (repo, f"{repo}/tree/main", f"{hub.url}/acme/tiny/resolve/main/config.json", f"{hub.url}/api/models"):
        assert ask(url).status == 200


def test_a_hub_may_lack_lists_and_whoami(hub: Hub, ask: Ask) -> None:
    hub.behaviour.lacks = frozenset({"models", "whoami-v2"})
    found = [ask(f"{hub.url}/api/{path}").status for path in ("models", "whoami-v2", "datasets", "models/acme/tiny")]
    assert found == [404, 404, 200, 200]


def test_lists_that_are_held_tell_what_was_there_then_and_repos_tell_what_there_is(hub: Hub, ask: Ask) -> None:
    def listed() -> dict[str, object]:
        answer = ask(f"{hub.url}/api/models?author=acme&expand=sha&expand=gated&expand=lastModified")
        return {item["id"]: item for item in json.loads(answer.body)}

    before = listed()
    hub.hold_lists()
    now = hub.model("acme/tiny", gated="auto").commit({"config.json": "{ }"})
    hub.model("acme/new").commit({"a": "b"})
    hub.rename("acme/tiny", "acme/small")
    assert listed() == before
    assert json.loads(ask(f"{hub.url}/api/models/acme/small").body)["sha"] == now
    hub.release_lists()
    assert listed().keys() == {"acme/small", "acme/new"}


def test_the_cdn_may_want_a_range_for_what_is_large(hub: Hub, ask: Ask) -> None:
    hub.model("acme/two").commit({"small.bin": LFS(Generated(1000)), "large.bin": LFS(Generated(1001))})
    hub.behaviour.cdn_whole_up_to = 1000
    small, large = (
        ask(f"{hub.url}/acme/two/resolve/main/{name}.bin").headers["Location"] for name in ("small", "large")
    )
    assert [ask(url).status for url in (small, large)] == [200, 400]
    assert ask(large, Range="bytes=0-1000").body == Generated(1001).read()
    assert ask(large, Range="bytes=1000-").status == 206


def test_a_mirror_holds_what_it_followed_and_no_more_until_it_follows_again(hub: Hub, ask: Ask) -> None:
    with Hub() as stale, Hub() as partial:
        stale.follow(hub)
        partial.follow(hub, "acme/rows")
        before = hub.model("acme/tiny").head()
        after = hub.model("acme/tiny").commit({"config.json": "{ }"})

        def head(mirror: Hub) -> object:
            return json.loads(ask(f"{mirror.url}/api/models/acme/tiny").body).get("sha")

        assert [head(one) for one in (hub, stale, partial)] == [after, before, None]
        assert ask(f"{partial.url}/api/datasets/acme/rows").status == 200
        for revision, body in ((before, b"{}"), ("main", b"{}")):
            assert ask(f"{stale.url}/acme/tiny/resolve/{revision}/config.json").body == body
        stale.follow(hub)
        assert head(stale) == after
        assert not [*stale.crashes, *partial.crashes]
