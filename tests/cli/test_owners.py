"""Nothing of root's is left in somebody else's folders, what is local is private, and who only looks writes nothing."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.owners import hindrance, state_hindrance
from tests.cli.program import Program

SOMEBODY = 60123  # a user who owns nothing else, and has no name
READING = (["status"], ["status", "--json"], ["status", "acme/one"], ["plan"], ["prune", "--dry-run"])


def fill(folder: Path) -> Program:
    made = Program(folder, start=("-m", "tests.cli.owned"))
    made.write()
    made.add_repo("acme/one", weights="12345")
    made.add_repo("acme/closed", "cc-by-nc-4.0")
    return made


@pytest.fixture
def theirs() -> Iterator[Program]:
    """A folder of somebody who is not root, which they can reach."""
    if os.geteuid() != 0:
        pytest.fail("these laws are about root, which continuous integration is")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    try:
        made = fill(folder)
        (folder / "state").mkdir()
        os.chown(folder, SOMEBODY, SOMEBODY)
        os.chown(folder / "state", SOMEBODY, SOMEBODY)
        yield made
    finally:
        shutil.rmtree(folder)


def tree(*folders: Path) -> dict[str, tuple[int, int, int]]:
    """Every name below with its size, time and owner."""
    found = [path for folder in folders for path in [folder, *folder.rglob("*")] if path.exists()]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns, path.lstat().st_uid) for path in found}


def owners(*folders: Path) -> set[int]:
    return {uid for _, _, uid in tree(*folders).values()}


def test_root_follows_no_link_of_somebody_else_to_a_state_folder(theirs: Program) -> None:
    state, elsewhere = theirs.folder / "state", theirs.folder / "elsewhere"
    elsewhere.mkdir()
    state.rmdir()
    state.symlink_to(elsewhere)
    os.lchown(state, SOMEBODY, SOMEBODY)
    found = theirs("sync")
    assert found.code == 2
    assert "is a link, which root does not follow" in found.err
    assert not [*elsewhere.iterdir()]


@pytest.mark.parametrize("command", [["sync"], ["status"], ["plan"], ["verify"], ["pause", "good"]], ids=" ".join)
def test_root_becomes_the_owner_of_the_state_folder(theirs: Program, command: list[str]) -> None:
    assert theirs(*command).code in (0, 1)
    assert owners(theirs.folder / "state", theirs.folder / "mirror") == {SOMEBODY}
    assert theirs("sync", AS=str(SOMEBODY)).code == 1  # acme/gone is not there
    assert "not-written" not in theirs("sync", AS=str(SOMEBODY)).err


def test_what_root_has_left_is_named_with_its_owner_and_mode(theirs: Program) -> None:
    theirs("sync")
    history = theirs.folder / "state" / "history.db"
    os.chown(history, 0, 0)
    said = theirs("sync", AS=str(SOMEBODY)).err
    assert f"{history} belongs to root (mode 0644), and this runs as uid {SOMEBODY}" in said


def test_a_blob_that_cannot_be_written_names_the_folder_that_is_another_s(theirs: Program) -> None:
    theirs("sync")
    blobs = theirs.folder / "mirror" / "blobs" / "sha256"
    for folder in (blobs, *blobs.iterdir()):
        os.chown(folder, 0, 0)
    theirs.add_repo("acme/one", weights="123456")
    ended = theirs("sync", "good", AS=str(SOMEBODY))
    assert ended.code == 1
    assert re.search(rf"{blobs}(/..)? belongs to root \(mode 0755\), and this runs as uid {SOMEBODY}", ended.err)


def test_a_state_folder_of_root_is_told_to_who_may_not_write_it(theirs: Program) -> None:
    state = theirs.folder / "state"
    os.chown(state, 0, 0)
    state.chmod(0o700)
    ended = theirs("sync", AS=str(SOMEBODY))
    assert ended.code == 1
    assert f"{state} belongs to root (mode 0700)" in ended.err


def test_whoever_only_looks_writes_nothing(tmp_path: Path) -> None:
    program = fill(tmp_path)
    for command in READING:
        program(*command)
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "mirror").exists()
    program("sync")
    before = tree(tmp_path / "state", tmp_path / "mirror")
    for command in (*READING, ["diff", "acme/one"]):
        program(*command)
        assert tree(tmp_path / "state", tmp_path / "mirror") == before, command


def test_who_looks_sees_what_a_run_has_written(tmp_path: Path) -> None:
    program = fill(tmp_path)
    program("sync")
    assert "published" in program("status").out
    assert "unchanged" in program("plan").out


def test_a_state_folder_that_we_make_is_private_and_one_that_others_may_look_into_is_told(tmp_path: Path) -> None:
    program = fill(tmp_path)
    program("sync")
    state = tmp_path / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert "others may look into it" not in program("check").out
    state.chmod(0o755)
    checked = program("check")
    assert checked.code == 0
    assert (
        f"others may look into it: {state} belongs to root (mode 0755); chmod 0700 {state}" in checked.out + checked.err
    )


def test_what_we_may_write_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert hindrance(tmp_path / "file", tmp_path / "new" / "file") == ""
    assert state_hindrance(tmp_path) == ""
