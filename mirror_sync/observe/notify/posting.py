"""One HTTP POST with a deadline for all of it: names, connection, head and body, however slowly any of them comes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from mirror_sync.domain.url import Url
from mirror_sync.net.connection import Connection, connected
from mirror_sync.net.http1 import USER_AGENT, BodyReader, HeadDeadline, read_final_head, request_head

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
_MOST = 64 * 1024  # bytes of an answer that are looked at


class Undelivered(Exception):
    """Worth another try."""


def posted(
    url: str, body: bytes, seconds: float, kind: str = JSON, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """The status and the beginning of the body of the answer; `kind` is the body's type, `headers` go beside ours.

    Raises Undelivered, whose text holds no part of the URL.

    Neither the resolver nor a server that sends a byte now and then can be timed out by a socket: the work has a thread
    of its own, which is left behind at the deadline, its connection shut.
    """
    work = _Delivery(url, body, max(seconds, 0.001), kind, headers or {})
    thread = threading.Thread(target=work.run, name="hook post", daemon=True)
    thread.start()
    thread.join(work.seconds)
    late = thread.is_alive()
    if late:
        work.give_up()  # it ends by whatever that makes of its connection
    if late or isinstance(work.error, TimeoutError):  # all of its time-outs are the one
        raise Undelivered(f"no whole answer within {round(seconds, 1):g} s")
    if work.error is not None or work.answer is None:
        raise Undelivered(type(work.error).__name__)
    return work.answer


@dataclass
class _Delivery:
    url: str = field(repr=False)
    body: bytes
    seconds: float
    kind: str
    more: Mapping[str, str] = field(default_factory=dict, repr=False)
    answer: tuple[int, bytes] | None = None
    error: Exception | None = None
    _connection: Connection | None = None

    def run(self) -> None:
        try:
            self.answer = self._ask()
        except (OSError, ValueError) as error:
            self.error = error
        finally:
            if self._connection is not None:
                self._connection.close()

    def give_up(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def _ask(self) -> tuple[int, bytes]:
        place = Url.parse(self.url)
        headers = {
            "host": place.netloc,
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",
            "content-type": self.kind,
            "content-length": str(len(self.body)),
        }
        connection = self._connection = connected(place.host, place.port, self.seconds)
        if place.scheme == "https":
            import ssl

            connection.secure(ssl.create_default_context(), place.host)
        connection.sock.sendall(request_head("POST", place.target, self.more, headers) + self.body)
        head, rest = read_final_head(HeadDeadline(connection.sock, self.seconds))
        return head.status, _begun(BodyReader(head, rest, connection.sock, self.seconds, time.monotonic))


def _begun(body: BodyReader) -> bytes:
    """The first bytes of an answer. OSError, ValueError."""
    room, count = memoryview(bytearray(_MOST)), 0
    while more := body.receive(room[count:]):
        count += more
    return bytes(room[:count])
