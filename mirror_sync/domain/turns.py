"""Whose turn it is where short and long work share what is scarce: worker threads, connections."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum


class Length(StrEnum):
    """SHORT work ends soon; LONG work may hold what it was given for hours."""

    SHORT = "short"
    LONG = "long"

    @property
    def other(self) -> Length:
        return Length.LONG if self is Length.SHORT else Length.SHORT


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
