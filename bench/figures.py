"""What is said of raw measurements: medians, ratios, and whether a target is met. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class Measurement:
    """One contestant in one round."""

    contestant: str
    round: int
    seconds: float
    cpu_seconds: float
    peak_rss: int
    """Bytes."""
    effect: Effect | None = None


@dataclass(frozen=True)
class Effect:
    """What a contestant asked for and left: requests to all servers, objects in its target and their bytes."""

    calls: int
    objects: int
    bytes: int


@dataclass(frozen=True)
class Middle:
    """A contestant over all rounds: medians of seconds and CPU seconds, the highest peak of memory, the most calls."""

    contestant: str
    rounds: int
    seconds: float
    cpu_seconds: float
    peak_rss: int
    effect: Effect | None = None


def middle(contestant: str, measurements: Iterable[Measurement]) -> Middle:
    """Return what stands for a contestant's rounds. Raises StatisticsError when there are none."""
    own = [one for one in measurements if one.contestant == contestant]
    return Middle(
        contestant,
        len(own),
        median(one.seconds for one in own),
        median(one.cpu_seconds for one in own),
        max((one.peak_rss for one in own), default=0),
        max((one.effect for one in own if one.effect), key=lambda one: one.calls, default=None),
    )


def best(contestant: str, of: Sequence[str], measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return, round by round, the quickest of some contestants under a name of its own."""
    rounds = sorted({one.round for one in measurements if one.contestant in of})
    quickest = [
        min((one for one in measurements if one.round == number and one.contestant in of), key=lambda one: one.seconds)
        for number in rounds
    ]
    return [replace(one, contestant=contestant) for one in quickest]


@dataclass(frozen=True)
class Target:
    """A bound on one figure."""

    what: str
    kind: Literal["at least", "at most"]
    bound: float
    unit: str = ""

    def met(self, value: float) -> bool:
        """Whether a figure keeps the bound; as measured, not as rounded for the table."""
        return value >= self.bound if self.kind == "at least" else value <= self.bound

    def judge(self, value: float) -> Verdict:
        """Return the figure beside its bound, in words."""
        sign = "≥" if self.kind == "at least" else "≤"
        return Verdict(self.what, f"{sign} {self.bound:g}{self.unit}", f"{value:.3g}{self.unit}", self.met(value))


@dataclass(frozen=True)
class Verdict:
    """A target, what was measured, and whether that is enough."""

    what: str
    wanted: str
    measured: str
    met: bool


def ratio(theirs: Middle, ours: Middle) -> float:
    """Return how many times as long they took; infinity for an impossible zero."""
    return theirs.seconds / ours.seconds if ours.seconds else float("inf")


def cpu_ratio(theirs: Middle, ours: Middle) -> float:
    """Return how many times as much CPU they took; infinity for an impossible zero."""
    return theirs.cpu_seconds / ours.cpu_seconds if ours.cpu_seconds else float("inf")


def per_gib(amount: float, size: int) -> float:
    """Return an amount for each GiB of `size` bytes."""
    return amount / (size / GIB)
