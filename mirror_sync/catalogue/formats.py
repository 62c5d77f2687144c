"""How figures, times and addresses are written on the pages. Sizes in bytes, units of 1000 as the Hub writes them."""

from __future__ import annotations

from itertools import pairwise
from urllib.parse import quote, urlsplit

from mirror_sync.domain.outcome.front_counts import EDGES

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_LETTERS = ("", "K", "M", "B", "T", "P")
_STEP = 1000
_CLOSE = 10  # below which a figure keeps a digit more
_SPANS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))  # units of time, in seconds


def size(count: float) -> str:
    """Three digits that matter, and the unit: `1.23 GB`, `45.6 MB`, `789 kB`, `12 B`."""
    value, unit = float(count), 0
    while value >= _STEP - 0.5 and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    digits = 0 if unit == 0 or value >= _CLOSE * 10 - 0.05 else 1 if value >= _CLOSE - 0.005 else 2
    return f"{value:.{digits}f} {_UNITS[unit]}"


def amount(number: int) -> str:
    """Three digits that matter, in the letters by which models are named: `7.62B`, `124M`, `1.02T`, `512`."""
    value, unit = float(number), 0
    while value >= _STEP - 0.5 and unit < len(_LETTERS) - 1:
        value, unit = value / _STEP, unit + 1
    digits = 0 if unit == 0 or value >= _CLOSE * 10 - 0.05 else 1 if value >= _CLOSE - 0.005 else 2
    return f"{value:.{digits}f}{_LETTERS[unit]}"


def count(number: int) -> str:
    """A number with a comma after each three digits."""
    return f"{number:,}"


def span(seconds: float) -> str:
    """A length of time in its two greatest units: `2 d 3 h`, `4 min 5 s`."""
    left = max(0, round(seconds))
    for (unit, length), (lesser, lesser_length) in pairwise(_SPANS):
        if left >= length:
            rest = left % length // lesser_length
            return f"{left // length} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{left} s"


def wait(seconds: float) -> str:
    """The bound of a short time: `≤ 250 ms`, `≤ 2.5 s`; above the last bound `> 10 s`."""
    if seconds > EDGES[-1]:
        return f"> {EDGES[-1]:g} s"
    return f"≤ {seconds * 1000:g} ms" if seconds < 1 else f"≤ {seconds:g} s"


def share(part: float) -> str:
    """A part of 1 as a person reads it: `93.10 %`."""
    return f"{part * 100:.2f} %"


def moment(time: str) -> str:
    """An ISO 8601 time in UTC as a person reads it, to the minute."""
    return f"{time[:10]} {time[11:16]} UTC"


def in_url(path: str) -> str:
    """A path of names as an address spells it."""
    return quote(path, safe="/", errors="replace")


def is_safe_link(address: str) -> bool:
    """Is it an address that a reader may be sent to? A script, another scheme and what is no address are not."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and address.isprintable() and " " not in address
