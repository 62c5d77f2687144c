"""`mirror-sync audit`, as a person, a script and an auditor call it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from mirror_sync.cli.invocation import caller
from tests.cli.program import Program

CONFIG = """\
version: 1
state_dir: state
upstreams:
  local: {kind: directory, url: "file://FOLDER/upstream"}
targets:
  disk: {url: "file://FOLDER/mirror"}
  spare: {url: "file://FOLDER/spare"}
defaults: {upstream: local, target: disk}
licenses: {allow: [mit]}
site: {enabled: false}
jobs:
  - {name: good, repos: [acme/one, acme/two]}
  - {name: spare, repos: [acme/two], target: spare}
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path)
    made.write(CONFIG)
    for name in ("acme/one", "acme/two"):
        made.add_repo(name)
    assert made("sync").code == 0
    return made


def segments(program: Program) -> list[Path]:
    return sorted((program.folder / "mirror" / "audit").glob("*/*.jsonl"))


def test_a_person_sees_who_did_what_and_that_it_is_not_signed(program: Program) -> None:
    ended = program("audit", "--target", "disk")
    assert ended.code == 0
    assert re.search(r"^\S+Z  \S+@\S+ +publish +[0-9a-f]{8}  acme/one@main$", ended.out, re.MULTILINE), ended.out
    assert "3 acts in target disk, by 1 machine." in ended.out
    assert "not signed: whoever may write to the target could write" in ended.out


def test_a_script_gets_all_keys_and_one_repo_or_a_time_alone(program: Program) -> None:
    every = json.loads(program("audit", "--target", "disk", "--json").out)
    assert (every["target"], every["machines"], every["faults"]) == ("disk", 1, [])
    assert [act["verb"] for act in every["acts"]] == ["config-change", "publish", "publish"]
    assert all(act.keys() == every["acts"][0].keys() for act in every["acts"])
    one = json.loads(program("audit", "--target", "disk", "--repo", "acme/two", "--since", "7d", "--json").out)
    assert [act["repo"] for act in one["acts"]] == ["acme/two"]
    assert json.loads(program("audit", "--target", "spare", "--json").out)["acts"][-1]["job"] == "spare"


def test_the_proof_says_that_nothing_is_missing(program: Program) -> None:
    ended = program("audit", "--verify", "--target", "disk")
    assert ended.code == 0
    assert ended.out.startswith("2 segments by 1 machine in target disk: nothing is missing, and nothing was changed.")
    said = json.loads(program("audit", "--verify", "--target", "disk", "--json").out)
    assert said == {
        "ok": True,
        "target": "disk",
        "machines": 1,
        "segments": 2,
        "unsigned": 2,
        "waiting": 0,
        "checked": False,
        "faults": [],
    }


def test_each_fault_is_a_line_and_the_end_is_compared_with_what_this_machine_noted(program: Program) -> None:
    first, last = segments(program)
    kept = first.read_bytes()
    first.chmod(0o644)
    first.write_bytes(kept.replace(b"config-change", b"config-chance"))
    ended = program("audit", "--verify", "--target", "disk")
    assert ended.code == 1
    assert re.match(r"audit/\w+/0000000002\.jsonl: it follows a segment of digest \w+, and", ended.out), ended.out
    first.write_bytes(kept)
    last.unlink()
    ended = program("audit", "--verify", "--target", "disk")
    assert (ended.code, "the end of the chain is cut off: the last one is 1" in ended.out) == (1, True)
    first.unlink()
    ended = program("audit", "--verify", "--target", "disk")
    assert (ended.code, "nothing of it is there" in ended.out) == (1, True)


def test_what_lies_there_and_is_no_segment_is_told(program: Program) -> None:
    (program.folder / "mirror" / "audit" / "notes.txt").write_text("x", encoding="utf-8")
    assert "audit/notes.txt: no segment of an audit" in program("audit", "--verify", "--target", "disk").out
    segments(program)[1].chmod(0o644)
    segments(program)[1].write_bytes(b"\xff\n{}\n")
    ended = program("audit", "--target", "disk")
    assert (ended.code, "line 2 is no act" in ended.out) == (1, True)


def test_a_segment_that_cannot_be_read_hides_no_other_one(program: Program) -> None:
    stranger = program.folder / "mirror" / "audit" / ("0" * 12) / "0000000001.jsonl"
    stranger.parent.mkdir()
    stranger.touch()
    os.truncate(stranger, 17 << 20)
    ended = program("audit", "--target", "disk", "--json")
    told = json.loads(ended.out)
    assert (ended.code, [act["verb"] for act in told["acts"]]) == (1, ["config-change", "publish", "publish"])
    (fault,) = told["faults"]
    assert fault.startswith("audit/000000000000/0000000001.jsonl: cannot be read: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--verify", "--since", "7d"], "leave out --since and --repo"),
        (["--since", "soon"], "--since: 'soon' is no date and no duration"),
        (["--repo", "nothing at all"], "is no repo id"),
        ([], "has several targets: choose one with --target"),
        (["--target", "other"], "has no target 'other'"),
    ],
)
def test_what_cannot_be_meant_is_bad_usage(program: Program, words: list[str], said: str) -> None:
    ended = program("audit", *words)
    assert (ended.code, said in ended.err) == (2, True), ended.err


def test_nothing_is_written_to_read_an_audit(program: Program) -> None:
    before = sorted(path for path in (program.folder / "state").rglob("*"))
    assert program("audit", "--verify", "--target", "disk").code == 0
    assert sorted(path for path in (program.folder / "state").rglob("*")) == before


def test_a_target_without_an_audit_is_said_to_have_none(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.write(CONFIG)
    (tmp_path / "upstream").mkdir()
    ended = program("audit", "--verify", "--target", "disk")
    assert (ended.code, ended.out) == (0, "Target disk has no audit yet.\n")


def test_an_actor_is_the_user_on_this_host_and_who_that_was_before_sudo() -> None:
    user = caller({})
    assert user.kind == "user"
    name, _, host = user.name.partition("@")
    assert name
    assert host
    assert caller({"SUDO_USER": "alice"}).name == f"alice as {name}@{host}"
    assert caller({"SUDO_USER": name}).name == user.name
