"""docs/guide/events.md names every event that the code logs, as it is logged."""

from __future__ import annotations

from pathlib import Path

from docs.events import page


def test_the_page_is_as_the_code_says() -> None:
    written = Path(__file__).parents[1] / "docs" / "guide" / "events.md"
    assert written.read_text(encoding="utf-8") == page(), "run python -m docs.events > docs/guide/events.md"
