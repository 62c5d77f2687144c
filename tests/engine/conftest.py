from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.workshop import Workshop
from tests.standin import Hub


@pytest.fixture(autouse=True)
def trusting_few(few_authorities: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(few_authorities))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub
        assert hub.crashes == []
        assert hub.leaks == []


@pytest.fixture
def workshop(hub: Hub, tmp_path: Path) -> Workshop:
    return Workshop(hub.url, tmp_path)
