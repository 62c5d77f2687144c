"""A TCP relay in front of one server, for proxies that do harm on the way. Standard library only: clients use it."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from urllib.parse import urlsplit

from tests.servers.ports import LOOPBACK

PIECE = 64 << 10


class Relay(ABC):
    """Gives each connection that it takes, and one to the server, to a thread in `relay`."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or LOOPBACK, parts.port or 80)
        self._listener = socket.create_server((LOOPBACK, 0), backlog=128)
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"

    @abstractmethod
    def relay(self, client: socket.socket, server: socket.socket) -> None:
        """Until one of them ends; closes both."""

    def refuses(self) -> bool:
        """Whether the connection that came now is turned away."""
        return False

    def accept_all(self) -> None:
        """Accepts until it is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses():
                reset(client)
            else:
                start(self._connect, client)

    def close(self) -> None:
        """Takes no more connections; those that are open end when their peers end them."""
        # A blocked accept() wakes up at shutdown, not at close.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._upstream)
        except OSError:
            reset(client)
            return
        self.relay(client, server)


class Passing(Relay):
    """Hands on all that comes; what a client sends goes by `upwards`."""

    @abstractmethod
    def upwards(self, came: Iterator[bytes]) -> Iterator[bytes]:
        """What the server gets for what came on one connection."""

    def relay(self, client: socket.socket, server: socket.socket) -> None:
        start(self._up, client, server)
        for piece in pieces(server):
            if not sent(client, piece):
                break
        end(client)
        server.close()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        for piece in self.upwards(pieces(client)):
            if not sent(server, piece):
                break
        end(server)


Kind = TypeVar("Kind", bound=Relay)


@contextmanager
def relaying(one: Kind) -> Iterator[Kind]:
    """This relay at work, for as long as the block lasts."""
    accepting = threading.Thread(target=one.accept_all, daemon=True)
    accepting.start()
    try:
        yield one
    finally:
        one.close()
        accepting.join(5)


def pieces(source: socket.socket) -> Iterator[bytes]:
    """What arrives, until the peer ends or breaks the connection."""
    while True:
        try:
            piece = source.recv(PIECE)
        except OSError:
            return
        if not piece:
            return
        yield piece


def sent(sink: socket.socket, piece: bytes) -> bool:
    """Whether the peer was still there."""
    try:
        sink.sendall(piece)
    except OSError:
        return False
    return True


def end(sock: socket.socket) -> None:
    """With FIN, as a server does that goes away."""
    with suppress(OSError):  # the peer was first
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def reset(sock: socket.socket) -> None:
    """With RST."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()


def start(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()
