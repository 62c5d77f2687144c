"""Runs an ASGI application on a socket, by uvicorn: in the foreground until SIGTERM or SIGINT, or beside other work."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

GRACE = 5  # seconds that downloads under way get when the server is told to stop
BACKLOG = 512  # connections that wait to be accepted
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(
    app: ASGIApp, host: str, port: int, *, on_ready: Callable[[str], None] | None = None, grace: int = GRACE
) -> None:
    """Serve until SIGTERM or SIGINT, then return. `port` 0 takes a free one; `on_ready` gets the URL to connect to.

    Call it in the main thread. OSError when the address cannot be had.
    """
    with _listen(host, port) as listener:
        if on_ready is not None:
            on_ready(_url(listener))
        _server(app, grace).run(sockets=[listener])


@contextmanager
def serving(app: ASGIApp, host: str = "127.0.0.1", port: int = 0, *, grace: int = 1) -> Iterator[str]:
    """Serve in a thread for as long as the block lasts; gives the URL."""
    with _listen(host, port) as listener:
        server = _server(app, grace)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="serve")
        thread.start()
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn raises a caught signal once more when it has stopped; to us the first is an order that was obeyed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _server(app: ASGIApp, grace: int) -> _Server:
    config = uvicorn.Config(
        app,
        # h11 bounds the size of a request's head (64 KiB, then 400); httptools does not
        http="h11",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # the forwarded headers are read by app.py, for the links it writes; nothing else trusts them
        proxy_headers=False,
        timeout_graceful_shutdown=grace,
    )
    return _Server(config)


def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    # connections inherit it; asyncio sees no TCP in a socket it did not make, and a small file would wait for an ACK
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
