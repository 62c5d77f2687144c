"""How many bytes a second may be read from an upstream: which limit holds at an instant, and until when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

_AHEAD = 15  # days that are looked at for the next change: a week, though a change of the clock skipped a window in it
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_ANY = datetime(2026, 1, 1, tzinfo=UTC)
EVERY_DAY = frozenset(range(7))

Limit = int | None
"""Bytes a second; None for as many as come, 0 for a pause."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to, but not including, `stop` by the clock on the wall; over midnight where `stop` is not later.

    `days` are those on which it begins, from 0 for Monday. `stop` 00:00 is the day's end.
    """

    start: time
    stop: time
    limit: Limit
    days: frozenset[int] = EVERY_DAY

    def holds(self, wall: datetime) -> bool:
        """`wall` is local and without a zone."""
        now = wall.time()
        if self.start < self.stop:
            return wall.weekday() in self.days and self.start <= now < self.stop
        began_today = now >= self.start and wall.weekday() in self.days
        return began_today or (now < self.stop and (wall.weekday() - 1) % 7 in self.days)


@dataclass(frozen=True, slots=True)
class Spell:
    """A limit, and the first instant at which another one holds; None: never."""

    limit: Limit
    until: datetime | None


@dataclass(slots=True)
class Portion:
    """Among how many processes each limit is dealt out; who hands out the work says so, at any moment."""

    among: int = 1

    def of(self, limit: Limit) -> Limit:
        """A pause stays one, and what is no limit is none for anybody."""
        return limit if not limit else max(1, limit // max(1, self.among))


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """`limit` holds outside all windows; where windows overlap, the first of them holds."""

    limit: Limit = None
    windows: tuple[Window, ...] = ()
    zone: tzinfo = UTC

    @property
    def unlimited(self) -> bool:
        """Whether no limit ever holds."""
        return all(limit is None for limit in self.limits)

    @property
    def closed(self) -> bool:
        """Whether nothing may ever pass."""
        return self.spell(_ANY) == Spell(0, None)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """All that may hold, in the order of the file."""
        return (self.limit, *(window.limit for window in self.windows))

    def spell(self, instant: datetime) -> Spell:
        """The limit at an instant (which knows its zone). The zone's changes of the clock are followed."""
        limit = self._at(instant)
        if not self.windows:
            return Spell(limit, None)
        turns = sorted({turn for turn in self._turns(instant) if turn > instant})
        return Spell(limit, next((turn for turn in turns if self._at(turn) != limit), None))

    def _at(self, instant: datetime) -> Limit:
        wall = instant.astimezone(self.zone).replace(tzinfo=None)
        return next((window.limit for window in self.windows if window.holds(wall)), self.limit)

    def _turns(self, instant: datetime) -> Iterator[datetime]:
        """All instants of the next days at which another limit may begin."""
        edges = {edge for window in self.windows for edge in (window.start, window.stop)}
        first = instant.astimezone(self.zone).date() - _DAY
        days = [first + count * _DAY for count in range(_AHEAD + 2)]
        for day in days:
            for edge in edges:
                for fold in (0, 1):  # an hour that comes twice has every edge twice
                    yield datetime.combine(day, edge, self.zone).replace(fold=fold).astimezone(UTC)
        yield from _clock_changes(days, self.zone)


def _clock_changes(days: Iterable[date], zone: tzinfo) -> Iterator[datetime]:
    """The instants, in UTC, from which the clock on the wall says something else than it would have."""
    for before, after in pairwise(datetime.combine(day, time(), UTC) for day in days):
        low, high = before, after
        if _offset(low, zone) == _offset(high, zone):
            continue
        while high - low > _SECOND:
            middle = low + ((high - low) // 2 // _SECOND) * _SECOND
            if _offset(middle, zone) == _offset(before, zone):
                low = middle
            else:
                high = middle
        yield high


def _offset(instant: datetime, zone: tzinfo) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()
