"""One origin's socket: accepts connections and gives each a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from .answer import Origin
from .heads import Bounds
from .wire import Connection, Exchange, reset

_BACKLOG = 1024


class Listener:
    """Listens from the moment it is made; `close` ends every connection and every wait."""

    def __init__(
        self,
        origin: Origin,
        address: tuple[str, int],
        exchange: Exchange,
        refuses: Callable[[], bool],
        bounds: Callable[[], Bounds],
    ) -> None:
        self._origin: Origin = origin
        self._exchange = exchange
        self._refuses, self._bounds = refuses, bounds
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self.most = 0
        """The most connections that were ever open at once."""
        self._lock = threading.Lock()
        self._socket = socket.create_server(address, backlog=_BACKLOG)
        self.host, self.port = address[0], int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name=f"stand-in {origin}", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The origin, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def close(self) -> None:
        """Stop listening and end all connections."""
        self._closing.set()
        # Closing alone does not wake a thread in accept; shutting down does, except where it is refused.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._socket.accept()
            except OSError:
                continue
            if self._refuses():
                reset(sock)
                continue
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(sock)
            self.most = max(self.most, len(self._open))
        try:
            if not self._closing.is_set():
                Connection(sock, self._origin, self._exchange, self._closing, self._bounds).run()
        finally:
            with self._lock:
                self._open.discard(sock)
