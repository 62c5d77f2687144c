"""Runs an ASGI application on a socket, by uvicorn: in the foreground until SIGTERM or SIGINT, or beside other work.

Uvicorn waits for the rest of a request for ever, and takes as many connections as come. Here both are bounded.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from mirror_sync.front.serve.prefork import serve_in_processes
from mirror_sync.front.serve.streaming import ZERO_COPY

GRACE = 5  # seconds that downloads under way get when the server is told to stop
BACKLOG = 512  # connections that wait to be accepted
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n"
_OTHER_FILES = 64  # descriptors that are no connection's; each of these may hold two, its own and a file's


@dataclass(frozen=True, slots=True)
class ServeTimeouts:
    """How long a client may take for a request, in seconds: for its `head`, which begins where the answer before ended,
    and for its `body`; and how many `connections` are held at once, as far as the limit of open files allows.
    """

    head: float = 10.0
    body: float = 30.0
    connections: int = 2000

    @property
    def most(self) -> int:
        """The connections that this process can hold."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return min(self.connections, max(1, (files - _OTHER_FILES) // 2))


PATIENCE = ServeTimeouts()
NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class ServeAt:
    """Where and how: `port` 0 takes a free one. More than one of `processes` are forked, and share the work.

    `beside` is another host and port at which the same application listens.
    """

    host: str
    port: int
    processes: int = 1
    tls: ssl.SSLContext | None = None
    beside: tuple[str, int] | None = None

    @contextmanager
    def listeners(self) -> Iterator[list[tuple[socket.socket, ...]]]:
        """Those of each process, at the same addresses. OSError when one cannot be had."""
        places = ((self.host, self.port), *([self.beside] if self.beside else ()))
        with ExitStack() as opened:
            rows = [self._at(opened, *place) for place in places]
            yield list(zip(*rows, strict=True))

    def _at(self, opened: ExitStack, host: str, port: int) -> list[socket.socket]:
        shared = self.processes > 1
        if shared:
            with _listen(host, port) as alone:  # nobody else has the address: sharing would hide it
                port = alone.getsockname()[1]
        return [opened.enter_context(_listen(host, port, shared=shared)) for _ in range(self.processes)]


@dataclass(frozen=True, slots=True)
class ServeBeside:
    """Another application, at an address of its own and by plain HTTP, which the first process answers.

    `begin` is told in each process which one it is, before it serves.
    """

    app: ASGIApp
    host: str
    port: int
    begin: Callable[[int], None]


def serve(
    app: ASGIApp,
    at: ServeAt,
    *,
    on_ready: Callable[[str], None] | None = None,
    headers: Mapping[str, str] = NONE,
    beside: ServeBeside | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return. `on_ready` gets the URL to connect to.

    `headers` are those of answers that are given before the application is asked: to what is no HTTP, or is too much.
    Call it in the main thread, before others run. OSError when the address cannot be had.
    """
    with ExitStack() as opened:
        listeners = opened.enter_context(at.listeners())
        other = None if beside is None else opened.enter_context(_listen(beside.host, beside.port))
        if on_ready is not None:
            on_ready(_url(listeners[0][0], "https" if at.tls else "http"))

        def run(own: tuple[socket.socket, ...]) -> None:
            row, server = listeners.index(own), _server(app, GRACE, PATIENCE, headers, at.tls)
            if beside is not None:
                beside.begin(row)
            if beside is None or other is None or row:
                server.run(sockets=list(own))
                return
            with _in_thread(_server(beside.app, 1, PATIENCE, headers), other, "metrics"):
                server.run(sockets=list(own))

        if at.processes > 1:
            serve_in_processes(listeners, run)
        else:
            run(listeners[0])


@contextmanager
def serving(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    grace: int = 1,
    patience: ServeTimeouts = PATIENCE,
    headers: Mapping[str, str] = NONE,
) -> Iterator[str]:
    """Serve in a thread for as long as the block lasts; gives the URL."""
    with _listen(host, port) as listener, _in_thread(_server(app, grace, patience, headers), listener, "serve"):
        yield _url(listener)


@contextmanager
def _in_thread(server: _Server, listener: socket.socket, name: str) -> Iterator[None]:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name=name)
    thread.start()
    try:
        yield
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


class _Length(bytes):
    """Stands for so many bytes that h11 does not see, as its manual has it for sendfile."""

    def __new__(cls, count: int) -> _Length:
        one = super().__new__(cls)
        one._count = count
        return one

    _count: int

    def __len__(self) -> int:
        return self._count


class _Connection(H11Protocol):
    """Uvicorn's, with an end to half requests, and `headers` on its own answers."""

    def __init__(self, *args: Any, patience: ServeTimeouts, headers: Mapping[str, str], **words: Any) -> None:
        super().__init__(*args, **words)
        self._limits = {h11.IDLE: patience.head, h11.SEND_BODY: patience.body}
        self._most = patience.most
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.app = self._offering(self.app)
        self._watched: Any = None
        self._deadline: asyncio.TimerHandle | None = None

    def _offering(self, app: ASGIApp) -> ASGIApp:
        """The application, told that this server sends files by sendfile(2). TLS, and other loops, cannot."""

        async def offered(scope: Scope, receive: Receive, send: Send) -> None:
            cycle = self.cycle

            async def sent(message: Message) -> None:
                if message["type"] == ZERO_COPY:
                    await self._send_file(cycle, message)
                    more = message.get("more_body", False)
                    message = {"type": "http.response.body", "body": b"", "more_body": more}
                await send(message)

            able = isinstance(self.loop, asyncio.SelectorEventLoop) and scope.get("scheme") == "http"
            extensions = {**scope.get("extensions", {}), **({ZERO_COPY: {}} if able else {})}
            await app({**scope, "extensions": extensions}, receive, sent)

        return offered

    async def _send_file(self, cycle: RequestResponseCycle, message: Message) -> None:
        """The connection ends where the file is shorter than was said, and where the client has gone."""
        count = message["count"]
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        self.conn.send_with_data_passthrough(h11.Data(data=_Length(count)))  # it counts what goes out
        if self.transport.is_closing():
            return
        try:
            sent = await self.loop.sendfile(self.transport, message["file"], message["offset"], count)
        except OSError:
            sent = 0
        if sent < count:
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.write(b"".join([_BUSY, *(b"%s: %s\r\n" % header for header in self._headers), b"\r\n"]))
            transport.close()
        self._watch()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def send_400_response(self, msg: str) -> None:
        text = msg.encode()
        own = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(text))),
            ("connection", "close"),
        ]
        headers = [*((name.encode(), value.encode()) for name, value in own), *self._headers]
        answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (answer, h11.Data(data=text), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watched = None  # another request begins, whatever state the last one ended in
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """One deadline for each part of a request, not for each read: a byte now and then does not move it."""
        state = self.conn.their_state
        if state is self._watched:
            return
        self._stop()
        self._watched = state
        if state in self._limits and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self._limits[state], self.transport.abort)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _server(
    app: ASGIApp,
    grace: int,
    patience: ServeTimeouts,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None = None,
) -> _Server:
    config = uvicorn.Config(
        app,
        # h11 bounds the size of a request's head (64 KiB, then 400); httptools does not
        http=partial(_Connection, patience=patience, headers=headers),  # type: ignore[arg-type]  # it is only called
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # the forwarded headers are read by app.py, for the links it writes; nothing else trusts them
        proxy_headers=False,
        timeout_graceful_shutdown=grace,
    )
    config.load()
    config.ssl = tls  # its own would be made of files alone, and speak what we do not
    return _Server(config)


def _listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """OSError, also where others have the address, unless it is `shared` and they are of the same user and share it."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.create_server(address[:2], family=family, backlog=BACKLOG, reuse_port=shared)
    # connections inherit it; asyncio sees no TCP in a socket it did not make, and a small file would wait for an ACK
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket, scheme: str = "http") -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
