"""Hooks of jobs.yaml are called once for a change of state, also by runs in several processes."""

from __future__ import annotations

import json
import shutil
from typing import Any

from tests.cli.program import CONFIG, Program


def told(program: Program) -> list[dict[str, Any]]:
    path = program.folder / "told"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_repo_that_fails_and_recovers_is_told_of_once_each(program: Program) -> None:
    word = '[{run: [sh, -c, "cat >> told; echo >> told"]}]'
    hooks = f"on: {{failed: {word}, recovered: {word}, held: {word}}}\n"
    program.write(hooks + CONFIG.replace("acme/one", "acme/away"))
    for _ in range(2):
        assert program("sync", "good").code == 1
    assert [(each["event"], each["repo"]) for each in told(program)] == [("failed", "acme/away")]
    shutil.copytree(program.folder / "upstream/acme/one", program.folder / "upstream/acme/away")
    for _ in range(2):
        assert program("sync", "good").code == 0
    assert [(each["event"], each["before"]) for each in told(program)] == [("failed", None), ("recovered", "failed")]
    assert told(program)[1]["outcome"] == "published"


def test_a_first_publication_is_told_to_those_who_asked(program: Program) -> None:
    program.write('on: {published: [{run: [sh, -c, "cat >> told; echo >> told"]}]}\n' + CONFIG)
    for _ in range(2):
        assert program("sync", "good").code == 0
    assert [(each["event"], each["repo"], each["files"]) for each in told(program)] == [("published", "acme/one", 2)]


def test_a_bad_hook_is_one_line_with_its_place_and_no_part_of_an_address(program: Program) -> None:
    bad = "on:\n  failed: [{post: 'hooks.example.org/secretpart'}]\n  held: [{run: []}]\n  gone: []\n"
    program.write(bad + CONFIG)
    ended = program("check")
    assert ended.code == 2
    assert "on.failed[0].post: is no address; write https://hooks.example.org/..." in ended.err
    assert "on.held[0].run: " in ended.err
    assert "on.gone: this key is not known" in ended.err
    assert "secretpart" not in ended.err
