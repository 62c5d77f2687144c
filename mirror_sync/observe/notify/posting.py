"""One HTTP POST with a deadline for all of it: names, connection, head and body, however slowly any of them comes."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from mirror_sync.domain.url import Url

_MOST = 64 * 1024  # bytes of an answer that are looked at


class Undelivered(Exception):
    """Worth another try."""


def posted(url: str, body: bytes, seconds: float) -> tuple[int, bytes]:
    """The status and the beginning of the body of the answer. Raises Undelivered, whose text holds no part of the URL.

    Neither the resolver nor a server that sends a byte now and then can be timed out by a socket: the work has a thread
    of its own, which is left behind at the deadline, its connection shut.
    """
    work = _Delivery(url, body, max(seconds, 0.001))
    thread = threading.Thread(target=work.run, name="hook post", daemon=True)
    thread.start()
    thread.join(work.seconds)
    if thread.is_alive():
        work.give_up()
        raise Undelivered(f"no whole answer within {seconds:.3g} s")
    if work.error is not None or work.answer is None:
        raise Undelivered(type(work.error).__name__)
    return work.answer


@dataclass
class _Delivery:
    url: str = field(repr=False)
    body: bytes
    seconds: float
    answer: tuple[int, bytes] | None = None
    error: Exception | None = None
    _connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        try:
            self.answer = self._ask()
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.error = error
        finally:
            if self._connection is not None:
                self._connection.close()

    def give_up(self) -> None:
        line = None if self._connection is None else self._connection.sock
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _ask(self) -> tuple[int, bytes]:
        place = Url.parse(self.url)
        if place.scheme == "https":
            trusted = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                place.host, place.port, timeout=self.seconds, context=trusted
            )
        else:
            self._connection = http.client.HTTPConnection(place.host, place.port, timeout=self.seconds)
        self._connection.request("POST", place.target, self.body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, answer.read(_MOST)
