"""Charts as values: where each line, bar and word of one stands. The template draws them as SVG without any style.

Lengths are in the chart's own units; its text is drawn at 11 of them, so it is readable from 400 pixels on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from math import log10

from mirror_sync.catalogue.formats import size
from mirror_sync.domain.catalogue.rows import Day

WIDTH, HEIGHT = 520, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 10, 24
_LINES = 4  # of the scale, at most, above nothing
_DATES = 4  # between two of them, at least a fourth of the chart
_BROADEST = 24.0  # bar
GROWTH_DAYS, TRAFFIC_DAYS = 365, 90  # shown at most


@dataclass(frozen=True, slots=True)
class Tick:
    """A word of an axis, and where along it."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`line` and `area` are SVG paths, empty in a chart of bars; `last` is the line's end."""

    scale: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    bars: tuple[Bar, ...] = ()
    line: str = ""
    area: str = ""
    last: tuple[float, float] | None = None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    floor: int = HEIGHT - _BOTTOM


def growth_chart(days: Sequence[Day]) -> Chart | None:
    """A line over the bytes of each day; None when there is nothing to draw."""
    if not days:
        return None
    across, up = _across(days, 0 if len(days) > 1 else _room()), _up(days)
    points = [(across(day), up(day.bytes)) for day in days]
    line = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    floor = HEIGHT - _BOTTOM
    area = f"{line}L{points[-1][0]:g} {floor}L{points[0][0]:g} {floor}Z"
    return Chart(_scale(days, up), _dates(days, across), line=line, area=area, last=points[-1])


def traffic_chart(days: Sequence[Day]) -> Chart | None:
    """A bar for the bytes of each day; None when there is nothing to draw."""
    if not days:
        return None
    step = _room() / _length(days)
    across, up, broad = _across(days, step), _up(days), min(_BROADEST, step * 0.8)
    bars = tuple(
        Bar(
            round(across(day) - broad / 2, 2),
            up(day.bytes),
            round(broad, 2),
            round(HEIGHT - _BOTTOM - up(day.bytes), 2),
            f"{day.day}: {size(day.bytes)}",
        )
        for day in days
    )
    return Chart(_scale(days, up), _dates(days, across), bars)


def steps_to(most: int) -> list[int]:
    """Round figures from 0 until one is not below `most`: by 1, 2 or 5 of a power of ten, and few of them."""
    rough = max(most, 1) / _LINES
    power = 10 ** max(0, int(log10(rough)) if rough >= 1 else 0)
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor >= rough)
    return [step * index for index in range(-(-max(most, 1) // step) + 1)]  # no float: it would round large figures


def _room() -> float:
    return WIDTH - _LEFT - _RIGHT


def _number(day: Day) -> int:
    return date.fromisoformat(day.day).toordinal()


def _length(days: Sequence[Day]) -> int:
    return _number(days[-1]) - _number(days[0]) + 1


def _across(days: Sequence[Day], margin: float) -> Callable[[Day], float]:
    """Days lie side by side: one of which nothing is known leaves a gap. Half a margin at each end."""
    first, steps = _number(days[0]), max(1, _length(days) - 1)
    room = _room() - margin
    return lambda day: round(_LEFT + margin / 2 + room * (_number(day) - first) / steps, 2)


def _up(days: Sequence[Day]) -> Callable[[float], float]:
    top = steps_to(max(day.bytes for day in days))[-1]
    return lambda value: round(HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * value / top, 2)


def _scale(days: Sequence[Day], up: Callable[[float], float]) -> tuple[Tick, ...]:
    return tuple(Tick(up(step), _short(step)) for step in steps_to(max(day.bytes for day in days)))


def _dates(days: Sequence[Day], across: Callable[[Day], float]) -> tuple[Tick, ...]:
    """Some days that are far enough from each other, the last one among them."""
    gap = _room() / _DATES
    kept = [days[-1]]
    for day in reversed(days):
        if across(kept[-1]) - across(day) >= gap:
            kept.append(day)
    return tuple(Tick(across(day), day.day) for day in reversed(kept))


def _short(step: int) -> str:
    """A round figure needs no digits after the point."""
    number, unit = size(step).split(" ")
    return "0" if step == 0 else f"{float(number):g} {unit}"
