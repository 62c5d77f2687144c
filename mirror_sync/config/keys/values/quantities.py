"""Figures with a unit, and switches, from the text of jobs.yaml. ValueError says what would be right."""

from __future__ import annotations

import re

from mirror_sync.config.findings import quoted

_RATE = re.compile(r"(?P<count>[0-9]{1,9}) ?(?P<unit>[KMG]?B|[KMG]iB)/s")
_REQUESTS = re.compile(r"(?P<count>[1-9][0-9]{0,5}) ?/(?P<per>[sm])")
_SIZE = re.compile(r"(?P<count>[0-9]{1,6}) ?(?P<unit>[MGT]i?B)")
_UNITS = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}
_UNITS |= {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SHARE = re.compile(r"(?P<percent>[0-9]{1,3}) ?%")
_PART = re.compile(r"(?P<percent>[0-9]{1,3}(?:\.[0-9]{1,4})?) ?%")
_WHOLE = 100


def rate(value: object) -> int:
    """`10KB/s`: bytes a second, in B, KB, MB, GB (1000) or KiB, MiB, GiB (1024)."""
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_shown(value)} is no rate; write 500B/s, 10KB/s or 1MB/s")
    return int(match["count"]) * _UNITS[match["unit"]]


def requests(value: object) -> int:
    """`200/s`, `30/m`: requests a minute."""
    match = _REQUESTS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_shown(value)} are no requests in a time; write 200/s, or 30/m")
    return int(match["count"]) * (60 if match["per"] == "s" else 1)


def size(value: object) -> int:
    """`16GiB`: bytes, in MB, GB, TB (1000) or MiB, GiB, TiB (1024); `0` is none."""
    if value in (0, "0") and not isinstance(value, bool):
        return 0
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_shown(value)} is no size; write 500MB, 16GiB or 0")
    return int(match["count"]) * _UNITS[match["unit"]]


def room(value: object) -> int:
    """As `size`, and more than none."""
    found = size(value)
    if not found:
        raise ValueError("0 is no bound; write what may be held, as 200GB")
    return found


def share(value: object, most: int = _WHOLE) -> float:
    """`10%`: a share from 0 to 1; `most` in percent."""
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match["percent"]) > most:
        raise ValueError(f"{_shown(value)} is no share from 0% to {most}%; write 10%")
    return int(match["percent"]) / _WHOLE


def part(value: object) -> float:
    """`5%`, `0.5%`: a share above 0 and up to 1."""
    match = _PART.fullmatch(value.strip()) if isinstance(value, str) else None
    found = float(match["percent"]) / _WHOLE if match else 0.0
    if not 0 < found <= 1:
        raise ValueError(f"{_shown(value)} is no share above 0% and up to 100%; write 5% or 0.5%")
    return found


def count(value: object) -> int:
    """A whole number from 0; as text when it came from a variable."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if re.fullmatch(r"[0-9]{1,6}", text) is None:
        raise ValueError(f"{_shown(value)} is no whole number from 0 to 999999")
    return int(text)


def switch(value: object) -> bool:
    """`true` or `false`, `on` or `off`: the last two are text, and so is all that came from a variable."""
    found = (
        {"true": True, "false": False, "on": True, "off": False}.get(value.lower()) if isinstance(value, str) else value
    )
    if not isinstance(found, bool):
        raise ValueError(f"{_shown(value)} is not true or false (on and off will do)")  # noqa: TRY004  pydantic takes ValueError
    return found


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str | int | float) else "this"
