"""Whether an endpoint is worth asking: after failures in a row it is left alone for a while, then tried again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mirror_sync.errors import Unreachable


class Resting(Unreachable):
    """Nobody was asked, since nobody has answered for a while. Not repeated at once: that is the point of it.

    The next try is made in `wait` seconds, 0 while one is under way; nobody has answered for `silent` seconds.
    """

    retryable = False

    def __init__(self, message: str, wait: float = 0.0, silent: float = 0.0) -> None:
        super().__init__(message)
        self.wait, self.silent = wait, silent


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """A breaker opens after `failures` in a row that span at least `span` seconds: many workers that fail together in
    one short gap are one event, which their own repetitions outlast. Then one call is let through after each pause;
    pauses double. It opens for the longest pause when `lies` came within `memory`: who lies does answer, so that
    successes in between say nothing. In seconds.
    """

    failures: int = 5
    span: float = 10.0
    first_pause: float = 15.0
    longest_pause: float = 300.0
    lies: int = 3
    memory: float = 3600.0


class Breaker:
    """Counts what one endpoint does. Safe for many threads; `clock` in seconds, from any start."""

    def __init__(self, policy: BreakerPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy, self._clock = policy, clock
        self._failures, self._since = 0, 0.0
        self._pause, self._until, self._trying = 0.0, 0.0, False
        self._lies: list[float] = []
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether the endpoint is left alone, but for a try now and then."""
        return self._pause > 0

    @property
    def healthy(self) -> bool:
        """Whether nothing speaks against asking: neither open nor failing just now."""
        return not self.open and not self._failures

    @property
    def tried_in(self) -> float:
        """Seconds until the next try; 0 when one may be made now."""
        return max(0.0, self._until - self._clock()) if self.open else 0.0

    @property
    def outcome_in(self) -> float:
        """Seconds until it may be known whether it answers again; 0 while it is being tried."""
        return 0.0 if self._trying else self.tried_in

    @property
    def silent(self) -> float:
        """Seconds since the first of the failures in a row, or of the rest; 0 when there are none."""
        return self._clock() - self._since if self._failures or self.open else 0.0

    def admit(self) -> bool:
        """Whether to ask now. While open, True for one caller after each pause, whose outcome then decides."""
        with self._lock:
            if not self._pause:
                return True
            now = self._clock()
            if now < self._until:
                return False
            self._until, self._trying = now + self._pause, True  # the others wait for the outcome, and not for ever
            return True

    def succeed(self) -> None:
        """It answered. While open, only the try that was let through can say so."""
        with self._lock:
            if self._pause and not self._trying:
                return
            self._failures, self._pause, self._trying = 0, 0.0, False

    def fail(self, *, may_open: bool = True) -> None:
        """It did not; without `may_open` that counts, and opens nothing by itself."""
        with self._lock:
            now = self._clock()
            if not self._failures:
                self._since = now
            self._failures += 1
            if self._trying:
                self._rest(min(self._pause * 2, self._policy.longest_pause), now)
            elif self._pause:
                return  # begun before it opened: nothing new
            elif may_open and self._failures >= self._policy.failures and now - self._since >= self._policy.span:
                self._rest(self._policy.first_pause, now)

    def doubt(self, *, may_open: bool = True) -> None:
        """It gave wrong bytes; without `may_open` that counts, and opens nothing by itself."""
        with self._lock:
            now = self._clock()
            self._lies = [*(at for at in self._lies if now - at < self._policy.memory), now]
            if may_open and not self._pause and len(self._lies) >= self._policy.lies:
                self._rest(self._policy.longest_pause, now)

    def _rest(self, pause: float, now: float) -> None:
        if not self._failures and not self._pause:
            self._since = now
        self._pause, self._until, self._trying = pause, now + pause, False
        self._lies = []
