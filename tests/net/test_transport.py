"""Connections serve again when nothing is left on them, and a server may end what is idle whenever it likes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.errors import Unreachable
from mirror_sync.net.transport import Transport
from tests.sources.shell import quiet

PATIENT = Timeouts(connect=20, first_byte=20, stall=20)
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Requests = list[list[bytes]]
"""Of each connection, what was asked on it."""


@pytest.fixture(autouse=True)
def quiet_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from quiet(monkeypatch)


@contextmanager
def answering(answer: Callable[[int, int], bytes]) -> Iterator[tuple[str, Requests]]:
    """A server; `answer` gives what a connection (from 0) says to its request (from 0), nothing to have it end."""
    asked: Requests = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(client: socket.socket, number: int) -> None:
            with client, suppress(OSError):
                while request := client.recv(65536):
                    asked[number].append(request)
                    said = answer(number, len(asked[number]) - 1)
                    if not said:
                        return
                    client.sendall(said)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    asked.append([])
                    threading.Thread(target=serve, args=(client, len(asked) - 1), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/", asked
        finally:
            server.shutdown(socket.SHUT_RDWR)


def read(transport: Transport, url: str, post: bytes | None = None) -> bytes:
    answer = transport.open(url, {}, post=post)
    buffer, came = memoryview(bytearray(100)), b""
    while count := answer.readinto(buffer):
        came += bytes(buffer[:count])
    answer.release()
    return came


@pytest.mark.parametrize(
    "answer",
    [KEPT, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    ids=["of a length", "in chunks"],
)
def test_one_connection_serves_request_after_request(answer: bytes) -> None:
    with answering(lambda *_: answer) as (url, asked):
        transport = Transport(timeouts=PATIENT)
        assert [read(transport, url) for _ in range(3)] == [b"{}"] * 3
        assert [len(requests) for requests in asked] == [3]
        transport.close()


@pytest.mark.parametrize(
    "answer",
    [
        KEPT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        KEPT.replace(b"1.1", b"1.0"),
        KEPT + b"more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nmore",
    ],
    ids=["it says so", "an old protocol", "more follows", "more follows chunks"],
)
def test_a_connection_on_which_something_may_be_left_serves_no_more(answer: bytes) -> None:
    with answering(lambda *_: answer) as (url, asked):
        transport = Transport(timeouts=PATIENT)
        assert [read(transport, url) for _ in range(2)] == [b"{}"] * 2
        assert [len(requests) for requests in asked] == [1, 1]


def test_a_request_to_which_an_idle_connection_just_ended_is_made_once_more() -> None:
    """Once, and on a new one: what that one says is the answer."""
    with answering(lambda number, at: KEPT if (number, at) == (0, 0) else b"") as (url, asked):
        transport = Transport(timeouts=PATIENT)
        assert read(transport, url) == b"{}"
        with pytest.raises(Unreachable, match="closed the connection"):
            read(transport, url)
        assert [len(requests) for requests in asked] == [2, 1]


def test_what_is_posted_is_never_posted_again() -> None:
    with answering(lambda number, _: b"" if number else KEPT) as (url, asked):
        transport = Transport(timeouts=PATIENT)
        assert read(transport, url) == b"{}"
        with pytest.raises(Unreachable):
            read(transport, url, post=b"a")
        assert [len(requests) for requests in asked] == [1, 1]


def test_an_answer_that_is_given_up_takes_its_connection_with_it() -> None:
    with answering(lambda *_: KEPT) as (url, asked):
        transport = Transport(timeouts=PATIENT)
        transport.open(url, {}).discard()
        transport.open(url, {}).finish()  # which is short, so that it is read
        transport.open(url, {}).finish()
        assert [len(requests) for requests in asked] == [1, 2]
        transport.close()
