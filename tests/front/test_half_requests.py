"""A request that never ends holds no connection of `serve`, nor of the daemon's HTTP, for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from mirror_sync.front.serve.uvicorn_server import ServeTimeouts, serving

SHORT = ServeTimeouts(head=0.5, body=0.5)
FAIR = ServeTimeouts(head=2, body=2)  # seconds: also a busy machine brings what was sent at once in this time
LONG = 60.0  # seconds in which nothing comes: the connection is held
HEAD = b"POST /said HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n\r\n"


async def said(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


async def slowly(_: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(FAIR.head / 3)
            yield b"part "

    return StreamingResponse(parts())


APP = Starlette(routes=[Route("/said", said, methods=["POST"]), Route("/slowly", slowly)])


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=LONG)


def until_closed(connection: socket.socket) -> bytes:
    got = b""
    try:
        while piece := connection.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


@pytest.mark.parametrize(
    "half",
    [b"", b"GET /slowly HT", b"GET /slowly HTTP/1.1\r\nHost: here\r\n", HEAD, HEAD + b"som"],
    ids=["nothing", "a line", "a head", "no body", "a body"],
)
def test_a_half_request_is_given_up(half: bytes) -> None:
    with serving(APP, patience=SHORT) as url, connect(url) as connection:
        connection.sendall(half)
        assert b"200" not in until_closed(connection)


def test_a_byte_now_and_then_does_not_put_the_end_off() -> None:
    with serving(APP, patience=SHORT) as url, connect(url) as connection:
        connection.settimeout(SHORT.head / 5)
        sent = 0
        for byte in b"GET /slowly HTTP/1.1\r\nX: " + b"x" * 5000:
            try:
                connection.sendall(bytes([byte]))
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                pass
            except OSError:
                break
            sent += 1
        assert sent < 5000


def test_an_answer_may_take_longer_than_a_request() -> None:
    with serving(APP, patience=FAIR) as url, connect(url) as connection:
        connection.sendall(b"GET /slowly HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert until_closed(connection).count(b"part ") == 4


def test_requests_one_after_the_other_each_have_their_time() -> None:
    with serving(APP, patience=FAIR) as url, connect(url) as connection:
        for _ in range(2):
            connection.sendall(HEAD + b"some a")
            got = b""
            while b"some a" not in got:
                more = connection.recv(65536)
                assert more, f"given up after {got!r}"
                got += more
        connection.sendall(HEAD)
        assert b"200" not in until_closed(connection)


def test_connections_beyond_the_bound_are_told_to_come_again() -> None:
    said = {"Access-Control-Allow-Origin": "*"}
    with serving(APP, patience=ServeTimeouts(connections=3), headers=said) as url, ExitStack() as held:
        for _ in range(3):
            connection = held.enter_context(connect(url))
            connection.sendall(HEAD + b"some a")
            assert b"200 OK" in connection.recv(65536)
        answer = until_closed(held.enter_context(connect(url)))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in answer
        assert answer.endswith(b"\r\nAccess-Control-Allow-Origin: *\r\n\r\n")


def test_no_more_connections_are_held_than_files_may_be_open() -> None:
    assert 0 < ServeTimeouts(connections=1 << 30).most < 1 << 30
