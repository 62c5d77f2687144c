from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.workshop import Workshop
from tests.standin import Hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub
        assert hub.crashes == []
        assert hub.leaks == []


@pytest.fixture
def workshop(hub: Hub, tmp_path: Path) -> Workshop:
    return Workshop(hub.url, tmp_path)
