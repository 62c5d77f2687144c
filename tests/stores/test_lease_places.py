"""Where a lease can lie: only who knows what stands there replaces it, on every kind of place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mirror_sync.errors import StoreDenied, StoreError, StoreUnavailable
from mirror_sync.ports.lease_place import LEASE_KEY, LeasePlace, WrittenByAnother
from mirror_sync.state.file_lock import hold
from mirror_sync.stores.directory.folder_lease import FolderLease
from mirror_sync.stores.s3.bucket_lease import BucketLease
from tests.servers.bucket import S3Server
from tests.servers.forgetful import forgetful

Open = Callable[[], LeasePlace]


@pytest.fixture(params=["directory", "moto", "radosgw", "seaweedfs"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "directory":
        return lambda: FolderLease(tmp_path, 5)
    server: S3Server = request.getfixturevalue(request.param)
    target = server.target("mirror/")
    return lambda: BucketLease(target, 20)


def test_only_who_knows_what_stands_there_replaces_it(opened: Open) -> None:
    one, two = opened(), opened()
    one.prove()
    two.prove()
    assert one.read() is None
    with pytest.raises(WrittenByAnother):
        one.write(b"0", "what never stood there")
    first = one.write(b"1", None)
    with pytest.raises(WrittenByAnother):
        two.write(b"2", None)
    assert two.read() == (b"1", first)
    second = two.write(b"2", first)
    with pytest.raises(WrittenByAnother):
        one.write(b"3", first)
    assert one.read() == (b"2", second)


@pytest.mark.parametrize("opened", ["directory", "radosgw", "seaweedfs"], indirect=True)
def test_of_many_that_write_at_once_one_does(opened: Open) -> None:
    """Not over moto, which looks first and writes then, so that two may be at it."""
    places = [opened() for _ in range(4)]
    for place in places:
        place.prove()
    together = threading.Barrier(len(places))

    def write(number: int, tag: str | None) -> str | None:
        together.wait()
        try:
            return places[number].write(f"{tag} {number}".encode(), tag)
        except (WrittenByAnother, StoreUnavailable):
            return None

    tag: str | None = None
    with ThreadPoolExecutor(len(places)) as pool:
        for _ in range(5):
            written = [one for one in pool.map(write, range(len(places)), [tag] * len(places)) if one is not None]
            assert len(written) == 1
            (tag,) = written
            standing = places[0].read()
            assert standing is not None
            assert standing.tag == tag


def test_a_server_that_ignores_conditions_is_told_in_one_line(moto: S3Server) -> None:
    with forgetful(moto.endpoint_url) as between, pytest.raises(StoreError) as told:
        BucketLease(moto.target("mirror/", endpoint_url=between.url), 20).prove()
    assert "the server ignores If-None-Match: * of a PUT, so that two daemons would both run; ha needs" in str(
        told.value
    )
    assert "\n" not in str(told.value)


def test_a_folder_that_is_not_there_is_no_place_and_is_not_made(tmp_path: Path) -> None:
    place = FolderLease(tmp_path / "disk", 0)
    for call in (place.prove, place.read, lambda: place.write(b"1", None)):
        with pytest.raises(StoreDenied, match="is its disk mounted"):
            call()
    assert not (tmp_path / "disk").exists()


def test_who_is_stopped_as_it_writes_bars_others_for_so_long(tmp_path: Path) -> None:
    place = FolderLease(tmp_path, 0)
    tag = place.write(b"1", None)
    with (
        hold((tmp_path / LEASE_KEY).with_suffix(".lock")),
        pytest.raises(StoreUnavailable, match="is locked by another"),
    ):
        place.write(b"2", tag)
    assert place.read() == (b"1", tag)
