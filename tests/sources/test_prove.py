"""What our token is worth is asked, and never guessed from a refusal."""

from pathlib import Path

import pytest

from mirror_sync.domain.gone import Standing
from mirror_sync.errors import TokenRejected, Unreachable
from mirror_sync.sources.directory import DirectorySource
from mirror_sync.sources.failover import FailoverSource
from mirror_sync.sources.hub import HubSource
from mirror_sync.sources.retrying import RetryingSource, RetryPolicy
from mirror_sync.sources.transport import Transport
from tests.sources.reading import Steps
from tests.standin import Hub, faults


def test_a_token_that_the_upstream_knows_is_proved_through_every_wrapper(hub: Hub, transport: Transport) -> None:
    source = HubSource(hub.url, hub.token("hf_known"), transport)
    dead = HubSource("http://127.0.0.1:9", "hf_known", transport)
    wrapped = RetryingSource(FailoverSource([source, dead]), RetryPolicy(), lambda _: None, Steps(), lambda: 0.0)
    assert source.prove() is wrapped.prove() is Standing.PROVED
    assert hub.calls("GET", "/api/whoami-v2") == 2


def test_without_a_token_nothing_is_asked(hub: Hub, source: HubSource) -> None:
    assert source.prove() is Standing.ANONYMOUS
    assert len(hub.log) == 0


def test_a_token_that_the_upstream_does_not_know_is_rejected(hub: Hub, transport: Transport) -> None:
    with pytest.raises(TokenRejected):
        HubSource(hub.url, "hf_unknown", transport).prove()


def test_an_upstream_that_knows_no_users_proves_nothing(hub: Hub, transport: Transport) -> None:
    hub.faults.add(faults.status(404), "GET /api/whoami-v2")
    assert HubSource(hub.url, hub.token("hf_known"), transport).prove() is Standing.UNPROVEN


def test_a_folder_proves_itself_by_being_there(tmp_path: Path) -> None:
    assert DirectorySource(tmp_path).prove() is Standing.PROVED
    with pytest.raises(Unreachable, match="is the disk mounted"):
        DirectorySource(tmp_path / "not mounted").prove()
