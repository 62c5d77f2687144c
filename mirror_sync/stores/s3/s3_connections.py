"""Open connections to one server, for requests whose answers are short: HTTP/1.1 as far as PUT and HEAD need it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from mirror_sync.net.connection import Connection, Idle, connected, is_readable
from mirror_sync.net.http1 import FINAL, Head, HeadDeadline, read_head, request_head

_LOOKED = {HTTPStatus.OK, HTTPStatus.NOT_FOUND}  # after others a server may send a body all the same
_REFUSALS = 300  # from here on; an answer below is for who has sent all

PIECE = 256 * 1024  # bytes that are sent at once with a head, and by TLS; the time-out is for so many


@dataclass(frozen=True, slots=True)
class Server:
    """`host` as its certificate names it; `tls` None for plain http; time-outs in seconds."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    connect_timeout: float
    read_timeout: float


class ConnectionPool:
    """Keeps at most `most` idle connections to a server. Safe for many threads."""

    def __init__(self, server: Server, most: int) -> None:
        self._server = server
        self._idle = Idle(most)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | bytearray | memoryview = b""
    ) -> Head:
        """The answer, without its body. OSError when it does not come, ValueError when it is not a plain one."""
        view = memoryview(body).cast("B")
        length = {"content-length": str(len(view))} if method == "PUT" else {}
        head = request_head(method, target, headers, length)
        connection = self._idle.take() or self._connect()
        try:
            if connection.sock.gettimeout() != self._server.read_timeout:
                connection.sock.settimeout(self._server.read_timeout)
            whole = _send(connection, head, view)
            answer, rest = read_head(HeadDeadline(connection.sock, self._server.read_timeout))
        except BaseException:
            connection.close()
            raise
        if whole and answer.stays and _is_whole(method, answer, rest):
            self._idle.give_back(connection)
        else:
            connection.close()
        if not whole and answer.status < _REFUSALS:
            raise ValueError("an answer to a part of a body")
        return answer

    def close(self) -> None:
        """Close those that are idle."""
        self._idle.close()

    def _connect(self) -> Connection:
        server = self._server
        return connected(server.host, server.port, server.connect_timeout, tls=server.tls)


def _send(connection: Connection, head: bytes, body: memoryview) -> bool:
    """False where the server answered before it had the body: a refusal, after which no more is sent."""
    sock = connection.sock
    sock.sendall(b"".join((head, body[:PIECE])))  # in one piece: a server wakes up once
    if isinstance(sock, ssl.SSLSocket):  # TLS has words of its own, so what comes there need not be an answer
        for start in range(PIECE, len(body), PIECE):
            sock.sendall(body[start : start + PIECE])
        return True
    at = PIECE
    while at < len(body):
        if is_readable(sock):
            return False
        at += sock.send(body[at:])  # what the kernel has room for: less than half of the calls, and a time-out for each
    return True


def _is_whole(method: str, answer: Head, rest: bytes) -> bool:
    """Whether an answer was read to its end and nothing follows: what only announces one (1xx) is none."""
    if method == "HEAD":
        return answer.status in _LOOKED and not rest
    return answer.status >= FINAL and answer.length == len(rest)
