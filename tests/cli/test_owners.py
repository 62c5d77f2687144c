"""Nothing of root's is left in somebody else's folders, what is local is private, and who only looks writes nothing."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import mirror_sync
from mirror_sync.app.remembered import machine_word
from mirror_sync.domain.outcome.traffic import Reads, TrafficReport
from mirror_sync.owners import hindrance, state_hindrance, who_else_writes, write_anew
from mirror_sync.state.checkpoint_file import FileCheckpoint
from mirror_sync.state.pauses import Pauses
from mirror_sync.state.traffic_file import keep_traffic
from mirror_sync.state.tries import Try, write_tries
from tests.cli.program import CONFIG, Program

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


def test_root_promotes_a_replica_in_a_jobs_yaml_of_its_own_and_leaves_nothing_else(theirs: Program) -> None:
    """As the package has it: /etc/mirror-sync is root's, the state folder and the target are the daemon's."""
    etc, far = theirs.folder / "etc", theirs.folder / "far"
    for folder, owner in ((etc, 0), (far, SOMEBODY)):
        folder.mkdir(mode=0o755)
        os.chown(folder, owner, owner)
    replica = 'url: "file://FOLDER/mirror", replicas: [{name: far, url: "file://FOLDER/far"}]'
    jobs = theirs.write(CONFIG.replace('url: "file://FOLDER/mirror"', replica), "etc/jobs.yaml")
    text = jobs.read_text(encoding="utf-8").replace("state_dir: state", f"state_dir: {theirs.folder}/state")
    jobs.write_text(text, encoding="utf-8")
    assert theirs("-c", "etc/jobs.yaml", "sync", "good").code == 0
    done = theirs("-c", "etc/jobs.yaml", "target", "promote", "far")
    assert done.code == 0, done
    assert "is the target now" in done.out
    assert jobs.read_text(encoding="utf-8").count("far:") == 1
    assert owners(etc) == {0}
    assert owners(theirs.folder / "state", theirs.folder / "mirror", far) == {SOMEBODY}


@pytest.mark.parametrize("command", [["sync"], ["status"], ["plan"], ["verify"], ["pause", "good"]], ids=" ".join)
def test_root_becomes_the_owner_of_the_state_folder(theirs: Program, command: list[str]) -> None:
    assert theirs(*command).code in (0, 1)
    assert owners(theirs.folder / "state", theirs.folder / "mirror") == {SOMEBODY}
    assert theirs("sync", AS=str(SOMEBODY)).code == 1  # acme/gone is not there
    assert "not-written" not in theirs("sync", AS=str(SOMEBODY)).err


def test_root_becomes_nobody_who_cannot_read_the_program(theirs: Program) -> None:
    """As where Python or the program lies in root's home: said in a line, instead of a module that is not found."""
    private = theirs.folder / "private"
    private.mkdir(0o700)
    shutil.copytree(Path(mirror_sync.__file__).parent, private / "mirror_sync")
    shut_out = Program(theirs.folder, environ={"PYTHONPATH": str(private)})
    for command in ("sync", "status", "verify"):
        ended = shut_out(command)
        assert (ended.code, ended.out) == (2, "")
        said = f"root goes on as the owner of {theirs.folder / 'state'}, who cannot read this program: "
        assert ended.err.startswith(f"mirror-sync: {said}"), ended.err
        assert re.fullmatch(
            rf".* \(mode 0700\), and this runs as uid {SOMEBODY}; put it where .* may read it\n", ended.err
        )


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


@pytest.fixture
def bare(theirs: Program) -> Program:
    """Before the first run: neither a state folder nor a target."""
    (theirs.folder / "state").rmdir()
    return theirs


def test_a_first_run_of_root_is_the_owner_s_of_the_folder_above(bare: Program) -> None:
    assert bare("sync", "good").code == 0
    assert owners(bare.folder / "state", bare.folder / "mirror") == {SOMEBODY}
    assert bare("sync", "good", AS=str(SOMEBODY)).code == 0


def test_a_first_run_of_root_is_the_owner_s_of_the_target(bare: Program) -> None:
    """Only root may make a folder in the one above, as in /var/lib, and it makes one for the target's owner."""
    mirror, state = bare.folder / "mirror", bare.folder / "state"
    mirror.mkdir()
    os.chown(mirror, SOMEBODY, SOMEBODY)
    os.chown(bare.folder, 0, 0)
    assert bare("status").code == 0
    assert not state.exists(), "who only looks makes nothing"
    assert bare("sync", "good").code == 0
    assert owners(state, mirror) == {SOMEBODY}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert bare("sync", "good", AS=str(SOMEBODY)).code == 0


@pytest.mark.parametrize("kept", ["blobs", "hub"])
def test_a_first_run_of_root_shuts_itself_out_of_nothing_that_it_made_in_somebody_s_target(
    kept: str, bare: Program
) -> None:
    """As in a container whose state goes with it, while its target is a folder of the machine's."""
    mirror, state = bare.folder / "mirror", bare.folder / "state"
    os.chown(bare.folder, 0, 0)
    assert bare("sync", "good").code == 0
    shutil.rmtree(state)
    other = {"blobs": "hub", "hub": "blobs"}[kept]
    for path in (mirror, mirror / other, *(mirror / other).rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY)
    bare.add_repo("acme/one", weights="123456")
    assert bare("sync", "good").code == 0
    assert owners(state, mirror / kept) == {0}


def test_of_two_targets_of_a_first_run_the_one_that_is_all_its_owner_s_says_who_runs(tmp_path: Path) -> None:
    mixed, whole, elsewhere = (tmp_path / name for name in ("mixed", "whole", "elsewhere"))
    for folder in (mixed, whole, elsewhere, mixed / "blobs", whole / "hub"):
        folder.mkdir()
    os.chown(mixed, SOMEBODY, SOMEBODY)
    for folder in (whole, whole / "hub"):
        os.chown(folder, SOMEBODY + 1, SOMEBODY + 1)
    assert runs_as(tmp_path, mixed, whole) == SOMEBODY + 1
    assert runs_as(tmp_path, mixed) == 0
    (whole / "blobs").symlink_to(elsewhere)
    os.lchown(whole / "blobs", SOMEBODY + 1, SOMEBODY + 1)
    assert runs_as(tmp_path, whole) == SOMEBODY + 1, "a link of its owner's own makes nobody root there"


def runs_as(folder: Path, *targets: Path) -> int:
    """Who root is after it has looked at targets, and has no state folder yet."""
    script = "from mirror_sync.owners import become_owner; from pathlib import Path; import os, sys; "
    script += "become_owner(Path('state'), map(Path, sys.argv[1:]), reading=True); print(os.geteuid())"
    return int(Program(folder, start=("-c", script))(*map(str, targets)).out)


def test_a_first_run_of_root_in_its_own_folders_stays_root_s(bare: Program) -> None:
    (bare.folder / "mirror").mkdir()
    assert bare("sync", "good").code == 0, "the target is there, and says whose it is"
    assert owners(bare.folder / "state", bare.folder / "mirror") == {0}


def test_root_begins_behind_no_link_of_somebody_else(bare: Program) -> None:
    elsewhere, link = bare.folder / "elsewhere", bare.folder / "link"
    elsewhere.mkdir()
    link.symlink_to(elsewhere)
    os.lchown(link, SOMEBODY, SOMEBODY)
    bare.write(CONFIG.replace("state_dir: state", "state_dir: link/state"))
    ended = bare("sync", "good")
    assert (ended.code, [*elsewhere.iterdir()]) == (2, [])
    assert f"{link} belongs to uid {SOMEBODY} (mode 0777), and is a link, which root does not follow" in ended.err


def test_what_root_has_left_is_named_with_its_cause_and_what_to_do(theirs: Program) -> None:
    """One wording for a cause, whichever library met it."""
    state = theirs.folder / "state"
    os.chown(state, 0, 0)
    state.chmod(0o700)
    said = (
        f"Permission denied; {state} belongs to root (mode 0700), and this runs as uid {SOMEBODY}; "
        f"as root: chown -R {SOMEBODY} {state}\n"
    )
    for command in (["sync"], ["status"], ["trigger", "good"], ["pause", "good"]):
        ended = theirs(*command, AS=str(SOMEBODY))
        assert ended.code == 1, command
        assert ended.err.endswith(said), command
        assert "Errno" not in ended.err
        assert "unable to open" not in ended.err


def test_check_warns_of_what_a_sync_could_not_write(theirs: Program) -> None:
    (theirs.folder / "mirror").write_bytes(b"")
    state = theirs.folder / "state"
    os.chown(state, 0, 0)
    state.chmod(0o700)
    ended = theirs("check", AS=str(SOMEBODY))
    assert ended.code == 0
    why = f"{state} belongs to root (mode 0700), and this runs as uid {SOMEBODY}; as root: chown -R {SOMEBODY} {state}"
    assert f"warning: state_dir: {state} cannot be written: {why}\n" in ended.err
    assert f"warning: target disk: {theirs.folder / 'mirror'} is a file; name a folder\n" in ended.err


def test_a_jobs_yaml_that_cannot_be_read_is_named_with_its_owner_and_no_line(theirs: Program) -> None:
    jobs = theirs.folder / "jobs.yaml"
    jobs.chmod(0o600)
    ended = theirs("sync", AS=str(SOMEBODY))
    assert ended.code == 2
    assert ended.err == (
        f"jobs.yaml: the file cannot be read: Permission denied; {jobs} belongs to root (mode 0600), and this runs as "
        f"uid {SOMEBODY}; as root: chown {SOMEBODY} {jobs}\n"
    )


@pytest.mark.parametrize(
    ("uid", "mode", "path", "right"),
    [
        (0, 0o700, "kept/file", "as root: chown -R {me} {kept}"),
        (0, 0o755, "kept", "as root: chown -R {me} {kept}"),
        (SOMEBODY + 1, 0o755, "kept", "run it as {other}, or as root: chown -R {me} {kept}"),
        (SOMEBODY, 0o500, "kept", "chmod u+rwX {kept}"),
        (0, 0o755, "/var/lib/of-nobody-s", "name another folder, or run it as root"),
    ],
)
def test_what_to_do_about_a_folder_that_cannot_be_written(
    uid: int, mode: int, path: str, right: str, theirs: Program
) -> None:
    kept = theirs.folder / "kept"
    kept.mkdir()
    kept.chmod(mode)
    os.chown(kept, uid, uid)
    script = f"from mirror_sync.owners import hindrance; from pathlib import Path; import os; os.setresuid({SOMEBODY}, "
    script += f"{SOMEBODY}, {SOMEBODY}); print(hindrance(Path({str(theirs.folder / path)!r})))"
    told = Program(theirs.folder, start=("-c", script))().out.strip()
    assert told.endswith("; " + right.format(me=SOMEBODY, other=SOMEBODY + 1, kept=kept))


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


def test_root_writes_into_no_folder_of_its_own_that_everybody_may_write_into(tmp_path: Path) -> None:
    program, state = fill(tmp_path), tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    for command in ("sync", "daemon"):
        ended = program(command)
        assert ended.code == 2
        assert f"everybody may write into it, and root does not: {state} belongs to root (mode 0777)" in ended.err
    assert not [*state.iterdir()]
    checked = program("check")
    assert (checked.code, (checked.out + checked.err).count("everybody may write into it, and replace")) == (0, 1)
    state.chmod(0o1777)
    assert "may write" not in program("sync", "good").err
    assert (state / "history.db").exists()


def test_a_state_folder_that_a_group_shares_is_used_and_told(tmp_path: Path) -> None:
    program, state = fill(tmp_path), tmp_path / "state"
    state.mkdir()
    os.chown(state, -1, SOMEBODY)
    state.chmod(0o775)
    assert program("sync", "good").code == 0
    checked = program("check")
    said = (
        f"the group {SOMEBODY} may write into it, and replace what is kept there: {state} belongs to root (mode 0775)"
    )
    assert (checked.code, f"{said}; chmod g-w {state}" in checked.out + checked.err) == (0, True)


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "who"),
    [
        (0, 0, 0o700, ""),
        (0, 0, 0o775, ""),  # root's own group, and nobody else is in it
        (0, SOMEBODY, 0o755, ""),
        (0, SOMEBODY, 0o770, f"the group {SOMEBODY}"),
        (0, 1, 0o770, "the group daemon"),
        (SOMEBODY, SOMEBODY, 0o775, f"the group {SOMEBODY}"),
        (0, 0, 0o777, "everybody"),
        (0, 0, 0o702, "everybody"),
        (0, SOMEBODY, 0o1777, ""),
    ],
)
def test_who_else_may_write_in_a_folder(uid: int, gid: int, mode: int, who: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    os.chown(folder, uid, gid)
    folder.chmod(mode)
    assert who_else_writes(folder) == who
    assert who_else_writes(tmp_path / "none") == ""


def test_no_file_of_the_state_folder_is_written_through_a_link(tmp_path: Path) -> None:
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    state.mkdir()
    elsewhere.write_text("as it was", encoding="utf-8")
    kept = ("tries.json", "paused.json", "traffic-disk.json", "machine", "verify.json")
    new = ("tries.new", "paused.new", "traffic-disk.json.new", "machine.new", f".verify.json.{os.getpid()}")
    for name in (*kept, *new):
        (state / name).symlink_to(elsewhere)
    write_tries(state, [Try("job", None, datetime.now(UTC), 1)])
    Pauses(state).pause("job", None)
    at = datetime.now(UTC)
    keep_traffic(state, "disk", TrafficReport(at, at, {}, {at.date(): Reads(1, 1, {"client"})}, {}, (), None, 0))
    FileCheckpoint(state / "verify.json").save({"round": 1}, [])
    machine_word(state)
    assert elsewhere.read_text(encoding="utf-8") == "as it was"
    assert not [name for name in kept if (state / name).is_symlink()]
    assert {path.name for path in state.iterdir()} <= {*kept, *new, "paused.json.lock", "machine.lock"}


def test_what_a_killed_writer_has_left_is_swept_after_a_day_and_nothing_else(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "tries.json", tmp_path / "elsewhere"
    elsewhere.touch()
    names = {one: f".{path.name}.{one * 16}" for one in "012345"}
    for one in "013":
        (tmp_path / names[one]).touch()
    (tmp_path / names["2"]).symlink_to(elsewhere)
    (tmp_path / names["4"]).mkdir()
    (tmp_path / f"{names['5']}0").touch()  # nobody's name
    os.chown(tmp_path / names["3"], SOMEBODY, SOMEBODY)
    for name in (elsewhere.name, *(names[one] for one in "0234"), f"{names['5']}0"):
        os.utime(tmp_path / name, (0, 0), follow_symlinks=False)
    write_anew(path, "new")
    kept = {path.name, elsewhere.name, *(names[one] for one in "1234"), f"{names['5']}0"}
    assert {left.name for left in tmp_path.iterdir()} == kept
    assert path.read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("name", ["history.db", "history.db-wal"])
def test_the_history_is_not_written_through_somebody_else_s_link(name: str, tmp_path: Path) -> None:
    program, state, elsewhere = fill(tmp_path), tmp_path / "state", tmp_path / "elsewhere"
    state.mkdir()
    (state / name).symlink_to(elsewhere)
    os.lchown(state / name, SOMEBODY, SOMEBODY)
    ended = program("sync", "good")
    assert f"{state / name} belongs to uid {SOMEBODY} (mode 0777), and is a link, which is not followed" in ended.err
    assert not elsewhere.exists()
    os.lchown(state / name, 0, 0)
    assert "is not followed" not in program("sync", "good").err


def test_what_we_may_write_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert hindrance(tmp_path / "file", tmp_path / "new" / "file") == ""
    assert state_hindrance(tmp_path) == ""
