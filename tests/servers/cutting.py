"""A TCP proxy that cuts one connection in the middle of a big body. Standard library only: it runs beside clients.

It cuts as a server does that goes away, with FIN: that is what huggingface_hub 1.x and 2.x resume after, within one
call. After a reset (RST) they give up; 0.x gives up after both, and goes on from its partial file when called again.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.servers.ports import LOOPBACK

PIECE = 64 << 10


class CuttingProxy:
    """Relays connections to one server; the first that has brought `after` bytes down is cut, and only that one."""

    def __init__(self, upstream: str, after: int) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or LOOPBACK, parts.port or 80)
        self._after = after
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, 0), backlog=64)
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self.ranges: list[str] = []
        """The `Range` headers of the requests that passed, in order."""
        self.requests: list[str] = []
        """Their first lines."""

    def accept_all(self) -> None:
        """Accepts until it is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._relay, client)

    def close(self) -> None:
        """Takes no more connections; those that are open end when their peers end them."""
        # A blocked accept() wakes up at shutdown, not at close.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _relay(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._upstream)
        except OSError:
            client.close()
            return
        self._start(self._up, client, server)
        self._down(server, client)

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        for piece in _pieces(client):
            self._note(piece)
            if not _sent(server, piece):
                break
        _end(server)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        for piece in _pieces(server):
            if not _sent(client, piece):
                break
            passed += len(piece)
            if passed >= self._after and self._may_cut():
                break
        _end(client)
        server.close()

    def _may_cut(self) -> bool:
        with self._lock:
            first = self.cuts == 0
            self.cuts = 1
            return first

    def _note(self, piece: bytes) -> None:
        """Clients send the head of a request in one piece, which is all these tests need."""
        for line in piece.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "range":
                self.ranges.append(value.strip())
            if line.endswith((" HTTP/1.1", " HTTP/1.0")):
                self.requests.append(line)

    @staticmethod
    def _start(target: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()


@contextmanager
def cutting_proxy(upstream: str, after: int) -> Iterator[CuttingProxy]:
    """A proxy in front of the server at this URL, for as long as the block lasts; `after` is in bytes."""
    proxy = CuttingProxy(upstream, after)
    accepting = threading.Thread(target=proxy.accept_all, daemon=True)
    accepting.start()
    try:
        yield proxy
    finally:
        proxy.close()
        accepting.join(5)


def _pieces(source: socket.socket) -> Iterator[bytes]:
    """What arrives, until the peer ends or breaks the connection."""
    while True:
        try:
            piece = source.recv(PIECE)
        except OSError:
            return
        if not piece:
            return
        yield piece


def _sent(sink: socket.socket, piece: bytes) -> bool:
    try:
        sink.sendall(piece)
    except OSError:
        return False
    return True


def _end(sink: socket.socket) -> None:
    with suppress(OSError):  # the peer was first
        sink.shutdown(socket.SHUT_RDWR)
    sink.close()
