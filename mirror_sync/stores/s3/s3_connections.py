"""Open connections to one server, for requests whose answers are short: HTTP/1.1 as far as PUT and HEAD need it."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from mirror_sync.wire import Head, Idle, is_readable, read_head

_LOOKED = {HTTPStatus.OK, HTTPStatus.NOT_FOUND}  # after others a server may send a body all the same

PIECE = 256 * 1024  # bytes that are sent at once; the time-out is for so many


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
        fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        length = f"content-length: {memoryview(body).nbytes}\r\n" if method == "PUT" else ""
        head = f"{method} {target} HTTP/1.1\r\n{fields}{length}\r\n"
        sock = self._idle.take() or self._connect()
        try:
            whole = _send(sock, head.encode("latin-1"), memoryview(body).cast("B"))
            answer, rest = read_head(_receiving(sock, self._server.read_timeout))
        except BaseException:
            sock.close()
            raise
        if whole and answer.stays and _is_whole(method, answer, rest):
            if sock.gettimeout() != self._server.read_timeout:
                sock.settimeout(self._server.read_timeout)
            self._idle.give_back(sock)
        else:
            sock.close()
        return answer

    def close(self) -> None:
        """Close those that are idle."""
        self._idle.close()

    def _connect(self) -> socket.socket:
        server = self._server
        sock = socket.create_connection((server.host, server.port), server.connect_timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if server.tls is not None:
                sock = server.tls.wrap_socket(sock, server_hostname=server.host)
            sock.settimeout(server.read_timeout)
        except BaseException:
            sock.close()
            raise
        return sock


def _send(sock: socket.socket, head: bytes, body: memoryview) -> bool:
    """False where the server answered before it had the body: a refusal, after which no more is sent."""
    sock.sendall(b"".join((head, body[:PIECE])))  # in one piece: a server wakes up once
    for start in range(PIECE, len(body), PIECE):
        # TLS has words of its own, so what came there need not be an answer
        if not isinstance(sock, ssl.SSLSocket) and is_readable(sock):
            return False
        sock.sendall(body[start : start + PIECE])
    return True


def _receiving(sock: socket.socket, seconds: float) -> Callable[[int], bytes]:
    """Reads a head, which has so long as a whole. Most come in one piece, for which nothing is set anew."""
    until = time.monotonic() + seconds
    pieces = 0

    def receive(count: int) -> bytes:
        nonlocal pieces
        pieces += 1
        if pieces > 1:
            if (left := until - time.monotonic()) <= 0:
                raise TimeoutError("the headers did not end")
            sock.settimeout(left)
        return sock.recv(count)

    return receive


def _is_whole(method: str, answer: Head, rest: bytes) -> bool:
    """Whether an answer was read to its end and nothing follows: what only announces one (1xx) is none."""
    if method == "HEAD":
        return answer.status in _LOOKED and not rest
    return answer.status >= HTTPStatus.OK and answer.length == len(rest)
