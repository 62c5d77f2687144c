"""A TCP proxy between the program and radosgw that cuts, delays, refuses, and answers in the server's place.

Faults are taken from a list, one a request, so that they end by themselves.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.servers.ports import LOOPBACK

_PIECE = 64 << 10
_REQUEST = re.compile(rb"(GET|PUT|POST|DELETE|HEAD) (\S+) HTTP/1\.1\r\n")
_SLOW = (503, "Slow Down", "SlowDown", "Please reduce your request rate.")
_BROKEN = (200, "OK", "InternalError", "We encountered an internal error. Please try again.")


@dataclass(frozen=True)
class Trouble:
    """One fault: what happens to the first request that `fits`, after `skip` others that did."""

    kind: str
    fits: str = ""
    """The beginning of a request's line, as a regular expression; empty: any."""
    skip: int = 0
    amount: float = 0.0
    """Seconds of a delay, or bytes up or down before a cut."""


class Proxy:
    """Relays connections to one server, with the troubles that were asked for."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or LOOPBACK, parts.port or 80)
        self._listener = socket.create_server((LOOPBACK, 0), backlog=128)
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"
        self._troubles: list[tuple[Trouble, list[int]]] = []
        self._refused = 0
        self._lock = threading.Lock()

    def ask_for(self, trouble: Trouble) -> None:
        """Put a trouble in force; it strikes once. A refusal strikes `skip` new connections."""
        with self._lock:
            if trouble.kind == "refuse":
                self._refused += trouble.skip
            else:
                self._troubles.append((trouble, [trouble.skip]))

    def clear(self) -> None:
        """End all troubles."""
        with self._lock:
            self._troubles.clear()
            self._refused = 0

    def accept_all(self) -> None:
        """Accepts until it is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refuses():
                _reset(client)
            else:
                _start(self._relay, client)

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _refuses(self) -> bool:
        with self._lock:
            refused = self._refused > 0
            self._refused -= refused
            return refused

    def _relay(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._upstream)
        except OSError:
            _reset(client)
            return
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, server)
        _start(self._up, link)
        for piece in _pieces(server):
            if not link.down(piece):
                break
        link.end()

    def _up(self, link: _Link) -> None:
        for piece in _pieces(link.client):
            trouble = self._trouble(piece)
            if trouble is not None and not _strike(trouble, link):
                return
            if not link.up(piece):
                break
        link.end()

    def _trouble(self, piece: bytes) -> Trouble | None:
        """The trouble of the request that begins with this piece, if one does and there is any for it."""
        found = _REQUEST.match(piece)
        if found is None:
            return None
        with self._lock:
            for number, (trouble, left) in enumerate(self._troubles):
                if re.match(trouble.fits.encode(), found[0]):
                    left[0] -= 1
                    if left[0] < 0:
                        return self._troubles.pop(number)[0]
        return None


class _Link:
    """Both sides of a connection, and how many bytes may still pass before it is cut."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.limit: int | None = None

    def up(self, piece: bytes) -> bool:
        return self._pass(self.server, piece)

    def down(self, piece: bytes) -> bool:
        with suppress(OSError):
            # Else radosgw waits 40 ms for it between the head and the body of an answer.
            self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return self._pass(self.client, piece)

    def _pass(self, sink: socket.socket, piece: bytes) -> bool:
        if self.limit is not None:
            piece = piece[: self.limit]
            self.limit -= len(piece)
        try:
            sink.sendall(piece)
        except OSError:
            return False
        return self.limit is None or self.limit > 0

    def end(self) -> None:
        for sock in (self.client, self.server):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def _strike(trouble: Trouble, link: _Link) -> bool:
    """Whether the request goes on to the server."""
    if trouble.kind == "delay":
        time.sleep(trouble.amount)
    elif trouble.kind == "cut":
        link.limit = max(1, int(trouble.amount))
    elif trouble.kind == "reset":
        _reset(link.client)
        link.end()
        return False
    else:
        _answer(link, _SLOW if trouble.kind == "slow down" else _BROKEN)
        return False
    return True


def _answer(link: _Link, words: tuple[int, str, str, str]) -> None:
    """Answer in the server's place, and take what the client still sends, lest a reset eats the answer."""
    status, reason, code, message = words
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    with suppress(OSError):
        link.client.sendall(f"{head}Connection: close\r\n\r\n{body}".encode())
        link.client.shutdown(socket.SHUT_WR)
        link.client.settimeout(1)
        for _ in _pieces(link.client):
            pass
    link.end()


def _reset(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()


def _pieces(source: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            piece = source.recv(_PIECE)
        except OSError:
            return
        if not piece:
            return
        yield piece


def _start(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


@contextmanager
def proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy in front of the server at this URL, for as long as the block lasts."""
    one = Proxy(upstream)
    accepting = threading.Thread(target=one.accept_all, daemon=True)
    accepting.start()
    try:
        yield one
    finally:
        one.close()
        accepting.join(5)
