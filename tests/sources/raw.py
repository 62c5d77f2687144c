"""Servers that speak no HTTP anybody would own up to: they read one request and send what they are told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from mirror_sync.domain.job.upstreams import Timeouts

Script = Callable[[socket.socket, threading.Event], None]
"""Answers a request on a socket; the event is set when the server is to end."""
QUICK = Timeouts(connect=5, stall=5, first_byte=5, min_rate=1000, over=1.0)
"""Loses patience with what trickles, and only with that: on a busy machine, too."""


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """An address whose every connection runs the script once its first request has come."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(client: socket.socket) -> None:
            with client, suppress(OSError):
                client.recv(65536)
                script(client, over)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)


def sending(*pieces: bytes) -> Script:
    """Send these bytes and end."""

    def script(client: socket.socket, _: threading.Event) -> None:
        for piece in pieces:
            client.sendall(piece)

    return script


def trickling(head: bytes, repeated: bytes = b"x", every: float = 0.02) -> Script:
    """Send the head, and then the same few bytes for ever, `every` so many seconds."""

    def script(client: socket.socket, over: threading.Event) -> None:
        client.sendall(head)
        while not over.wait(every):
            client.sendall(repeated)

    return script
