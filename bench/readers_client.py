"""A load of readers: so many clients on connections that stay open, each asking again as soon as it has its answer.

One process, no thread: a load that costs much would hide what the server costs. A body is thrown away by the kernel
(`MSG_TRUNC`), never copied, so what is slow here is the server. The bytes themselves are compared elsewhere, before.
Source: tcp(7), MSG_TRUNC.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from statistics import median
from urllib.parse import urlsplit

_HEAD_ROOM = 64 << 10  # bytes; an answer's head is in the first read, and of a small file all of it
_DISCARD = 4 << 20  # bytes thrown away in one call
_BUFFER = memoryview(bytearray(_DISCARD))
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
_PATIENCE = 30  # seconds in which a whole load hears nothing before it is over


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and the answer that is expected; `size` is its Content-Length in bytes, None when any will do."""

    target: str
    method: str = "GET"
    headers: tuple[str, ...] = ()
    status: int = 200
    size: int | None = None
    body: bytes = b""

    def request(self, host: str) -> bytes:
        length = (f"Content-Length: {len(self.body)}",) if self.body else ()
        lines = "".join(f"{line}\r\n" for line in (f"Host: {host}", *self.headers, *length))
        return f"{self.method} {self.target} HTTP/1.1\r\n{lines}\r\n".encode() + self.body

    def body_length(self, head: bytes) -> int:
        """Bytes that follow this head, which ends with its last line. ValueError when it is not the expected one."""
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 %d " % self.status) or length is None:
            raise ValueError(f"{self.target}: {head[:200]!r}")
        size = int(length[1])
        if self.size is not None and size != self.size:
            raise ValueError(f"{self.target}: {size} bytes, not {self.size}")
        return 0 if self.method == "HEAD" else size


@dataclass(slots=True)
class Outcome:
    """What readers saw in so many seconds; bytes are those of bodies, also of answers that were not over yet."""

    seconds: float = 0.0
    body_bytes: int = 0
    latencies: list[float] = field(default_factory=list, repr=False)
    errors: list[str] = field(default_factory=list)

    @property
    def requests_per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def mib_per_second(self) -> float:
        return self.body_bytes / self.seconds / (1 << 20)

    @property
    def p50_ms(self) -> float | None:
        """None when no answer was over in time."""
        return median(self.latencies) * 1000 if self.latencies else None

    @property
    def p99_ms(self) -> float | None:
        """None when no answer was over in time."""
        latencies = sorted(self.latencies)
        return latencies[int(len(latencies) * 0.99)] * 1000 if latencies else None


def run_load(url: str, asks: Sequence[Ask], clients: int, seconds: float) -> Outcome:
    """Ask for so many seconds, each client one thing after the other, all beginning at different ones.

    What goes wrong is told in `errors`; a client to whom it happens asks no more. OSError when nobody listens.
    """
    outcome = Outcome()
    readers = [_Reader(url, asks, number * len(asks) // clients) for number in range(clients)]
    with select.epoll() as poller:
        try:
            began = time.perf_counter()
            known = {one.begin(poller): one for one in readers}
            while known and outcome.seconds < seconds:
                _hear(poller, known, outcome)
                outcome.seconds = time.perf_counter() - began
        finally:
            for one in readers:
                one.close()
    return outcome


def _hear(poller: select.epoll, known: dict[int, _Reader], outcome: Outcome) -> None:
    ready = poller.poll(_PATIENCE)
    if not ready:
        outcome.errors.append(f"no answer in {_PATIENCE} s")
        known.clear()
    for descriptor, _ in ready:
        one = known.pop(descriptor)
        try:
            one.read(outcome)
            known[one.go_on(poller)] = one
        except (OSError, ValueError) as error:
            outcome.errors.append(str(error) or type(error).__name__)
            one.close()


class _Reader:
    """One client: a connection, and how much of the answer is still to come."""

    def __init__(self, url: str, asks: Sequence[Ask], first: int) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        prepared = [(one, one.request(parts.netloc)) for one in asks]
        self._asks = cycle(prepared[first:] + prepared[:first])
        self._socket = socket.socket()
        self._head, self._left, self._asked, self._last = b"", 0, 0.0, False

    def begin(self, poller: select.epoll) -> int:
        """Connect and ask; returns the number of the socket."""
        self._socket = socket.create_connection(self._address, timeout=_PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poller.register(self._socket, select.EPOLLIN)
        self._last = False
        self._ask()
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self, outcome: Outcome) -> None:
        """Take what has arrived. ValueError for an answer that is not the one that was expected."""
        if self._left:
            count = self._socket.recv_into(_BUFFER, min(self._left, _DISCARD), socket.MSG_TRUNC)
            if count == 0:
                raise ValueError(f"cut with {self._left} bytes to come")
            self._left -= count
        else:
            count = self._read_head(self._socket.recv(_HEAD_ROOM))
        outcome.body_bytes += count
        if not self._left and not self._head:
            outcome.latencies.append(time.perf_counter() - self._asked)

    def go_on(self, poller: select.epoll) -> int:
        """Ask again when the answer is over, on a new connection when the server ends this one after so many."""
        if not self._left and not self._head:
            if self._last:
                self.close()
                return self.begin(poller)
            self._ask()
        return self._socket.fileno()

    def _ask(self) -> None:
        self._current, request = next(self._asks)
        self._asked = time.perf_counter()
        self._socket.sendall(request)

    def _read_head(self, piece: bytes) -> int:
        """The bytes of the body that came with it."""
        if not piece:
            raise ValueError("closed without an answer")
        head, end, body = (self._head + piece).partition(b"\r\n\r\n")
        if not end:
            self._head += piece
            return 0
        self._head, self._last = b"", b"\r\nConnection: close" in head
        self._left = self._current.body_length(head + b"\r\n") - len(body)
        if self._left < 0:
            raise ValueError("more than an answer")
        return len(body)
