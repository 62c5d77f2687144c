"""What our token is worth is asked, and never guessed from a refusal."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import NotFoundOrPrivate, NotSeen, TokenRejected, Unreachable
from mirror_sync.net.transport import Transport
from mirror_sync.sources.directory.folders import MARKER, DirectorySource
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.failover import FailoverSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from tests.sources.reading import TINY, Steps
from tests.standin import Hub, faults


def test_a_token_that_the_upstream_knows_is_proved_through_every_wrapper(hub: Hub, transport: Transport) -> None:
    source = HubSource(hub.url, hub.token("hf_known"), transport)
    dead = HubSource("http://127.0.0.1:9", "hf_known", transport)
    wrapped = RetryingSource(FailoverSource([source, dead]), RetryPolicy(), lambda _: None, Steps(), lambda: 0.0)
    assert source.prove() is wrapped.prove() is TokenStatus.PROVED
    assert hub.calls("GET", "/api/whoami-v2") == 2


def test_without_a_token_nothing_is_asked(hub: Hub, source: HubSource) -> None:
    assert source.prove() is TokenStatus.ANONYMOUS
    assert len(hub.log) == 0


def test_a_token_that_the_upstream_does_not_know_is_rejected(hub: Hub, transport: Transport) -> None:
    with pytest.raises(TokenRejected):
        HubSource(hub.url, "hf_unknown", transport).prove()


def test_an_upstream_that_knows_no_users_proves_nothing(hub: Hub, transport: Transport) -> None:
    hub.faults.add(faults.status(404), "GET /api/whoami-v2")
    assert HubSource(hub.url, hub.token("hf_known"), transport).prove() is TokenStatus.UNPROVEN


@pytest.mark.parametrize(
    ("entries", "standing"),
    [
        ((), TokenStatus.UNPROVEN),
        (("acme/x/",), TokenStatus.UNPROVEN),
        ((MARKER,), TokenStatus.UNPROVEN),
        ((f"{MARKER}/", "acme/x/"), TokenStatus.UNPROVEN),
        ((MARKER, "acme/x/"), TokenStatus.PROVED),
    ],
    ids=["nothing", "repos", "a marker alone", "a folder as marker", "marked"],
)
def test_a_folder_proves_itself_by_a_marker_beside_what_it_holds(
    tmp_path: Path, entries: Sequence[str], standing: TokenStatus
) -> None:
    fill(tmp_path, *entries)
    assert DirectorySource(tmp_path).prove() is standing


def test_a_folder_that_is_not_there_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="is the disk mounted"):
        DirectorySource(tmp_path / "not mounted").prove()


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((), r"is no folder of a model \(.*/up is empty: is its disk mounted\?\)"),
        ((MARKER,), r"/up is empty: is its disk mounted\?"),
        (("acme/other/",), rf"is no folder of a model \(no {re.escape(MARKER)} says that .*/up is whole\)"),
        ((MARKER, "acme/", "other/x/"), r"/up/acme is empty: is its disk mounted\?"),
    ],
    ids=["an empty root", "a marker alone", "no marker", "an empty owner"],
)
def test_what_a_folder_does_not_show_may_be_on_a_disk_that_is_off(
    tmp_path: Path, entries: Sequence[str], said: str
) -> None:
    fill(tmp_path / "up", *entries)
    with pytest.raises(NotSeen) as unseen:
        DirectorySource(tmp_path / "up").resolve(TINY, "main")
    assert re.search(said, unseen.value.with_doubt)


@pytest.mark.parametrize("entry", ["acme/other/", "other/x/", "acme/tiny"])
def test_what_a_whole_folder_does_not_hold_is_not_found(tmp_path: Path, entry: str) -> None:
    fill(tmp_path, MARKER, entry)
    with pytest.raises(NotFoundOrPrivate) as refused:
        DirectorySource(tmp_path).resolve(TINY, "main")
    assert type(refused.value) is NotFoundOrPrivate


@pytest.mark.parametrize("link", ["acme", "acme/tiny"])
def test_a_link_to_a_disk_that_is_off_is_no_answer(tmp_path: Path, link: str) -> None:
    fill(tmp_path, MARKER, "other/x/")
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "disk")
    source = DirectorySource(tmp_path)
    with pytest.raises(Unreachable, match=f"/{link} is a link to what is not there: is its disk mounted"):
        source.resolve(TINY, "main")
    assert [*source.search(RepoPattern.parse("acme/*"))] == ([TINY] if link == "acme/tiny" else [])


def fill(root: Path, *entries: str) -> None:
    """Empty files, and folders, whose names end in a slash."""
    root.mkdir(exist_ok=True)
    for entry in entries:
        place = root / entry
        (place if entry.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not entry.endswith("/"):
            place.touch()
