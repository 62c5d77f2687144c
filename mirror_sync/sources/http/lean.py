"""Small files on a short way: one GET over a connection of urllib3's pools, its answer read by `wire`.

urllib3 and http.client take three times the CPU of all else that a file of a few KiB costs. What is unusual (chunked,
no length, 1xx, an address that wants to be put right first) is left to them, as is everything behind a proxy. Refusals
and redirects are answers like others, so that no server which asks us to wait is asked twice.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Mapping

from urllib3 import BaseHTTPResponse

from mirror_sync.domain.url import Origin, Url
from mirror_sync.sources.http.connection import ConnectionOptions, GuardedConnection, Lender
from mirror_sync.wire import Head, read_head

_PLAIN = re.compile(r"/[\w.~:/?@!$&'()*+,;=%-]*", re.ASCII)
_HOSTS = 64  # servers whose pools are remembered
_DOUBTS = 3  # unusual answers of a server, after which it is asked in the other way at once
_FINAL = 200  # below are what only announces an answer
_BODILESS = {204, 304}


class LeanAnswer:
    """An answer whose body comes as it arrives. One thread at a time."""

    def __init__(self, head: Head, rest: bytes, line: GuardedConnection, pool: Lender) -> None:
        self.status, self.headers, self.peer = head.status, head.fields, line.peer
        length = 0 if head.status in _BODILESS else head.length or 0
        self._rest, self._left = memoryview(rest)[:length], length
        self._stays = head.stays and len(rest) <= length
        self._sock: socket.socket = line.sock
        self._line: GuardedConnection | None = line
        self._pool = pool

    def receive(self, buffer: memoryview) -> int:
        """What has arrived, at least a byte; 0 at the end of the body, promised or not. OSError."""
        if self._rest:
            count = min(len(self._rest), len(buffer))
            buffer[:count] = self._rest[:count]
            self._rest = self._rest[count:]
        else:
            count = self._sock.recv_into(buffer[: self._left]) if self._left else 0
        self._left -= count
        return count

    @property
    def is_here(self) -> bool:
        """Whether no byte is still to come from the connection."""
        return self._left == len(self._rest)

    def hurry(self, seconds: float) -> None:
        """From now on, wait only so long for bytes."""
        if not self.is_here:
            self._sock.settimeout(seconds)

    def release_conn(self) -> None:
        """Let the connection serve again if nothing is left on it."""
        self._let_go(close=not (self._stays and self.is_here))

    def close(self) -> None:
        """Let go of the connection."""
        self._let_go(close=True)

    def _let_go(self, *, close: bool) -> None:
        line, self._line = self._line, None
        if line is not None:
            if close:
                line.close()
            self._pool.give_back(line)


Answer = BaseHTTPResponse | LeanAnswer


class LeanWay:
    """Asks servers without a proxy; `find` gives the pool of a server's connections. Safe for many threads."""

    def __init__(self, connection_options: ConnectionOptions, find: Callable[[Url], Lender]) -> None:
        self._connection_options, self._find = connection_options, find
        self._pools: dict[Origin, Lender] = {}
        self._doubts: dict[Origin, int] = {}
        self._lock = threading.Lock()

    def ask(self, place: Url, headers: Mapping[str, str]) -> LeanAnswer | None:
        """None where somebody else should ask. `headers` are all there are, the host included.

        BROKEN; BadAnswer for an address that is not allowed.
        """
        if _PLAIN.fullmatch(place.target) is None or self._doubts.get(place.origin, 0) >= _DOUBTS:
            return None
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if lines.count("\n") != len(headers) or not lines.isascii():
            return None
        answer = self._answer(self._pool(place), f"GET {place.target} HTTP/1.1\r\n{lines}\r\n".encode())
        if answer is None:
            with self._lock:
                self._doubts[place.origin] = self._doubts.get(place.origin, 0) + 1
        return answer

    def _answer(self, pool: Lender, request: bytes, *, anew: bool = False) -> LeanAnswer | None:
        line, served = pool.lend(anew=anew)
        try:
            head, rest = self._exchange(line.sock, request)
            if head.length != len(rest):
                line.sock.settimeout(self._connection_options.timeouts.stall)
            return LeanAnswer(head, rest, line, pool)
        except (ValueError, ConnectionError) as error:
            line.close()
            pool.give_back(line)
            if isinstance(error, ValueError):
                return None
            if served:  # a server ends what is idle whenever it likes
                return self._answer(pool, request, anew=True)
            raise
        except BaseException:
            line.close()
            pool.give_back(line)
            raise

    def _exchange(self, sock: socket.socket, request: bytes) -> tuple[Head, bytes]:
        """The headers as a whole have the time of a first byte. ValueError for an unusual answer."""
        clock, patience = self._connection_options.clock, self._connection_options.timeouts.first_byte
        until = clock() + patience

        def receive(count: int) -> bytes:
            if (left := until - clock()) <= 0:
                raise TimeoutError("the headers did not end")
            if begun:
                sock.settimeout(left)
            begun.append(count)
            return sock.recv(count)

        begun: list[int] = []  # most answers come in one piece
        if sock.gettimeout() != patience:  # each change is a system call, and gives Python's lock away
            sock.settimeout(patience)
        sock.sendall(request)
        head, rest = read_head(receive)
        if head.status < _FINAL or (head.length is None and head.status not in _BODILESS):
            raise ValueError("an unusual answer")
        return head, rest

    def _pool(self, place: Url) -> Lender:
        """To look for it in urllib3's own way takes as long as to ask."""
        pool = self._pools.get(place.origin)
        if pool is None or pool.closed:
            with self._lock:
                if len(self._pools) >= _HOSTS:
                    self._pools.clear()
                pool = self._pools[place.origin] = self._find(place)
        return pool
