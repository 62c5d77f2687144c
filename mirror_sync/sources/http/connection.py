"""Connections that lose patience and look where they lead; otherwise urllib3's.

urllib3's read time-out counts for each arrival of bytes, so a server that sends a byte now and then holds it for ever;
here the headers as a whole have a time, and so has all that stands between two bytes of the body: the sizes of chunks,
what is written behind them, and trailers. Its reads wait for a full buffer; here bytes come out as they arrive,
straight into the caller's buffer. And it connects to whatever address a name has; here the answer can be held to public
ones.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.errors import BadAnswer

_ADDRESSES = 4  # of a name that are tried: each may cost a whole connect time-out
_ENOUGH = 1024 * 1024  # bytes of one read that are worth the way up
_LINGER = 0.01  # seconds that a read may stay for more than the first bytes
_BUFFER = 64 * 1024  # bytes read ahead with the headers; beyond it the caller's own buffer is filled


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How the connections of a pool behave; `allows` says which addresses may be connected to, None for all."""

    timeouts: Timeouts
    clock: Callable[[], float] = time.monotonic
    allows: Callable[[str], bool] | None = None


class _DeadlineSocket(io.RawIOBase):
    """A socket whose reads end at a deadline while there is one."""

    def __init__(self, sock: socket.socket, connection_options: ConnectionOptions) -> None:
        self._sock, self._connection_options = sock, connection_options
        self._held = sock.makefile("rb", buffering=0)  # what keeps the socket open when its connection lets go of it
        self._patience, self._in_body = connection_options.timeouts.stall, False
        self._until: float | None = None
        self.expect_headers()  # a proxy's answer to CONNECT is read without a word of beginning

    def makefile(self, mode: str) -> io.BufferedReader:
        """As http.client asks a socket for its file."""
        del mode
        return io.BufferedReader(self, _BUFFER)

    def expect_headers(self) -> None:
        self._until = self._connection_options.clock() + self._connection_options.timeouts.first_byte

    def expect_body(self) -> None:
        self._until, self._in_body = None, True
        self._sock.settimeout(self._patience)

    def expect_chunk(self) -> None:
        """The next byte of the body, or its end, with all that comes before it."""
        self._until = self._connection_options.clock() + self._patience

    def hurry(self, seconds: float) -> None:
        self._patience = seconds
        self._sock.settimeout(seconds)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._until is not None:
            left = self._until - self._connection_options.clock()
            if left <= 0:
                raise TimeoutError("what comes before a body, or between its bytes, did not end")
            self._sock.settimeout(left)
        count = self._sock.recv_into(buffer)
        more = self._in_body and 0 < count < _ENOUGH
        return count + self._gather(memoryview(buffer)[count:_ENOUGH]) if more else count

    def _gather(self, rest: memoryview) -> int:
        """What comes hard on the heels of the first bytes: TLS gives 16 KiB at a time, and each way up costs.

        What breaks here breaks again at the next read.
        """
        count, until = 0, self._connection_options.clock() + _LINGER
        if not rest:
            return 0
        self._sock.settimeout(_LINGER)
        with suppress(OSError):
            while count < len(rest) and (more := self._sock.recv_into(rest[count:])):
                count += more
                if self._connection_options.clock() > until:
                    break
        self._sock.settimeout(self._patience)
        return count

    def close(self) -> None:
        if not self.closed:
            self._held.close()
            super().close()


class Arriving(HTTPResponse):
    """An answer whose bytes come out as they arrive."""

    def __init__(self, sock: socket.socket, connection_options: ConnectionOptions, **options: Any) -> None:
        self._watched = _DeadlineSocket(sock, connection_options)
        super().__init__(self._watched, **options)  # type: ignore[arg-type]  # its makefile is all that is asked for

    def begin(self) -> None:
        """Read the headers. TimeoutError when they take longer than the first byte may."""
        self._watched.expect_headers()
        super().begin()
        self._watched.expect_body()

    def hurry(self, seconds: float) -> None:
        """From now on, wait only so long for bytes."""
        self._watched.hurry(seconds)

    def receive(self, buffer: memoryview) -> int:
        """What has arrived, at least a byte; 0 at the end of the body, promised or not. OSError, HTTPException."""
        if self.fp is None or self.length == 0:
            self.close()
            return 0
        if self.chunked:
            self._watched.expect_chunk()
            chunk = self.read1(len(buffer))
            buffer[: len(chunk)] = chunk
            return len(chunk)
        return self._count(self.fp.readinto1(buffer if self.length is None else buffer[: self.length]))

    def _count(self, count: int) -> int:
        if self.length is not None:
            self.length -= count
        if not count or self.length == 0:
            self.close()
        return count


class GuardedConnection(HTTPConnection):
    """A connection whose answers arrive, and that is picky about addresses."""

    connection_options: ConnectionOptions
    arriving: Arriving
    peer: str = ""
    """The address at the other end: the server's, or the proxy's."""

    def response_class(self, sock: socket.socket, **options: Any) -> Arriving:  # type: ignore[override]
        """Called by http.client, as the class that it usually is, when an answer is expected."""
        self.arriving = Arriving(sock, self.connection_options, **options)
        return self.arriving

    def _new_conn(self) -> socket.socket:
        """The name is resolved once, and what was looked at is what is connected to: a name whose address changes
        between look and use (DNS rebinding) gains nothing. OSError; BadAnswer for an address that is not allowed.
        """
        error: OSError | None = None
        for address in self._addresses():
            try:
                sock = create_connection((address, self.port), self.timeout, None, self.socket_options)
            except OSError as caught:
                error = caught
                continue
            self.peer = address
            return sock
        raise error or ConnectionError(f"{self.host} has no address")

    def _addresses(self) -> list[str]:
        found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
        if self.connection_options.allows is not None:
            addresses = list(filter(self.connection_options.allows, addresses))
            if not addresses:
                raise BadAnswer(f"a redirect to {self.host}, which is not on the open internet: refused")
        return addresses[:_ADDRESSES]


class _GuardedTls(GuardedConnection, HTTPSConnection):
    pass


class Lender(HTTPConnectionPool):
    """A pool whose connections may be borrowed, by whoever speaks HTTP without urllib3."""

    @property
    def closed(self) -> bool:
        return self.pool is None

    def lend(self, *, anew: bool = False) -> tuple[GuardedConnection, bool]:
        """An open connection, which is to be given back, and whether it served before; with `anew` it did not.

        BROKEN when none can be made; BadAnswer.
        """
        line = self._get_conn()
        assert isinstance(line, GuardedConnection)  # noqa: S101  for the type checker: our pools make no others
        try:
            if anew:
                line.close()
            served = line.sock is not None
            if not served:
                line.connect()
        except BaseException:
            line.close()
            self._put_conn(line)
            raise
        return line, served

    def give_back(self, line: GuardedConnection) -> None:
        """A closed one, too: it will connect again."""
        self._put_conn(line)


def pools(connection_options: ConnectionOptions) -> Mapping[str, type[HTTPConnectionPool]]:
    """urllib3's pools by scheme, with our connections."""

    class Plain(GuardedConnection):
        pass

    class Tls(_GuardedTls):
        pass

    Plain.connection_options = Tls.connection_options = connection_options
    plain = type("Plain", (Lender,), {"ConnectionCls": Plain})
    tls = type("Tls", (Lender, HTTPSConnectionPool), {"ConnectionCls": Tls})
    return {"http": plain, "https": tls}


def arriving(answer: BaseHTTPResponse) -> Arriving:
    """The body of an answer that nobody has begun to read."""
    return _connection(answer).arriving


def peer(answer: BaseHTTPResponse) -> str:
    """The address that an answer came from: the server's, or the proxy's."""
    return _connection(answer).peer


def _connection(answer: BaseHTTPResponse) -> GuardedConnection:
    assert isinstance(answer.connection, GuardedConnection)  # noqa: S101  for the type checker: all our pools make these
    return answer.connection
