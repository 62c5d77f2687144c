"""A connection serves again only when nothing is left on it: else an answer would be taken for another's."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress

import pytest

from mirror_sync.net.connection import Connection, Idle
from mirror_sync.stores.s3.s3_connections import ConnectionPool, Server
from tests.servers.ports import LOOPBACK
from tests.sources.raw import serving, trickling
from tests.stores.places import MIB

MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
THERE = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


def connections_of(answer: bytes, method: str = "HEAD") -> int:
    """How many connections two requests take that are answered so."""
    taken: list[socket.socket] = []
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve(client: socket.socket) -> None:
            with suppress(OSError):  # the client has gone
                while client.recv(4096):
                    client.sendall(answer)

        def accept() -> None:
            for _ in range(2):
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return
                threading.Thread(target=serve, args=(taken[-1],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        lines = ConnectionPool(Server(LOOPBACK, server.getsockname()[1], None, 5.0, 5.0), 4)
        for _ in range(2):
            lines.ask(method, "/b/k", {"host": "h"})
        lines.close()
        found = len(taken)
        server.shutdown(socket.SHUT_RDWR)
    for client in taken:
        client.close()
    return found


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (THERE, 1),
        (MISSING, 1),
        (MISSING + b"not there", 2),
        (b"HTTP/1.1 100 Continue\r\n\r\n", 2),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 2),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\n", 2),
    ],
)
def test_a_look_leaves_the_connection_to_the_next_only_after_a_final_answer(answer: bytes, connections: int) -> None:
    assert connections_of(answer) == connections


def test_what_came_on_an_idle_connection_is_nobodys_answer() -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    kept = [Connection(ours) for ours, _ in pairs]
    idle = Idle(3)
    for connection in kept:
        idle.give_back(connection)
    pairs[2][1].sendall(b"late")
    pairs[1][1].close()
    assert idle.take() is kept[0]
    assert idle.take() is None
    assert [ours.fileno() >= 0 for ours, _ in pairs] == [True, False, False]
    for pair in pairs:
        for end in pair:
            end.close()


@pytest.mark.parametrize("ends", [False, True])
def test_of_a_body_that_is_refused_at_its_beginning_the_rest_is_not_sent(ends: bool) -> None:
    """The server reads the first piece, answers, and reads on only to count; or it ends the connection."""
    came: list[int] = []
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            client = server.accept()[0]
            count = 0
            while count < MIB // 4:
                count += len(client.recv(MIB))
            client.sendall(REFUSED)
            if ends:
                client.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while more := client.recv(MIB):
                    count += len(more)
            came.append(count)
            client.close()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        lines = ConnectionPool(Server(LOOPBACK, server.getsockname()[1], None, 5.0, 5.0), 4)
        answer = lines.ask("PUT", "/b/k", {"host": "h"}, bytes(64 * MIB))
        serving.join()
    assert answer.status == 503
    assert came[0] < 64 * MIB


@pytest.mark.parametrize("answer", [THERE + b"all there", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_server_that_is_content_before_it_has_the_body_is_not_believed(answer: bytes) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            client = server.accept()[0]
            client.sendall(answer)
            with suppress(OSError):
                while client.recv(MIB):
                    pass
            client.close()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        lines = ConnectionPool(Server(LOOPBACK, server.getsockname()[1], None, 5.0, 5.0), 4)
        with pytest.raises(ValueError, match="a part of a body"):
            lines.ask("PUT", "/b/k", {"host": "h"}, bytes(64 * MIB))
        serving.join()


def test_a_large_body_arrives_whole() -> None:
    body, came = random.Random(5).randbytes(3 * MIB + 7), bytearray()
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            client = server.accept()[0]
            while not came.endswith(body[-64:]):
                came.extend(client.recv(MIB))
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            client.close()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        lines = ConnectionPool(Server(LOOPBACK, server.getsockname()[1], None, 5.0, 5.0), 4)
        assert lines.ask("PUT", "/b/k", {"host": "h"}, body).status == 200
        serving.join()
        lines.close()
    head, _, rest = bytes(came).partition(b"\r\n\r\n")
    assert rest == body
    assert b"content-length: %d" % len(body) in head


def test_headers_that_never_end_are_given_up_although_each_read_succeeds() -> None:
    with serving(trickling(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as url:
        lines = ConnectionPool(Server(LOOPBACK, int(url.rpartition(":")[2]), None, 5.0, 0.3), 4)
        with pytest.raises(TimeoutError):
            lines.ask("HEAD", "/b/k", {"host": "h"})
