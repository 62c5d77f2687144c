"""docs/guide/events.md names every event that the code logs, as it is logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.events import kinds, page, samples
from mirror_sync.domain.outcome.events import Event, LogLevel


def test_the_page_is_as_the_code_says() -> None:
    written = Path(__file__).parents[1] / "docs" / "guide" / "events.md"
    assert written.read_text(encoding="utf-8") == page(), "run python -m docs.events > docs/guide/events.md"


@pytest.mark.parametrize("kind", kinds())
def test_an_event_says_itself_how_it_is_logged(kind: type[Event]) -> None:
    for event in samples(kind):
        assert event.level in LogLevel
        assert event.log_name == event.log_name.lower()
        assert json.loads(json.dumps(event.fields())) == event.fields()
