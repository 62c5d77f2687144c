"""`diff` shows what changed between two mirrored snapshots, in a table or as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.program import CONFIG, Program
from tests.standin import Hub


@pytest.fixture
def program(tmp_path: Path, hub: Hub) -> Program:
    """A program whose target holds two snapshots of a repo."""
    made = Program(tmp_path)
    config = CONFIG.replace(
        'kind: directory, url: "file://FOLDER/upstream"', f"kind: huggingface, endpoints: [{hub.url}]"
    )
    made.write(config.replace("  - {name: bad, repos: [acme/closed, acme/gone]}\n", ""))
    repo = hub.model("acme/one", license="mit")
    for files in ({"old": b"1", "weights": b"2", "same": b"0"}, {"new": b"333", "weights": b"22"}):
        repo.commit(files, delete=["old"] if "new" in files else [])
        assert made("sync").code == 0
    return made


def test_a_line_for_each_file_that_changed_and_one_for_all(program: Program) -> None:
    ended = program("diff", "acme/one")
    assert ended.code == 0, ended.err
    *table, total = ended.out.splitlines()
    assert [line.split() for line in table] == [
        ["STATE", "BEFORE", "AFTER", "FILE"],
        ["added", "-", "3", "B", "new"],
        ["removed", "1", "B", "-", "old"],
        ["changed", "1", "B", "2", "B", "weights"],
    ]
    assert re.fullmatch(
        r"acme/one from [0-9a-f]{8} to [0-9a-f]{8}: 1 added, 1 changed, 1 removed, 1 file as before; 3 B more\.", total
    )


def test_json_names_both_sides_of_every_file(program: Program) -> None:
    found = json.loads(program("diff", "acme/one", "--json").out)
    assert (found["repo"], found["same_files"], found["growth_bytes"]) == ("acme/one", 1, 3)
    assert [(change["path"], change["state"]) for change in found["changes"]] == [
        ("new", "added"),
        ("old", "removed"),
        ("weights", "changed"),
    ]
    assert found["changes"][0]["before"] is None
    assert found["changes"][2]["after"]["size"] == 2
    back = json.loads(program("diff", "acme/one", found["after"], found["before"], "--json").out)
    assert (back["before"], back["growth_bytes"]) == (found["after"], -3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("acme/none",), "nothing of acme/none is mirrored"),
        (("acme/one", "v9"), "'v9' of acme/one is not mirrored; mirrored are: main, "),
        (("datasets/acme/one",), "write dataset:acme/one"),
    ],
)
def test_what_is_not_there_is_one_line_and_bad_usage(program: Program, arguments: tuple[str, ...], said: str) -> None:
    ended = program("diff", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
