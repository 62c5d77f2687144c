"""Disks that fill up: told before the first byte where that can be known, and gone on with once there is room."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror_sync.domain.outcome.events import RepoPlanned
from mirror_sync.engine.space import documents_of, with_spare
from mirror_sync.ports.store import Store
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.disks import small_disk
from tests.engine.workshop import PART, Workshop, job
from tests.standin import LFS, Generated, Hub, faults

BLOCK = 4096  # bytes
BIG = Generated(12 * PART, seed=5)


class Sized(DirectoryStore):
    """A directory on a disk that says to have so much room."""

    room = 0

    def free(self) -> int:
        return self.room


class Quota(DirectoryStore):
    """A directory on a disk of its own of so many bytes, by its own account: writing more does not fail."""

    size = 0

    def free(self) -> int:
        return self.size - self.taken

    @property
    def taken(self) -> int:
        files = [path.stat() for path in self.root.rglob("*") if path.is_file()]
        return sum(found.st_blocks * 512 for found in files)


@pytest.fixture
def store(tmp_path: Path) -> Sized:
    return Sized(tmp_path / "target", part_size=PART)


@pytest.fixture
def shop(hub: Hub, tmp_path: Path, store: Store) -> Workshop:
    return Workshop(hub.url, tmp_path / "state", store=store)


def fetched(hub: Hub) -> int:
    return sum(record.sent for record in hub.log.records("GET *", origin="cdn"))


def test_a_target_without_room_is_told_with_both_figures_before_the_first_byte(
    hub: Hub, shop: Workshop, store: Sized
) -> None:
    hub.model("acme/x", license="mit").commit({"big": LFS(BIG), "small": b"1" * 1000})
    needed = with_spare(BIG.size + BLOCK) + documents_of(files=2)
    store.room = needed - 1
    report = shop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("failed", "target-full")
    assert f"{needed - 1:,}" in report.reason
    assert f"{needed:,}" in report.reason
    assert hub.calls("GET", origin="cdn") == hub.calls("GET", "*/resolve/*") == 0
    assert shop.store.written == []
    store.room = needed
    assert shop.sync_one(job("acme/x")).outcome == "published"


def test_a_file_that_was_begun_has_its_room_already(hub: Hub, shop: Workshop, store: Sized) -> None:
    hub.model("acme/x", license="mit").commit({"big": LFS(BIG)})
    store.room = 2 * BIG.size
    hub.faults.add(faults.status(503), "GET *", origin="cdn", skip=6)
    assert shop.sync_one(job("acme/x")).code == "unreachable"
    hub.faults.clear()
    store.room = PART
    assert shop.sync_one(job("acme/x")).outcome == "published"


@pytest.mark.parametrize("large", [True, False], ids=["large files", "small files"])
def test_repos_at_once_are_given_no_more_room_than_there_is_together(hub: Hub, tmp_path: Path, large: bool) -> None:
    quota = Quota(tmp_path / "target", part_size=PART)
    quota.size = 40 * PART
    shop = Workshop(hub.url, tmp_path / "state", store=quota)
    names = [f"acme/x{number}" for number in range(4)]
    for number, name in enumerate(names):
        sizes = [15 * PART] if large else [PART] * 15
        files = {str(at): LFS(Generated(size, seed=100 * number + at)) for at, size in enumerate(sizes)}
        hub.model(name, license="mit").commit(files)
    hub.faults.before(lambda _: _until(lambda: planned(shop) == len(names)), origin="cdn")
    report = shop.sync(job(*names))
    assert sorted((repo.outcome, repo.code) for repo in report.repos) == [
        ("failed", "target-full"), ("failed", "target-full"), ("published", ""), ("published", ""),
    ]  # fmt: skip
    assert fetched(hub) == 2 * 15 * PART
    assert quota.taken <= quota.size
    assert "on its way there" in "".join(repo.reason for repo in report.repos)


def test_a_content_that_two_repos_bring_at_once_needs_room_once(hub: Hub, tmp_path: Path) -> None:
    quota = Quota(tmp_path / "target", part_size=PART)
    quota.size = 20 * PART
    shop = Workshop(hub.url, tmp_path / "state", store=quota)
    for name in ("acme/x", "acme/y"):
        hub.model(name, license="mit").commit({"big": LFS(BIG), "name": name.encode()})
    hub.faults.before(lambda _: _until(lambda: planned(shop) == 2), origin="cdn")
    assert {repo.outcome for repo in shop.sync(job("acme/x", "acme/y")).repos} == {"published"}
    assert fetched(hub) == BIG.size


def planned(shop: Workshop) -> int:
    return sum(isinstance(event, RepoPlanned) for event in list(shop.events))


def _until(there: Callable[[], bool]) -> None:
    """Wait; after ten seconds the test goes on, and says by itself what is wrong."""
    for _ in range(1000):
        if there():
            return
        time.sleep(0.01)


def test_a_disk_that_fills_up_keeps_the_old_snapshot_and_once_freed_goes_on(hub: Hub, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "20m"):
        shop = Workshop(hub.url, tmp_path / "state", store=DirectoryStore(tmp_path / "disk" / "t", part_size=PART))
        repo = hub.model("acme/x", license="mit")
        first = repo.commit({"a": b"old"})
        shop.sync(job("acme/x"))
        repo.commit({"a": b"new", "big": LFS(BIG)})
        alien = tmp_path / "disk" / "alien"
        hub.faults.before(lambda _: _fill(alien), lambda _: hub.calls("GET", origin="cdn") > 6, origin="cdn")
        hub.faults.add(faults.status(503), "GET *", origin="cdn", skip=8)
        assert shop.sync_one(job("acme/x")).outcome == "failed"
        hub.faults.clear()
        report = shop.sync_one(job("acme/x"))
        assert (report.outcome, report.code) == ("failed", "target-full")
        assert (shop.commit("acme/x"), shop.files("acme/x")) == (first, {"a": b"old"})
        alien.unlink()
        assert shop.sync_one(job("acme/x")).outcome == "published"
        assert shop.files("acme/x") == {"a": b"new", "big": BIG.read()}
        assert fetched(hub) - BIG.size <= 4 * PART


def _fill(path: Path) -> None:
    """Writes until the disk takes no more."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return
