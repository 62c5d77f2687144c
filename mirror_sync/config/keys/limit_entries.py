"""What jobs may take of an upstream: how fast, and at which hours and days. ValueError says what would be right."""

from __future__ import annotations

import re
from datetime import UTC, time
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from mirror_sync.config.findings import nearest_word, quoted
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.config.keys.values.quantities import rate
from mirror_sync.domain.job.bandwidth import EVERY_DAY, Bandwidth, Limit, Window

_UNLIMITED = "unlimited"
_LEAST = 1000  # bytes a second
_HOURS = re.compile(r"(?P<start>[0-9]{1,2}:[0-9]{2}) ?- ?(?P<stop>[0-9]{1,2}:[0-9]{2})")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = len(_DAYS)


def _limit(value: object) -> Limit:
    """`20MB/s`; `unlimited` is None; `0` a pause."""
    text = value.strip() if isinstance(value, str) else value
    if text == _UNLIMITED:
        return None
    if text in ("0", 0) and not isinstance(text, bool):
        return 0
    try:
        found = rate(text)
    except ValueError:
        hint = nearest_word(text, [_UNLIMITED]) if isinstance(text, str) else ""
        shown = quoted(text) if isinstance(text, str | int | float) else "this"
        raise ValueError(f"{shown} is no limit{hint or '; write 20MB/s, unlimited, or 0 for a pause'}") from None
    if 0 < found < _LEAST:
        raise ValueError(f"{quoted(text)} is less than 1KB/s, and nothing would ever end; write 0 for a pause")
    return found


def _hours(text: str) -> tuple[time, time]:
    """`08:00-20:00`: from and up to; `22:00-06:00` goes over midnight, `24:00` is the day's end."""
    right = "write 08:00-20:00, or 22:00-06:00 for a night"
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{quoted(text)} are no hours; {right}")
    start, stop = _clock(match["start"]), _clock("00:00" if match["stop"] == "24:00" else match["stop"])
    if start is None or stop is None:
        raise ValueError(f"{quoted(text)} are hours that no clock shows; {right}")
    if match["start"] == match["stop"]:
        raise ValueError(f"{quoted(text)} is no time at all; write 00:00-24:00 for a whole day")
    return start, stop


def _only(value: object) -> tuple[Window, ...]:
    """`01:00-06:00`, `22:00-06:00 mon-fri`, or a list of these."""
    items = value if isinstance(value, list) else [value]
    texts = [item for item in items if isinstance(item, str)]
    if not items or texts != items:
        raise ValueError('must be hours; write "01:00-06:00", or "22:00-06:00 mon-fri"')
    return tuple(map(_window, texts))


def _window(text: str) -> Window:
    first, _, rest = text.strip().partition(" ")
    start, stop = _hours(first)
    return Window(start, stop, None, _days(rest) if rest.strip() else EVERY_DAY)


def _clock(text: str) -> time | None:
    hour, minute = map(int, text.split(":"))
    return time(hour, minute) if hour < 24 and minute < 60 else None  # noqa: PLR2004  what a day and an hour have


def _days(value: object) -> frozenset[int]:
    """`mon-fri`, `sat,sun`, `fri-mon`, or a list of these; 0 is Monday."""
    right = "write mon-fri, or sat,sun"
    items = value if isinstance(value, list) else [value]
    texts = [item for item in items if isinstance(item, str)]
    if not items or texts != items:
        raise ValueError(f"must be days; {right}")
    words = [word.strip().lower() for text in texts for word in text.split(",")]
    found: set[int] = set()
    for word in words:
        first, dash, last = (part.strip() for part in word.partition("-"))
        if first not in _DAYS or (last not in _DAYS if dash else bool(last)):
            raise ValueError(f"{quoted(word)} is no day{nearest_word(word, _DAYS) or f'; {right}'}")
        begin, count = _DAYS.index(first), (_DAYS.index(last or first) - _DAYS.index(first)) % _WEEK
        found.update((begin + step) % _WEEK for step in range(count + 1))
    return frozenset(found)


LimitText = Annotated[Limit, PlainValidator(_limit), WithJsonSchema({"anyOf": [{"type": "string"}, {"const": 0}]})]
HoursText = Annotated[tuple[time, time], scalars.from_text(_hours), scalars.TEXT]
DaysText = Annotated[
    frozenset[int],
    PlainValidator(_days),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
OnlyText = Annotated[
    tuple[Window, ...],
    PlainValidator(_only),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class WindowEntry(Keys):
    """Hours of some days at which another limit applies."""

    hours: HoursText = Field(
        description="From and up to, by the clock on the wall; 22:00-06:00 goes over midnight.",
        examples=["08:00-20:00"],
    )
    days: DaysText = Field(
        default=EVERY_DAY,
        description="The days on which the window begins: mon-fri, or sat,sun; every day when left out.",
        examples=["mon-fri"],
        json_schema_extra={"default": "mon-sun"},
    )
    limit: LimitText = Field(
        description="Bytes a second at these hours; unlimited, or 0 for a pause.", examples=["20MB/s"]
    )


class BandwidthEntry(Keys):
    """How many bytes of files a second are read from the upstream."""

    limit: LimitText = Field(
        default=None,
        description="Bytes a second outside all windows; unlimited when left out, 0 for a pause.",
        examples=["200MB/s"],
    )
    windows: tuple[WindowEntry, ...] | None = Field(
        default=None,
        min_length=1,
        description="Hours at which another limit applies; of several that overlap, the first.",
        examples=[[{"hours": "08:00-20:00", "days": "mon-fri", "limit": "20MB/s"}]],
    )
    timezone: scalars.Zone = Field(
        default="UTC", description="The IANA time zone that hours are meant in.", examples=["Asia/Shanghai"]
    )

    @property
    def bandwidth(self) -> Bandwidth:
        """What is written, as the domain's value: limits in bytes a second."""
        windows = tuple(Window(*window.hours, window.limit, window.days) for window in self.windows or ())
        return Bandwidth(self.limit, windows, UTC if self.timezone == "UTC" else ZoneInfo(self.timezone))

    @model_validator(mode="after")
    def _ever_open(self) -> Self:
        if self.bandwidth.closed:
            raise ValueError("is a pause for ever; write limit: 20MB/s, or windows with another limit")
        return self
