"""By which of several ways bytes come that are the same by all of them: the quickest, as far as it is measured.

Roads of a job and endpoints of an upstream are such ways. A road is known by its rate alone, since only large files go
by it; an endpoint by how long it takes until the first byte and until as many bytes as a large part has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass

GAIN = 1.25  # times quicker, from which on another way is taken instead of the one that is
CLEARLY = 2.0  # times quicker,
LATE = 0.3  # or so many seconds, from which on another endpoint is taken
_FLOOR = 0.02  # seconds that are nothing: twice of them is nothing either
_PART = 8 * 1024 * 1024  # bytes of which an endpoint's time is told
AGAIN = 64  # choices, after which the others are measured anew
PROBE = 64 * 1024 * 1024  # bytes: nothing larger is sent by a way to measure it
_LEAST = 1024 * 1024  # bytes that make a measure
_OLD = 0.7  # what the measure before weighs beside a new one
_REST, _LONGEST = 16, 4096  # choices for which a way is left alone after a failure: twice as many each time
SLOW = 4.0  # times slower than another, from which on what is on its way is given up


@dataclass(frozen=True, slots=True)
class WayPace:
    """What is measured of a way: seconds until a first byte comes, bytes a second of one stream; 0: not measured.

    Of `asked` questions `errors` had no answer, none to its end, or a wrong one. `taken`: it is the one that is taken.
    """

    first_byte: float = 0.0
    rate: float = 0.0
    asked: int = 0
    errors: int = 0
    taken: bool = False

    def seconds(self, size: int) -> float:
        """Until so many bytes have come; until the first one where no rate is known."""
        return self.first_byte + (size / self.rate if self.rate else 0.0)


class _MeasuredWay:
    def __init__(self) -> None:
        self.first = self.rate = 0.0  # 0: not measured
        self.bytes, self.seconds = 0, 0.0  # since the last measure
        self.until, self.rest = 0, _REST  # left alone until this choice; for how many the next time
        self.due = 0  # the choice from which on it is measured anew
        self.trying = False
        self.asked = self.errors = 0


class WayGauge(ABC):
    """Ways are numbers from 0. One lock of the caller's round all.

    What is not measured is tried by one file at a time. Then the quickest is taken, but a way that is taken is not left
    for one that is only a little quicker. One that fails is left alone for a while; `home` never is.
    """

    home: int | None = None

    def __init__(self, ways: int) -> None:
        self._ways = [_MeasuredWay() for _ in range(ways)]
        self._turn = 0
        self._taken = 0

    def choose(self, offered: Collection[int], *, probes: bool = True) -> int:
        """By which of these ways, all of which have the file, it comes; `home` is always one of them.

        `probes`: it may go by one that is to be measured.
        """
        self._turn += 1
        able = self._able(offered)
        for way in able if probes else ():
            one = self._ways[way]
            stale = not self.is_measured(self._pace(way)) or (way != self._taken and one.due <= self._turn)
            if stale and not one.trying:
                one.trying, one.due = True, self._turn + AGAIN
                return way
        self._taken = self._best(able)
        return self._taken

    def paces(self) -> list[WayPace]:
        """Of each way."""
        return [self._pace(way) for way in range(len(self._ways))]

    def opened(self, way: int, seconds: float) -> None:
        """The first byte came by a way, so long after it was asked for."""
        one = self._ways[way]
        one.first = seconds if not one.first else _OLD * one.first + (1 - _OLD) * seconds

    def came(self, way: int, count: int, seconds: float) -> None:
        """So many bytes came by a way in the time that was waited for them."""
        one = self._ways[way]
        one.bytes, one.seconds = one.bytes + count, one.seconds + seconds
        if one.bytes >= _LEAST:
            self._measure(one)

    def ended(self, way: int, *, well: bool) -> None:
        """A file, or a part, came by a way to its end, or did not: then the way is left alone for a while."""
        one = self._ways[way]
        one.trying, one.asked, one.errors = False, one.asked + 1, one.errors + (not well)
        if well:
            one.rest = max(_REST, one.rest // 2)
        elif way != self.home:
            one.until, one.rest = self._turn + one.rest, min(one.rest * 2, _LONGEST)
            one.rate, one.bytes, one.seconds, one.first = 0.0, 0, 0.0, 0.0

    def passed(self, way: int) -> None:
        """What was to go by a way did not: nothing is known of it."""
        self._ways[way].trying = False

    def lied(self, way: int) -> None:
        """The bytes of a way proved wrong: it is left alone for long."""
        if way != self.home:
            self._ways[way].rest = _LONGEST
            self.ended(way, well=False)

    def _able(self, offered: Collection[int]) -> list[int]:
        awake = {way for way in offered if self._ways[way].until <= self._turn}
        if self.home is not None:
            awake.add(self.home)
        return sorted(awake or offered)

    def _best(self, able: Collection[int]) -> int:
        """The one that is taken, unless another is clearly quicker."""
        taken = self._taken if self._taken in able else min(able)
        current = self._pace(taken)
        better = [way for way in able if way != taken and self.is_quicker(self._pace(way), current)]
        return min(better, key=lambda way: self.cost(self._pace(way)), default=taken)

    def _pace(self, way: int) -> WayPace:
        one = self._ways[way]
        return WayPace(one.first, one.rate, one.asked, one.errors, way == self._taken)

    @abstractmethod
    def is_measured(self, pace: WayPace) -> bool:
        """Whether enough is known of a way to choose it."""

    @abstractmethod
    def is_quicker(self, other: WayPace, taken: WayPace) -> bool:
        """Whether a way is so much quicker than the one that is taken that it is worth a change."""

    @abstractmethod
    def cost(self, pace: WayPace) -> float:
        """The lower, the better."""

    def _measure(self, one: _MeasuredWay) -> None:
        rate = one.bytes / max(one.seconds, 1e-6)
        one.rate = rate if not one.rate else _OLD * one.rate + (1 - _OLD) * rate
        one.bytes, one.seconds = 0, 0.0


class RoadGauge(WayGauge):
    """By rates alone. Way 0, the job's own upstream, is always there, and what drags beside it is given up."""

    home = 0

    def ended(self, way: int, *, well: bool) -> None:
        one = self._ways[way]
        if well and one.bytes and one.seconds:
            self._measure(one)
        super().ended(way, well=well)

    def drags(self, way: int, count: int, seconds: float) -> bool:
        """Whether what comes by a way is so much slower than way 0 that it is worth leaving."""
        return bool(way) and count * SLOW < self._ways[0].rate * seconds

    def is_measured(self, pace: WayPace) -> bool:
        return bool(pace.rate)

    def is_quicker(self, other: WayPace, taken: WayPace) -> bool:
        return other.rate > GAIN * taken.rate

    def cost(self, pace: WayPace) -> float:
        return -pace.rate


class EndpointGauge(WayGauge):
    """By the time until a part of a file is here, or its first byte, where rates are not known of both.

    One is left for another that is twice as quick, or quicker by 300 ms and a quarter; it must be so itself to be taken
    again.
    """

    def is_measured(self, pace: WayPace) -> bool:
        return bool(pace.first_byte)

    def is_quicker(self, other: WayPace, taken: WayPace) -> bool:
        if not (other.first_byte and taken.first_byte):
            return bool(other.first_byte)
        size = _PART if other.rate and taken.rate else 0
        mine, yours = other.seconds(size), taken.seconds(size)
        gained = yours - mine
        return gained > _FLOOR and (yours > CLEARLY * mine or (gained > LATE and yours > GAIN * mine))

    def cost(self, pace: WayPace) -> float:
        return pace.seconds(_PART)
