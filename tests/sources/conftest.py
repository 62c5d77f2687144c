"""A Hub of its own for every test, and no proxy or token of the shell that runs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from tests.sources.shell import quiet
from tests.standin import Hub


@pytest.fixture(autouse=True)
def quiet_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from quiet(monkeypatch)


@pytest.fixture(autouse=True)
def trusting_few(quiet_shell: None, few_authorities: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the shell is quiet, so that it stands; a test of what is trusted says so itself."""
    monkeypatch.setenv("SSL_CERT_FILE", str(few_authorities))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as started:
        yield started
        assert not started.leaks, "a token came to the CDN"
        assert not started.crashes


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(timeouts=Timeouts(connect=5, stall=5, first_byte=5))
    yield made
    made.close()


@pytest.fixture
def source(hub: Hub, transport: Transport) -> HubSource:
    """The stand-in, asked anonymously."""
    return HubSource(hub.url, None, transport)
