"""By which of several ways a file comes that is the same by all of them: the quickest, as far as it is measured."""

from __future__ import annotations

from collections.abc import Collection

GAIN = 1.25  # times the rate of the way that is taken, from which on another is taken instead
AGAIN = 64  # choices, after which the others are measured anew
_LEAST = 1024 * 1024  # bytes that make a measure
_OLD = 0.7  # what the rate before weighs beside a new measure
_REST, _LONGEST = 16, 4096  # choices for which a way is left alone after a failure: twice as many each time
SLOW = 4.0  # times slower than another, from which on what is on its way is given up


class _MeasuredWay:
    def __init__(self) -> None:
        self.rate = 0.0  # bytes a second of one stream, 0: not measured
        self.bytes, self.seconds = 0, 0.0  # since the last measure
        self.until, self.rest = 0, _REST  # left alone until this choice; for how many the next time
        self.due = 0  # the choice from which on it is measured anew
        self.trying = False


class RoadGauge:
    """Ways are numbers from 0, the one that is always there. One lock of the caller's round all.

    The first choice is way 0, and what is not measured is tried by one file at a time. Then the quickest is taken, but
    a way that is taken is not left for one that is only a little quicker.
    """

    def __init__(self, ways: int) -> None:
        self._ways = [_MeasuredWay() for _ in range(ways)]
        self._turn = 0
        self._taken = 0

    def choose(self, offered: Collection[int]) -> int:
        """By which of these ways, all of which have the file, it comes; 0 is always one of them."""
        self._turn += 1
        able = sorted({0, *(way for way in offered if self._ways[way].until <= self._turn)})
        for way in able:
            one = self._ways[way]
            stale = not one.rate or (way != self._taken and one.due <= self._turn)
            if stale and not one.trying:
                one.trying, one.due = True, self._turn + AGAIN
                return way
        current = self._taken if self._taken in able else 0
        best = max(able, key=lambda way: (self._ways[way].rate, -way))
        if self._ways[best].rate > GAIN * self._ways[current].rate:
            current = best
        self._taken = current
        return current

    def came(self, way: int, count: int, seconds: float) -> None:
        """So many bytes came by a way in the time that was waited for them."""
        one = self._ways[way]
        one.bytes, one.seconds = one.bytes + count, one.seconds + seconds
        if one.bytes >= _LEAST:
            self._measure(one)

    def ended(self, way: int, *, well: bool) -> None:
        """A file, or a part, came by a way to its end, or did not: then the way is left alone for a while."""
        one = self._ways[way]
        one.trying = False
        if well and one.bytes and one.seconds:
            self._measure(one)
        if well:
            one.rest = max(_REST, one.rest // 2)
        elif way:
            one.until, one.rest = self._turn + one.rest, min(one.rest * 2, _LONGEST)
            one.rate, one.bytes, one.seconds = 0.0, 0, 0.0

    def lied(self, way: int) -> None:
        """The bytes of a way proved wrong: it is left alone for long."""
        if way:
            self._ways[way].rest = _LONGEST
            self.ended(way, well=False)

    def drags(self, way: int, count: int, seconds: float) -> bool:
        """Whether what comes by a way is so much slower than way 0 that it is worth leaving."""
        return bool(way) and count * SLOW < self._ways[0].rate * seconds

    def _measure(self, one: _MeasuredWay) -> None:
        rate = one.bytes / max(one.seconds, 1e-6)
        one.rate = rate if not one.rate else _OLD * one.rate + (1 - _OLD) * rate
        one.bytes, one.seconds = 0, 0.0
