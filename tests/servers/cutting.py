"""A TCP proxy that cuts one connection in the middle of a big body. Standard library only: it runs beside clients.

It cuts as a server does that goes away, with FIN: that is what huggingface_hub 1.x and 2.x resume after, within one
call. After a reset (RST) they give up; 0.x gives up after both, and goes on from its partial file when called again.
"""

from __future__ import annotations

import socket
import threading
from contextlib import AbstractContextManager

from tests.servers.relay import Relay, end, pieces, relaying, sent, start


class CuttingProxy(Relay):
    """Relays connections to one server; the first that has brought `after` bytes down is cut, and only that one."""

    def __init__(self, upstream: str, after: int) -> None:
        super().__init__(upstream)
        self._after = after
        self._lock = threading.Lock()
        self.cuts = 0
        self.ranges: list[str] = []
        """The `Range` headers of the requests that passed, in order."""
        self.requests: list[str] = []
        """Their first lines."""

    def relay(self, client: socket.socket, server: socket.socket) -> None:
        start(self._up, client, server)
        passed = 0
        for piece in pieces(server):
            if not sent(client, piece):
                break
            passed += len(piece)
            if passed >= self._after and self._may_cut():
                break
        end(client)
        server.close()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        for piece in pieces(client):
            self._note(piece)
            if not sent(server, piece):
                break
        end(server)

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


def cutting_proxy(upstream: str, after: int) -> AbstractContextManager[CuttingProxy]:
    """A proxy in front of the server at this URL, for as long as the block lasts; `after` is in bytes."""
    return relaying(CuttingProxy(upstream, after))
