"""HTTP/1.1 on one connection: reads requests and sends answers, sound or faulty. RFC 9112."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import responses
from io import BufferedReader

from .answer import Answer, Delivery, Headers, Origin, Refusal, Request, error
from .heads import Bounds, read_head

MAX_BODY = 64 << 20
"""Bytes of a request's body."""
_TICK = 0.05
"""Seconds between two pieces of a trickling body."""
_JOIN = 16 * 1024
"""Bytes of a body that still travel with their headers."""

Exchange = Callable[[Request], tuple[Answer, Callable[[int], None]]]
"""Answers a request; the callable is told the number of body bytes about to be sent."""


@dataclass(frozen=True)
class Connection:
    """One client's connection."""

    sock: socket.socket
    origin: Origin
    exchange: Exchange
    closing: threading.Event
    """Set when the server closes; ends every wait."""
    bounds: Callable[[], Bounds] = Bounds

    def run(self) -> None:
        """Answer requests until the client or a fault ends the connection."""
        with self.sock, self.sock.makefile("rb") as stream:
            try:
                while self._one(stream):
                    pass
            except (OSError, ValueError):  # the client went away, or the server closed the socket
                return

    def _one(self, stream: BufferedReader) -> bool:
        try:
            request = read_request(stream, self.origin, self._continue, self.bounds())
        except Refusal as refusal:
            self._send(None, refusal.answer, lambda _: None)
            return False
        if request is None:
            return False
        answer, sending = self.exchange(request)
        if answer.delivery.delay and self.closing.wait(answer.delivery.delay):
            return False
        if answer.delivery.drop:
            reset(self.sock)
            return False
        self._send(request, answer, sending)
        return not answer.delivery.breaks and request.headers.get("connection", "").lower() != "close"

    def _continue(self) -> None:
        self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _send(self, request: Request | None, answer: Answer, sending: Callable[[int], None]) -> None:
        head = _head(answer, last=request is None or answer.delivery.breaks)
        if (request and request.method == "HEAD") or answer.status in {204, 304}:
            self.sock.sendall(head)
            return
        waiting = head
        for piece in paced(answer, self.closing):
            sending(len(piece))
            # A small body travels with its headers: one packet, one system call.
            if waiting and 0 < len(piece) <= _JOIN and not answer.delivery.rate:
                waiting += piece
                continue
            self.sock.sendall(waiting)
            waiting = b""
            self.sock.sendall(piece)
        self.sock.sendall(waiting)


def paced(answer: Answer, closing: threading.Event) -> Iterator[bytes]:
    """Yield the body's pieces when they are due; ends early where the delivery cuts it or the server closes."""
    way, size = answer.delivery, answer.body.size
    stop = size if way.cut_after is None else min(size, way.cut_after)
    if way.stall:
        first = min(way.stall_after, stop)
        yield from _pieces(answer, way, 0, first, closing)
        yield b""  # flushes what came before
        if closing.wait(way.stall):
            return
        yield from _pieces(answer, way, first, stop, closing)
    else:
        yield from _pieces(answer, way, 0, stop, closing)


def _pieces(answer: Answer, way: Delivery, start: int, stop: int, closing: threading.Event) -> Iterator[bytes]:
    chunks = answer.body.chunks(start, stop) if start < stop else iter(())
    if way.rate is None:
        yield from chunks
        return
    step = max(1, int(way.rate * _TICK))
    for chunk in chunks:
        for position in range(0, len(chunk), step):
            piece = chunk[position : position + step]
            if closing.wait(len(piece) / way.rate):
                return
            yield piece


def reset(sock: socket.socket) -> None:
    """Close a connection so that the client sees a reset, not an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_request(stream: BufferedReader, origin: Origin, go_on: Callable[[], None], bounds: Bounds) -> Request | None:
    """Read one request, or return None when the client ended the connection between two.

    Raises Refusal with 400, 411, 413 or 431 for what this server does not read.
    """
    head = read_head(stream, bounds)
    if head is None:
        return None
    path, _, query = head.target.partition("?")
    body = _read_body(stream, head.headers, go_on)
    return Request(origin, head.method, path, query, head.headers, body, head.names)


def _read_body(stream: BufferedReader, headers: Headers, go_on: Callable[[], None]) -> bytes:
    if "transfer-encoding" in headers:
        raise error(411, "Length required")
    length = headers.get("content-length", "0")
    if len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
        raise error(413, "Body too large")
    if int(length) and headers.get("expect", "").lower() == "100-continue":
        go_on()
    return stream.read(int(length))


def _head(answer: Answer, *, last: bool) -> bytes:
    size = answer.body.size if answer.delivery.promised is None else answer.delivery.promised
    shown = {"Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()), **answer.headers}
    if answer.status not in {204, 304}:
        shown.setdefault("Content-Length", str(size))
    shown["Connection"] = "close" if last else "keep-alive"
    reason = responses.get(answer.status, "Unknown")
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in shown.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
