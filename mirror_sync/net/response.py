"""One answer to one request: its body comes as it arrives, neither slower than the time-outs allow nor kept back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.errors import Unreachable
from mirror_sync.net.connection import Connection, Idle
from mirror_sync.net.http1 import BodyReader, Head
from mirror_sync.net.network import BROKEN, spoken_origin, unreachable

_CHUNK = 64 * 1024  # bytes
_SHORT = 64 * 1024  # bytes that are sooner read than a connection is made
_SHORT_WHILE = 1.0  # seconds that reading them may take


class TooSlow(Unreachable):
    """A stream that was given up although it still moved."""


class Pace:
    """Whether a stream keeps to a least rate, looked at whenever it was waited for long enough.

    Only the time spent waiting counts: a reader that hashes, writes or waits for memory does not make its server slow.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._rate, self._over = timeouts.min_rate, timeouts.over
        self._count, self._seconds = 0, 0.0

    def keeps(self, count: int, seconds: float) -> bool:
        """Add `count` bytes that took `seconds`; False when all since the last look was too slow."""
        self._count += count
        self._seconds += seconds
        if self._seconds < self._over:
            return True
        fast = self._count >= self._rate * self._seconds
        self._count, self._seconds = 0, 0.0
        return fast

    def __str__(self) -> str:
        return f"slower than {self._rate:.0f} B/s for {self._over:g} s"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long answers are waited for. `clock` in seconds, from any start."""

    timeouts: Timeouts
    clock: Callable[[], float]


class Response:
    """The answer of one server, its body unread. One thread at a time.

    Who has one ends it by `release`, which lets its connection serve again, `discard`, or `finish`.
    """

    def __init__(
        self, head: Head, rest: bytes, url: str, connection: Connection, idle: Idle, patience: Patience
    ) -> None:
        """ValueError for a head that does not say where its body ends."""
        self.status, self.headers, self.url, self.peer = head.status, head.fields, url, connection.peer
        self._body = BodyReader(head, rest, connection.sock, patience.timeouts.stall, patience.clock)
        self._stays, self._clock = head.stays, patience.clock
        self._pace = Pace(patience.timeouts)
        self._within, self._until = 0.0, math.inf
        self._connection: Connection | None = connection
        self._idle = idle

    def limit(self, seconds: float) -> None:
        """From now on the whole must come in so many seconds, what happens between two reads included."""
        self._within, self._until = seconds, self._clock() + seconds

    def readinto(self, buffer: memoryview) -> int:
        """What has arrived, at least a byte; 0 at the end of the body, promised or not.

        Unreachable when it breaks, stalls or trickles.
        """
        before = self._clock()
        try:
            count = self._body.receive(buffer)
        except BROKEN as error:
            raise unreachable(self.url, error) from error
        after = self._clock()
        if not self._pace.keeps(count, after - before):
            raise TooSlow(f"{spoken_origin(self.url)} sends {self._pace}")
        if after > self._until:
            raise TooSlow(f"{spoken_origin(self.url)} has not sent a whole answer in {self._within:g} s")
        return count

    @property
    def ended(self) -> bool:
        """Whether the body came to its end as it was promised: not with the connection before it."""
        return self._body.ended

    def release(self) -> None:
        """Let the connection serve again if nothing is left on it."""
        self._let_go(keep=self._stays and self._body.is_clean)

    def discard(self) -> None:
        """Give the answer up: a connection with unread bytes must not serve another request."""
        self._let_go(keep=False)

    def finish(self) -> None:
        """Have done with an answer whose body does not matter: a short one is read, so that its connection serves
        again; one that does not come at once is not worth it.
        """
        if self._body.is_clean or (self._is_short and self._drain(_SHORT_WHILE)):
            self.release()
        else:
            self.discard()

    @property
    def _is_short(self) -> bool:
        length = self.headers.get("Content-Length", "")
        return length.isdecimal() and len(length) <= len(str(_SHORT)) and int(length) <= _SHORT

    def _drain(self, seconds: float) -> bool:
        """Read what is left and throw it away; False when that takes too long or fails."""
        buffer, until = memoryview(bytearray(_CHUNK)), self._clock() + seconds
        self._body.hurry(seconds)
        try:
            while self.readinto(buffer):
                if self._clock() > until:
                    return False
        except Unreachable:
            return False
        return self.ended

    def _let_go(self, *, keep: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if keep:
            self._idle.give_back(connection)
        else:
            connection.close()
