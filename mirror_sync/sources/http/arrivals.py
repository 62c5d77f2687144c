"""The bytes of an answer as they arrive, neither slower than the time-outs allow nor kept back."""

from __future__ import annotations

import math
from collections.abc import Callable
from http.client import HTTPException

from urllib3.exceptions import HTTPError

from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.errors import Unreachable
from mirror_sync.sources.http.connection import arriving
from mirror_sync.sources.http.hub_errors import unreachable
from mirror_sync.sources.http.lean import Answer, LeanAnswer
from mirror_sync.sources.http.network import spoken_origin

_CHUNK = 64 * 1024  # bytes
BROKEN = (HTTPError, HTTPException, OSError, ValueError)
"""What a connection raises when it, or what comes through it, is broken: http.client and the idna codec included."""


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


class Arrivals:
    """The body of one answer, to its end as the connection tells it. `clock` in seconds, from any start.

    `within` so many seconds from now the whole must have come; None where what is read between counts as well, and a
    least rate must do.
    """

    def __init__(
        self,
        answer: Answer,
        url: str,
        timeouts: Timeouts,
        clock: Callable[[], float],
        within: float | None = None,
    ) -> None:
        self._body = answer if isinstance(answer, LeanAnswer) else arriving(answer)
        self._url = url
        self._pace, self._clock = Pace(timeouts), clock
        self._within, self._until = within, math.inf if within is None else clock() + within

    def drain(self, seconds: float) -> bool:
        """Read what is left and throw it away; False when that takes too long or fails."""
        buffer, until = memoryview(bytearray(_CHUNK)), self._clock() + seconds
        self._body.hurry(seconds)
        try:
            while self.readinto(buffer):
                if self._clock() > until:
                    return False
        except Unreachable:
            return False
        return True

    def readinto(self, buffer: memoryview) -> int:
        """What has arrived, at least a byte; 0 at the end. Unreachable when it breaks, stalls or trickles."""
        before = self._clock()
        try:
            count = self._body.receive(buffer)
        except BROKEN as error:
            raise unreachable(self._url, error) from error
        after = self._clock()
        if not self._pace.keeps(count, after - before):
            raise TooSlow(f"{spoken_origin(self._url)} sends {self._pace}")
        if after > self._until:
            raise TooSlow(f"{spoken_origin(self._url)} has not sent a whole answer in {self._within:g} s")
        return count
