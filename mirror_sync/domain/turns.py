"""Whose turn it is where short and long work share what is scarce: worker threads, connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Length(StrEnum):
    """SHORT work ends soon; LONG work may hold what it was given for hours."""

    SHORT = "short"
    LONG = "long"

    @property
    def other(self) -> Length:
        """The one that it is not."""
        return Length.LONG if self is Length.SHORT else Length.SHORT


_BOTH = tuple(Length)


def next_turn(waiting: Collection[Length], running: Mapping[Length, int], last: Length) -> Length | None:
    """The kind with fewer at work goes first; of two that have as many, the one that did not go `last`."""
    if not waiting:
        return None
    return min(waiting, key=lambda length: (running[length], length is last))


def most_long(places: int) -> int:
    """How many of so many places long work may hold: a quarter stays free for what is short, at least one of several.

    Short work that comes later would else wait until something long ends.
    """
    return max(1, places - max(1, places // 4))


class Turns(Generic[T]):
    """Who waits for one of so many places, and who has one. Callers hold a lock of theirs round each call.

    `long` bounds how many places long work may hold.
    """

    def __init__(self, places: int, long: int | None = None) -> None:
        self.free = self._places = places
        self._most = {Length.SHORT: places, Length.LONG: places if long is None else long}
        self._waiting: Mapping[Length, deque[T]] = {length: deque() for length in Length}
        self._running = dict.fromkeys(Length, 0)
        self._last = Length.LONG

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def are_over(self) -> bool:
        """Whether nobody waits and nobody has a place."""
        return self.free == self._places and not self.waiting

    def wait(self, length: Length, who: T) -> None:
        """Stand at the end of a queue."""
        self._waiting[length].append(who)

    def give_up(self, length: Length, who: T) -> None:
        """Wait no longer. ValueError for who does not."""
        self._waiting[length].remove(who)

    def leave(self, length: Length) -> None:
        """Give a place back."""
        self.free += 1
        self._running[length] -= 1

    def next(self) -> T | None:
        """Give a place to whose turn it is; None where there is none of either."""
        if not self.free:
            return None
        ready = [length for length in _BOTH if self._waiting[length] and self._running[length] < self._most[length]]
        length = ready[0] if len(ready) == 1 else next_turn(ready, self._running, self._last)
        if length is None:
            return None
        self.free -= 1
        self._running[length] += 1
        self._last = length
        return self._waiting[length].popleft()
