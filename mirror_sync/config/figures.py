"""Figures with a unit, and switches, from the text of jobs.yaml. ValueError says what would be right."""

from __future__ import annotations

import re

from mirror_sync.config.findings import quoted

_RATE = re.compile(r"(?P<count>[0-9]{1,9}) ?(?P<unit>B|KB|MB|KiB|MiB)/s")
_UNITS = {"B": 1, "KB": 1000, "MB": 1000**2, "KiB": 1024, "MiB": 1024**2}
_SHARE = re.compile(r"(?P<percent>[0-9]{1,3}) ?%")
_WHOLE = 100


def rate(value: object) -> int:
    """`10KB/s`: bytes a second, in B, KB, MB (1000) or KiB, MiB (1024)."""
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_shown(value)} is no rate; write 500B/s, 10KB/s or 1MB/s")
    return int(match["count"]) * _UNITS[match["unit"]]


def share(value: object, most: int = _WHOLE) -> float:
    """`10%`: a share from 0 to 1; `most` in percent."""
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match["percent"]) > most:
        raise ValueError(f"{_shown(value)} is no share from 0% to {most}%; write 10%")
    return int(match["percent"]) / _WHOLE


def count(value: object) -> int:
    """A whole number from 0; as text when it came from a variable."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if re.fullmatch(r"[0-9]{1,6}", text) is None:
        raise ValueError(f"{_shown(value)} is no whole number from 0 to 999999")
    return int(text)


def switch(value: object) -> bool:
    """`true` or `false`; as text when it came from a variable."""
    found = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise ValueError(f"{_shown(value)} is not true or false")  # noqa: TRY004  pydantic takes ValueError
    return found


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str | int | float) else "this"
