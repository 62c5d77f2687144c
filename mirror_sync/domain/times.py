"""How times are written wherever others read them: documents, JSON, the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def iso_utc(at: datetime) -> str:
    """ISO 8601 in UTC, to the second: `2026-01-01T06:00:00Z`. `at` knows its zone."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def spoken_duration(length: timedelta) -> str:
    """As jobs.yaml writes it: `3d`, `1d12h`, `90s` as `1m30s`; `0s` for none."""
    rest, parts = int(length.total_seconds()), []
    for letter, span in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, span)
        parts.append(f"{count}{letter}" if count else "")
    return "".join(parts) or "0s"
