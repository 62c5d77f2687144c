"""How times are written wherever others read them: documents, JSON, the history."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_utc(at: datetime) -> str:
    """ISO 8601 in UTC, to the second: `2026-01-01T06:00:00Z`. `at` knows its zone."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
