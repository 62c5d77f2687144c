"""What is particular to a directory: modes, full and closed disks, and the order in which things become durable."""

from __future__ import annotations

import os
import re
import resource
import stat
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import KeyMissing, StoreDenied, StoreError, StoreFull
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.disks import small_disk
from tests.stores.places import MIB, answer, child, in_child, keys, put, read

NOBODY = 65534
REFS = "hub/models/org--name/refs.json"


def staged(root: Path) -> list[str]:
    return os.listdir(root / ".staging")  # noqa: PTH208  names are all that is asked


def blob(body: bytes) -> str:
    return blob_key(Sha256.of(body))


class TestModes:
    def test_whatever_our_umask_a_web_server_can_read_all_but_the_unfinished(self, tmp_path: Path) -> None:
        root = tmp_path / "srv" / "mirror"
        assert in_child(_put_with_closed_umask, root) is None
        modes = {path.relative_to(root).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
        assert modes == {".staging": 0o700, "a": 0o755, "a/b": 0o755, "a/b/small": 0o644, "a/b/large": 0o644}
        assert stat.S_IMODE(root.stat().st_mode) == 0o755

    def test_reading_makes_no_folder(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path / "target")
        assert (store.stat("a"), keys(store)) == (None, [])
        store.delete(["a"])
        assert not store.root.exists()


class TestPresence:
    @pytest.mark.parametrize("link", [".", "hub", "hub/models"])
    def test_a_link_to_a_disk_that_is_not_mounted_is_not_an_empty_folder(self, tmp_path: Path, link: str) -> None:
        place = tmp_path / "target" / link
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(tmp_path / "disk")
        store = DirectoryStore(tmp_path / "target")
        with pytest.raises(StoreError, match=re.escape(f"{place} is a link to what is not there")):
            keys(store, "hub/")

    @pytest.mark.parametrize("link", [".", "hub", REFS])
    def test_nor_is_what_it_would_hold_missing(self, tmp_path: Path, link: str) -> None:
        place = tmp_path / "target" / link
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(tmp_path / "disk")
        store = DirectoryStore(tmp_path / "target")
        with pytest.raises(StoreError, match="is a link to what is not there") as caught:
            store.stat(REFS)
        assert not isinstance(caught.value, KeyMissing)
        with pytest.raises(StoreError, match="is a link to what is not there") as caught:
            read(store, REFS)
        assert not isinstance(caught.value, KeyMissing)

    @pytest.mark.parametrize("root", ["file", "file/target"])
    def test_nor_is_a_file_in_its_place(self, tmp_path: Path, root: str) -> None:
        (tmp_path / "file").write_bytes(b"")
        store = DirectoryStore(tmp_path / root)
        for look in (lambda: keys(store), lambda: store.stat(REFS), lambda: read(store, REFS)):
            with pytest.raises(StoreError, match="Not a directory") as caught:
                look()
            assert not isinstance(caught.value, KeyMissing)

    def test_what_was_copied_in_with_its_old_times_came_when_it_was_copied(self, tmp_path: Path) -> None:
        """`cp -a` and `rsync -a` keep them, and a prune counts its grace from what is told here."""
        store = DirectoryStore(tmp_path / "target")
        put(store, REFS, b"x")
        os.utime(store.root / REFS, (0, 0))
        (listed,) = store.list("hub/")
        assert listed.modified == (store.root / REFS).stat().st_ctime
        stated = store.stat(REFS)
        assert stated is not None
        assert stated.modified == listed.modified


class TestStaging:
    def test_nothing_staged_is_left_after_success(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path)
        put(store, "a", b"x")
        with store.begin("b", 1) as upload:
            upload.put(0, b"y")
            upload.complete()
        with store.begin("c", 1):
            assert len(staged(tmp_path)) == 1
        assert staged(tmp_path) == []

    def test_an_upload_has_its_space_from_the_beginning(self, tmp_path: Path) -> None:
        with DirectoryStore(tmp_path).begin("a", 20 * MIB):
            (name,) = staged(tmp_path)
            assert (tmp_path / ".staging" / name).stat().st_blocks * 512 >= 20 * MIB

    def test_what_a_file_system_or_an_editor_leaves_is_no_object(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path)
        put(store, "a/b", b"x")
        for name in (".hidden", "lost+found/x", ".staging/1-2"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        os.mkfifo(tmp_path / "a" / "pipe")
        assert keys(store) == ["a/b"]
        assert store.stat("a/pipe") is None
        with pytest.raises(StoreError, match="not a key"):
            read(store, ".staging/1-2")

    def test_a_key_below_a_key_is_refused_and_changes_nothing(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path)
        put(store, "a/b", b"x")
        for key in ("a", "a/b/c"):
            with pytest.raises(StoreError):
                put(store, key, b"y")
        assert keys(store) == ["a/b"]
        assert staged(tmp_path) == []

    def test_a_name_too_long_is_an_error_of_ours(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path)
        for call in (store.stat, lambda key: put(store, key, b"x")):
            with pytest.raises(StoreError, match="File name too long"):
                call("a" * 300)


class TestFaults:
    def test_a_file_system_that_takes_no_more_is_full_and_keeps_what_it_had(self, tmp_path: Path) -> None:
        put(DirectoryStore(tmp_path), "a", b"old")
        assert in_child(_fill_with_limit, tmp_path) == ["StoreFull", "StoreFull"]
        assert read(DirectoryStore(tmp_path), "a") == b"old"
        assert staged(tmp_path) == []

    def test_a_full_disk_is_told_before_the_first_byte_of_an_upload(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", "2m"):
            store = DirectoryStore(tmp_path / "disk")
            put(store, "a", b"old")
            with pytest.raises(StoreFull, match="No space left"):
                store.begin("a", 3 * MIB)
            with pytest.raises(StoreFull, match="No space left"):
                put(store, "a", bytes(3 * MIB))
            assert staged(store.root) == []
            put(store, "b", bytes(MIB))
            assert (read(store, "a"), keys(store)) == (b"old", ["a", "b"])

    def test_a_directory_that_is_not_ours_is_denied(self, tmp_path: Path) -> None:
        put(DirectoryStore(tmp_path), "a/b", b"old")
        assert in_child(_call_as_somebody_else, tmp_path) == ["StoreDenied"] * 3
        assert read(DirectoryStore(tmp_path), "a/b") == b"old"

    def test_a_read_only_disk_is_denied(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", "2m"):
            store = DirectoryStore(tmp_path / "disk")
            put(store, "a", b"old")
            subprocess.run(["mount", "-o", "remount,ro", str(store.root)], check=True)
            with pytest.raises(StoreDenied, match=r"Read-only.* is on a disk that is mounted read-only$"):
                put(store, "a", b"new")
            with pytest.raises(StoreDenied, match="Read-only"):
                store.delete(["a"])
            assert read(store, "a") == b"old"

    def test_a_process_killed_between_writing_and_naming_leaves_a_staged_file_only(self, tmp_path: Path) -> None:
        with child(_stop_before_naming, tmp_path) as (process, answers):
            answer(answers)
            process.kill()
        assert keys(DirectoryStore(tmp_path)) == []
        (name,) = staged(tmp_path)
        assert (tmp_path / ".staging" / name).read_bytes() == b"complete, but nameless"


class TestDurability:
    """Seen through Python's own audit events: which folder is opened (to be synced) and what is renamed, in order."""

    def test_the_names_of_blobs_are_synced_before_the_pointer_is_named(self, tmp_path: Path) -> None:
        events = in_child(_watch_publishing, tmp_path)
        named = _last(events, f"rename {REFS}")
        shards = {f"blobs/sha256/{Sha256.of(body)[:2]}" for body in (b"one", b"two", b"seen")}
        assert shards | {"blobs/sha256"} <= set(events[:named])
        assert set(events[named + 1 :]) == {".", "hub", "hub/models", "hub/models/org--name"}

    def test_small_blobs_share_one_sync_that_comes_before_their_names(self, tmp_path: Path) -> None:
        events = in_child(_watch_publishing, tmp_path)
        before = events[: _last(events, f"rename {blob(b'two')}")]
        assert before[0] == ".staging"
        assert {event.split()[0] for event in before[1:]} == {"rename"}

    def test_a_removed_pointer_is_synced_at_once(self, tmp_path: Path) -> None:
        put(DirectoryStore(tmp_path), REFS, b"{}")
        assert in_child(_watch_removing, tmp_path) == [f"remove {REFS}", "hub/models/org--name"]


def _put_with_closed_umask(answers: Connection, root: Path) -> None:
    os.umask(0o077)
    store = DirectoryStore(root)
    put(store, "a/b/small", b"x")
    with store.begin("a/b/large", 1) as upload:
        upload.put(0, b"x")
        upload.complete()
    answers.send(None)


def _fill_with_limit(answers: Connection, root: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
    store = DirectoryStore(root)
    answers.send(
        [
            _outcome(lambda: put(store, "a", bytes(2 * MIB))),
            _outcome(lambda: store.begin("a", 2 * MIB)),
        ]
    )


def _call_as_somebody_else(answers: Connection, root: Path) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    else:
        for folder in (root / "a", root / ".staging"):
            folder.chmod(0)
    store = DirectoryStore(root)
    calls = (lambda: put(store, "a/b", b"new"), lambda: store.delete(["a/b"]), lambda: store.begin("a/b", 5))
    outcomes = [_outcome(call) for call in calls]
    if os.geteuid() != NOBODY:
        for folder in (root / "a", root / ".staging"):
            folder.chmod(0o755)
    answers.send(outcomes)


def _outcome(call: object) -> str:
    try:
        call()  # type: ignore[operator]
    except StoreError as error:
        return type(error).__name__
    return "done"


def _stop_before_naming(answers: Connection, root: Path) -> None:
    def hook(event: str, _: object) -> None:
        if event == "os.rename":
            answers.send(None)
            answers.recv()

    sys.addaudithook(hook)
    put(DirectoryStore(root), "a", b"complete, but nameless")


def _watch_publishing(answers: Connection, root: Path) -> None:
    other = DirectoryStore(root)
    put(other, blob(b"seen"), b"seen")
    assert other.stat(blob(b"seen"))  # now it has its name
    store = DirectoryStore(root)
    events = _watch(root)
    for body in (b"one", b"two"):
        put(store, blob(body), body)
    store.stat(blob(b"seen"))
    put(store, REFS, b"{}")
    answers.send(list(events))


def _watch_removing(answers: Connection, root: Path) -> None:
    store = DirectoryStore(root)
    events = _watch(root)
    store.delete([REFS])
    answers.send(list(events))


def _last(events: list[str], event: str) -> int:
    """Where it came last: a name is tried once more when its folder had to be made."""
    return len(events) - 1 - events[::-1].index(event)


def _watch(root: Path) -> list[str]:
    events: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        named = {"open": 0, "os.rename": 1, "os.remove": 0}
        if event in named and (path := Path(str(arguments[named[event]]))).is_relative_to(root):
            name = path.relative_to(root).as_posix()
            if event != "open":
                events.append(f"{event.removeprefix('os.')} {name}")
            elif path.is_dir():
                events.append(name)

    sys.addaudithook(hook)
    return events
