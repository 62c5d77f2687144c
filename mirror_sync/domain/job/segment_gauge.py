"""In how many segments one large file comes at once: a number of the operator's, or as many as the rate gains by."""

from __future__ import annotations

MOST = 16  # segments of one file in flight
_TRIAL = 2.0  # seconds for which a rate is measured
_SETTLE = 1.0  # seconds after a change in which what comes was asked for before it
_GAIN = 1.2  # times the rate before, from which on twice as many segments are worth their requests
_AGAIN = 60.0  # seconds after a trial that gained nothing, until the next


class SegmentGauge:
    """How many segments a part of a file is fetched in: one to begin with, twice as many for as long as that makes the
    rate of all of them at least a fifth higher. What gained nothing is taken back, and tried again a minute later.

    `said` is a number of segments of a file, by which it stays; None: to be found. One lock of the caller's round all.
    """

    def __init__(self, said: int | None = None) -> None:
        self._said = said
        self._split = 1
        self._best = 0.0  # bytes a second with the split before, 0: not measured
        self._since: float | None = None
        self._bytes = 0
        self._not_before = 0.0

    def split(self, window: int) -> int:
        """In how many segments each part comes where `window` parts are in flight."""
        wanted = -(-self._said // window) if self._said else self._split
        return max(1, min(wanted, MOST // window))

    def window(self, parts: int) -> int:
        """How many parts may be in flight, of the `parts` that a kill may cost."""
        return min(parts, self._said) if self._said else parts

    def came(self, count: int, now: float) -> None:
        """So many bytes have come by `now`, in seconds of a clock that never goes back."""
        if self._said:
            return
        if self._since is None:
            self._since = now + _SETTLE
        if now < self._since:
            return
        self._bytes += count
        if now - self._since >= _TRIAL:
            self._judge(self._bytes / (now - self._since), now)

    def rest(self) -> None:
        """Nothing is on its way: the time until something is again says nothing of a rate."""
        self._since, self._bytes = None, 0

    def _judge(self, rate: float, now: float) -> None:
        gained = rate >= _GAIN * self._best
        if self._best and not gained:  # a trial that was not worth it
            self._split, self._best, self._not_before = max(1, self._split // 2), 0.0, now + _AGAIN
        elif now >= self._not_before and self._split < MOST:
            self._best, self._split = rate, self._split * 2
        self._since, self._bytes = now + _SETTLE, 0
