"""A TCP proxy between the program and radosgw that cuts, delays, refuses, answers in the server's place, and lies.

Faults are taken from a list, one a request, so that they end by themselves.
"""

from __future__ import annotations

import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

from tests.servers.relay import Relay, end, pieces, relaying, reset, sent, start

_REQUEST = re.compile(rb"(GET|PUT|POST|DELETE|HEAD) (\S+) HTTP/1\.1\r\n")
_ENTRY = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_KEPT = ("Content-Type", "ETag", "Last-Modified")
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
    times: int = 1
    """How many requests it strikes; a lie that is told once is made good by asking again."""


class Proxy(Relay):
    """Relays connections to one server, with the troubles that were asked for."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self._troubles: list[tuple[Trouble, list[int]]] = []
        self.struck = 0
        """Requests that met a trouble."""
        self._refused = 0
        self._lock = threading.Lock()

    def ask_for(self, trouble: Trouble) -> None:
        """Put a trouble in force. A refusal strikes `skip` new connections."""
        with self._lock:
            if trouble.kind == "refuse":
                self._refused += trouble.skip
            else:
                self._troubles.append((trouble, [trouble.skip, trouble.times]))

    def clear(self) -> None:
        """End all troubles."""
        with self._lock:
            self._troubles.clear()
            self._refused = 0

    def refuses(self) -> bool:
        with self._lock:
            refused = self._refused > 0
            self._refused -= refused
            return refused

    def relay(self, client: socket.socket, server: socket.socket) -> None:
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, server)
        start(self._up, link)
        for piece in pieces(server):
            if not link.down(piece):
                break
        link.end()

    def _up(self, link: _Link) -> None:
        for piece in pieces(link.client):
            trouble = self._trouble(piece)
            if trouble is not None and not _strike(trouble, link, piece):
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
                        left[1] -= 1
                        self.struck += 1
                        return trouble if left[1] else self._troubles.pop(number)[0]
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
        return sent(sink, piece) and (self.limit is None or self.limit > 0)

    def end(self) -> None:
        for sock in (self.client, self.server):
            end(sock)


def _strike(trouble: Trouble, link: _Link, request: bytes) -> bool:
    """Whether the request goes on to the server."""
    if trouble.kind == "delay":
        time.sleep(trouble.amount)
    elif trouble.kind == "cut":
        link.limit = max(1, int(trouble.amount))
    elif trouble.kind == "reset":
        reset(link.client)
        link.end()
        return False
    elif trouble.kind in LIES:
        _lie(link, request, LIES[trouble.kind])
        return False
    else:
        _answer(link, _SLOW if trouble.kind == "slow down" else _BROKEN)
        return False
    return True


def _answer(link: _Link, words: tuple[int, str, str, str]) -> None:
    """Answer in the server's place, and take what the client still sends, lest a reset eats the answer."""
    status, reason, code, message = words
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    _say(link, f"{status} {reason}", {"Content-Type": "application/xml"}, body.encode())


def _lie(link: _Link, request: bytes, change: Callable[[bytes], bytes]) -> None:
    """Ask the server, over a connection of its own, and give its answer changed; a failure is passed on as it is."""
    with suppress(OSError, HTTPException), socket.create_connection(link.server.getpeername()) as asked:
        asked.sendall(request)
        answer = HTTPResponse(asked)
        answer.begin()
        body, head = answer.read(), {name: answer.headers[name] for name in _KEPT if name in answer.headers}
        told = answer.status in (200, 206)
        _say(link, "200 OK" if told else f"{answer.status} {answer.reason}", head, change(body) if told else body)
    link.end()


def _say(link: _Link, status: str, headers: Mapping[str, str], body: bytes) -> None:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""])
    with suppress(OSError):
        link.client.sendall(head.encode() + body)
        link.client.shutdown(socket.SHUT_WR)
        link.client.settimeout(1)
        for _ in pieces(link.client):
            pass
    link.end()


def cut_listing(body: bytes) -> bytes:
    """There is more, it says, and not how to ask for it; half of what there is."""
    less = _without(body, len(_ENTRY.findall(body)) // 2)
    return re.sub(rb"<IsTruncated>\w+<", b"<IsTruncated>true<", re.sub(rb"<NextContinuationToken>.*?</\w+>", b"", less))


def miscounted(body: bytes) -> bytes:
    """The count is not that of what is listed."""
    count = len(_ENTRY.findall(body)) + 3
    return re.sub(rb"<KeyCount>\d+<", b"<KeyCount>%d<" % count, body)


def empty_listing(body: bytes) -> bytes:
    """All is well, and nothing there."""
    return re.sub(rb"<IsTruncated>\w+<", b"<IsTruncated>false<", _without(body, 0))


def _without(listing: bytes, kept: int) -> bytes:
    """A listing with its first entries only, and a count that fits."""
    numbers = itertools.count()
    less = _ENTRY.sub(lambda found: found[0] if next(numbers) < kept else b"", listing)
    return re.sub(rb"<KeyCount>\d+<", b"<KeyCount>%d<" % kept, less)


LIES: Mapping[str, Callable[[bytes], bytes]] = {
    "cut listing": cut_listing,
    "miscounted listing": miscounted,
    "empty listing": empty_listing,
    "empty body": lambda _: b"",
}
"""What becomes of the body of an answer."""


def proxy(upstream: str) -> AbstractContextManager[Proxy]:
    """A proxy in front of the server at this URL, for as long as the block lasts."""
    return relaying(Proxy(upstream))
