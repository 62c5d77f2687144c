"""Numbers as a person reads them: bytes in decimal units (as the Hub shows them), seconds in at most two units."""

from __future__ import annotations

from datetime import datetime

_STEP = 1000
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_SPANS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def in_bytes(count: float) -> str:
    """999 B, 1.5 kB, 91.2 MB, 815 GB."""
    size, unit = float(count), 0
    # 999.5 would be written as 1000 of a unit
    while abs(size) >= _STEP - 0.5 and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    digits = 1 if unit and abs(size) < _STEP / 10 - 0.05 else 0
    return f"{size:.{digits}f} {_UNITS[unit]}"


def in_time(seconds: float) -> str:
    """0s, 42s, 3m 5s, 2h 10m, 4d 3h."""
    rest = max(round(seconds), 0)
    parts: list[str] = []
    for letter, span in _SPANS:
        count, rest = divmod(rest, span)
        if count or parts:
            parts.append(f"{count}{letter}" if count else "")
    return " ".join(filter(None, parts[:2])) or "0s"


def counted(count: int, thing: str, things: str | None = None) -> str:
    """1 file, 12,000 files."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def age(since: str | None, now: datetime) -> str:
    """How long ago an ISO 8601 time was, in its largest unit: 4d; never for None."""
    if since is None:
        return "never"
    return in_time((now - datetime.fromisoformat(since)).total_seconds()).partition(" ")[0]
