"""Requests that no client sends: a short, seeded part of `python -m tests.chaos.hostile`, without its times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.hostile import FRONTS, MEMORY, ask, attack, published
from tests.requirements import need


@pytest.mark.parametrize("front", FRONTS)
def test_whatever_is_sent_the_front_answers_and_says_no_more_than_that_it_was_wrong(front: str, tmp_path: Path) -> None:
    need("nginx")
    repo = published(tmp_path / "bucket")
    with FRONTS[front](tmp_path) as (port, memory):
        found = attack(port, str(repo.repo), 300, 7, memory)
        assert found.failed == {}
        assert found.memory < MEMORY
        assert ask(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 200
