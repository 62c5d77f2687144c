"""Small blobs of a directory wait for each other, and nobody relies on one that was lost meanwhile."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreUnavailable
from mirror_sync.stores.directory.file_system import Folders
from mirror_sync.stores.directory.groups import Groups
from mirror_sync.stores.directory.staging import Staging

NEVER = 1e6
BODIES = [b"%d" % number for number in range(200)]


def key_of(body: bytes) -> str:
    return blob_key(Sha256.of(body))


class Place:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.staging = Staging(root, Folders(root))
        self.groups = Groups(self.staging, NEVER)

    def put(self, body: bytes) -> Path:
        staged, fd = self.staging.create()
        self.groups.watch(staged)
        os.write(fd, body)
        os.close(fd)
        self.groups.add(key_of(body), staged)
        return Path(staged)

    def named(self) -> set[str]:
        return {path.name for path in self.root.glob("blobs/*/*/*")}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.groups.publish()  # else the process waits for what has not got its name


def test_blobs_wait_until_they_are_many(place: Place) -> None:
    place.put(BODIES[0])
    assert place.named() == set()
    assert key_of(BODIES[0]) in place.groups
    for body in BODIES[1:]:
        place.put(body)
    assert 0 < len(place.named()) < len(BODIES)


def test_before_a_pointer_all_have_their_names_and_bytes(place: Place) -> None:
    for body in (*BODIES, BODIES[0]):
        place.put(body)
    place.groups.commit("refs")
    assert place.named() == {Sha256.of(body) for body in BODIES}
    assert all((place.root / key_of(body)).read_bytes() == body for body in BODIES)
    assert not any((place.root / ".staging").iterdir())


def test_the_last_does_not_wait_for_ever(place: Place) -> None:
    place.groups = Groups(place.staging, 0.0)
    place.put(BODIES[0])
    while not place.named():  # ends, or the test's time-out says that it does not
        os.sched_yield()


def test_no_pointer_is_put_while_a_blob_is_lost(place: Place) -> None:
    place.put(BODIES[0]).unlink()
    place.put(BODIES[1])
    with pytest.raises(FileNotFoundError):
        place.groups.commit("refs")
    with pytest.raises(StoreUnavailable, match="could not be made durable"):
        place.groups.commit("refs")
    assert place.named() == {Sha256.of(BODIES[1])}
    place.put(BODIES[0])
    place.groups.commit("refs")
    assert place.named() == {Sha256.of(body) for body in BODIES[:2]}


def test_a_blob_put_again_while_it_waits_keeps_its_older_file(place: Place) -> None:
    older, newer = place.put(BODIES[0]), place.put(BODIES[0])
    assert (older.exists(), newer.exists()) == (True, False)


def test_a_second_put_does_not_hide_a_loss(place: Place) -> None:
    place.put(BODIES[0]).unlink()
    place.put(BODIES[0])
    with pytest.raises(FileNotFoundError):
        place.groups.commit("refs")
    with pytest.raises(StoreUnavailable):
        place.groups.commit("refs")


def test_each_pointer_is_refused_once_for_a_loss(place: Place) -> None:
    for body in BODIES[:2]:
        place.put(body).unlink()
        with pytest.raises(FileNotFoundError):
            place.groups.publish()
        for pointer in ("one", "two"):
            with pytest.raises(StoreUnavailable):
                place.groups.commit(pointer)
            place.groups.commit(pointer)


def test_what_is_found_under_its_name_is_lost_no_more(place: Place) -> None:
    place.put(BODIES[0]).unlink()
    with pytest.raises(FileNotFoundError):
        place.groups.publish()
    staged, fd = place.staging.create()
    os.close(fd)
    place.staging.publish(staged, key_of(BODIES[0]))  # by another way
    place.groups.commit("refs")


def test_what_failed_to_get_its_name_is_tried_again_by_itself(place: Place) -> None:
    place.groups = Groups(place.staging, 0.0)
    (place.root / "blobs").write_bytes(b"in the way")
    place.put(BODIES[0])
    for _ in range(3):
        with pytest.raises(OSError, match="blobs"):
            place.groups.publish()
    (place.root / "blobs").unlink()
    while not place.named():
        os.sched_yield()


def test_after_a_sync_of_all_failed_each_file_is_synced_by_itself(place: Place) -> None:
    asked: list[int] = []

    def fail(fd: int) -> bool:
        asked.append(fd)
        place.put(BODIES[1])  # comes while the system is at it
        raise OSError(errno.EIO, "the disk is broken")

    place.groups = Groups(place.staging, NEVER, fail)
    place.put(BODIES[0])
    with pytest.raises(OSError, match="broken"):
        place.groups.publish()
    place.put(BODIES[2])
    place.groups.publish()
    assert place.named() == {Sha256.of(BODIES[2])}
    assert len(asked) == 1


def test_all_syncs_use_what_was_opened_before_the_first_byte(place: Place) -> None:
    asked: list[int] = []
    place.groups = Groups(place.staging, NEVER, lambda fd: not asked.append(fd))  # type: ignore[func-returns-value]
    staged, fd = place.staging.create()
    place.groups.watch(staged)
    opened = place.groups._watched
    os.close(fd)
    for body in BODIES[:2]:
        place.put(body)
        place.groups.publish()
    assert asked == [opened] * 2


def test_a_process_that_ends_by_itself_loses_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from mirror_sync.domain.digest import Sha256;"
        "from mirror_sync.stores.directory.directory_store import DirectoryStore;"
        "DirectoryStore(Path(sys.argv[1])).put(sys.argv[2], b'0', Sha256.of(b'0')); sys.exit(3)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path), key_of(b"0")], check=False)
    assert ended.returncode == 3
    assert (tmp_path / key_of(b"0")).read_bytes() == b"0"
