"""Limits of bandwidth, and the hours and days at which they hold, from the text of jobs.yaml. ValueError says what
would be right.
"""

from __future__ import annotations

import re
from datetime import time

from mirror_sync.config.findings import nearest_word, quoted
from mirror_sync.config.keys.quantities import rate
from mirror_sync.domain.job.bandwidth import EVERY_DAY, Limit, Window

UNLIMITED = "unlimited"
_LEAST = 1000  # bytes a second
_HOURS = re.compile(r"(?P<start>[0-9]{1,2}:[0-9]{2}) ?- ?(?P<stop>[0-9]{1,2}:[0-9]{2})")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = len(_DAYS)


def limit(value: object) -> Limit:
    """`20MB/s`; `unlimited` is None; `0` a pause."""
    text = value.strip() if isinstance(value, str) else value
    if text == UNLIMITED:
        return None
    if text in ("0", 0) and not isinstance(text, bool):
        return 0
    try:
        found = rate(text)
    except ValueError:
        hint = nearest_word(text, [UNLIMITED]) if isinstance(text, str) else ""
        shown = quoted(text) if isinstance(text, str | int | float) else "this"
        raise ValueError(f"{shown} is no limit{hint or '; write 20MB/s, unlimited, or 0 for a pause'}") from None
    if 0 < found < _LEAST:
        raise ValueError(f"{quoted(text)} is less than 1KB/s, and nothing would ever end; write 0 for a pause")
    return found


def hours(text: str) -> tuple[time, time]:
    """`08:00-20:00`: from and up to; `22:00-06:00` goes over midnight, `24:00` is the day's end."""
    right = "write 08:00-20:00, or 22:00-06:00 for a night"
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{quoted(text)} are no hours; {right}")
    start, stop = _time(match["start"]), _time("00:00" if match["stop"] == "24:00" else match["stop"])
    if start is None or stop is None:
        raise ValueError(f"{quoted(text)} are hours that no clock shows; {right}")
    if match["start"] == match["stop"]:
        raise ValueError(f"{quoted(text)} is no time at all; write 00:00-24:00 for a whole day")
    return start, stop


def only(value: object) -> tuple[Window, ...]:
    """`01:00-06:00`, `22:00-06:00 mon-fri`, or a list of these."""
    items = value if isinstance(value, list) else [value]
    texts = [item for item in items if isinstance(item, str)]
    if not items or texts != items:
        raise ValueError('must be hours; write "01:00-06:00", or "22:00-06:00 mon-fri"')
    return tuple(map(_window, texts))


def _window(text: str) -> Window:
    first, _, rest = text.strip().partition(" ")
    start, stop = hours(first)
    return Window(start, stop, None, days(rest) if rest.strip() else EVERY_DAY)


def _time(text: str) -> time | None:
    hour, minute = map(int, text.split(":"))
    return time(hour, minute) if hour < 24 and minute < 60 else None  # noqa: PLR2004  what a day and an hour have


def days(value: object) -> frozenset[int]:
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
