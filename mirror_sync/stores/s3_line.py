"""Open connections to one server, for requests whose answers are short: HTTP/1.1 as far as PUT and HEAD need it.

http.client reads the headers of an answer by the parser for e-mail, which alone costs more than sending a small object.
Here an answer is understood if it is plain; every other one is an error, after which somebody else may ask again.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

_HEAD = 16 * 1024  # bytes of an answer's headers, at most
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Server:
    """`host` as its certificate names it; `tls` None for plain http; time-outs in seconds."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    connect_timeout: float
    read_timeout: float


@dataclass(frozen=True, slots=True)
class Answer:
    """`fields` are the headers by their names in small letters."""

    status: int
    fields: Mapping[str, str]


class Lines:
    """Keeps at most `most` idle connections to a server. Safe for many threads."""

    def __init__(self, server: Server, most: int) -> None:
        self._server = server
        self._idle: deque[socket.socket] = deque(maxlen=most)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | bytearray | memoryview = b""
    ) -> Answer:
        """The answer, without its body. OSError when it does not come, ValueError when it is not a plain one."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        length = f"content-length: {memoryview(body).nbytes}\r\n" if method == "PUT" else ""
        head = f"{method} {target} HTTP/1.1\r\n{fields}{length}\r\n"
        sock = self._take()
        try:
            sock.sendall(b"".join((head.encode("latin-1"), body)))  # in one piece: a server wakes up once
            answer, reusable = _read_answer(sock, bodiless=method == "HEAD")
        except BaseException:
            sock.close()
            raise
        if reusable:
            self._give_back(sock)
        else:
            sock.close()
        return answer

    def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> socket.socket:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _give_back(self, sock: socket.socket) -> None:
        if len(self._idle) == self._idle.maxlen:
            sock.close()
        else:
            self._idle.append(sock)

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


def _read_answer(sock: socket.socket, *, bodiless: bool) -> tuple[Answer, bool]:
    """The answer, and whether the connection may serve again: the answer is read to its end, and nothing follows."""
    got = sock.recv(_HEAD)
    while _END not in got:
        more = sock.recv(_HEAD)
        if not more or len(got) > _HEAD:
            raise ValueError("an answer whose headers do not end")
        got += more
    head, _, rest = got.partition(_END)
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not status[:3].isdecimal():
        raise ValueError("an answer that is not HTTP")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    whole = not rest if bodiless else _is_whole(fields, rest)
    stays = version == "HTTP/1.1" and fields.get("connection", "keep-alive").lower() == "keep-alive"
    return Answer(int(status[:3]), fields), whole and stays


def _is_whole(fields: Mapping[str, str], body: bytes) -> bool:
    return fields.get("content-length") == str(len(body)) and "transfer-encoding" not in fields
