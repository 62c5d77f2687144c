"""A relay before an S3 server that makes of it one without conditional writes."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager

from tests.servers.relay import Relay, end, pieces, relaying, sent, start

_NAMES = {b"\r\nIf-None-Match:": b"\r\nIn-None-Watch:", b"\r\nIf-Match:": b"\r\nIn-Watch:"}


class Forgetful(Relay):
    """Their headers get names that nobody looks for."""

    def relay(self, client: socket.socket, server: socket.socket) -> None:
        start(self._up, client, server)
        for piece in pieces(server):
            if not sent(client, piece):
                break
        end(client)
        server.close()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        for piece in pieces(client):
            for name, other in _NAMES.items():
                piece = piece.replace(name, other)  # noqa: PLW2901  a head comes in one piece
            if not sent(server, piece):
                break
        end(server)


def forgetful(upstream: str) -> AbstractContextManager[Forgetful]:
    """Such a relay, for as long as the block lasts."""
    return relaying(Forgetful(upstream))
