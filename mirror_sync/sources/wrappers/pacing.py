"""How fast all readers together may read: a limit that changes with the clock, kept by giving each byte its time.

Every read takes its turn before it is made, in the order of asking, and is small: all readers together are never more
than a tenth of a second ahead. So many threads get the same share, and a new limit holds at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from mirror_sync.domain.job.bandwidth import Bandwidth, Limit, Portion, Spell

_LATE = 0.1  # seconds of the limit that may be caught up when nobody read in time
_AHEAD = 0.1  # seconds of the limit that all readers together may hold
_MOST = 256 * 1024  # bytes of one read
_LOOK = 5.0  # seconds of a pause between two looks at the clock, which somebody may set


@dataclass(frozen=True, slots=True)
class Timing:
    """`sleep` takes seconds and may raise Interrupted, `monotonic` counts seconds, `now` says what time it is.

    `portion` is what this process may take of each limit.
    """

    sleep: Callable[[float], None]
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = partial(datetime.now, UTC)
    portion: Portion = field(default_factory=Portion)


class Limiter:
    """One limit over any number of readers and threads.

    Over any time T no more than `limit * (T + 0.2 s)` bytes pass.
    """

    def __init__(self, bandwidth: Bandwidth, timing: Timing) -> None:
        self._bandwidth, self._timing = bandwidth, timing
        self._since = timing.now()
        self._spell = bandwidth.spell(self._since)
        self._free_at = timing.monotonic()
        self._readers = 0
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside the block there is a reader more, who gets a share."""
        with self._lock:
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1

    @property
    def paused(self) -> bool:
        with self._lock:
            return self._limit() == 0

    def wait(self) -> None:
        """Until no pause holds. What `sleep` raises."""
        while self.paused:
            self._timing.sleep(self._until_look())

    def share(self) -> int:
        """Bytes, at least one, that a reader should take at once."""
        with self._lock:
            limit = self._limit()
            return _MOST if limit is None else max(1, min(_MOST, int(limit * _AHEAD / max(1, self._readers))))

    def take(self, count: int) -> bool:
        """Wait until it is the turn of `count` bytes; False, at once, in a pause: then nothing is taken.

        What `sleep` raises; then their time is lost, nothing else.
        """
        wait = self._reserve(count)
        if wait is None:
            return False
        if wait > 0:
            self._timing.sleep(wait)
        return True

    def give_back(self, count: int) -> None:
        """So many bytes that were taken have not been read."""
        with self._lock:
            limit = self._limit()
            if limit:
                self._free_at -= count / limit

    def _reserve(self, count: int) -> float | None:
        """Seconds until the turn of `count` bytes, None in a pause."""
        with self._lock:
            limit = self._limit()
            if not limit:
                return None if limit == 0 else 0.0
            now = self._timing.monotonic()
            begin = max(self._free_at, now - _LATE)
            self._free_at = begin + count / limit
            return begin - now

    def _limit(self) -> Limit:
        now = self._timing.now()
        if self._ended(self._spell, now):
            self._since, self._spell = now, self._bandwidth.spell(now)
        return self._timing.portion.of(self._spell.limit)

    def _ended(self, spell: Spell, now: datetime) -> bool:
        """Also when the clock was set back: what holds then is another question."""
        return now < self._since or (spell.until is not None and now >= spell.until)

    def _until_look(self) -> float:
        until = self._spell.until
        left = _LOOK if until is None else (until - self._timing.now()).total_seconds()
        return min(_LOOK, max(left, 0.0))
