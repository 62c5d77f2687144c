"""What is held is shown with what lets it go, and what a person decides counts from the next sync on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import Program

JOBS = """\
state_dir: state
upstreams: {local: {kind: directory, url: "file://FOLDER/upstream"}}
targets: {disk: {url: "file://FOLDER/mirror"}}
licenses: {allow: [mit]}
decisions: ./decisions.yaml
policy:
  forbidden: [acme/never]
  restricted: ["acme/*", {repos: acme/pinned, pin: true}]
jobs:
  - {name: all, repos: ["acme/*"]}
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path)
    made.write(JOBS)
    for name in ("one", "two", "pinned", "never"):
        made.add_repo(f"acme/{name}")
    return made


def held(program: Program, *options: str) -> dict[str, dict[str, str]]:
    return {one["repo"]: one for one in json.loads(program("holds", "--json", *options).out)["holds"]}


def decisions(program: Program) -> str:
    return (program.folder / "decisions.yaml").read_text(encoding="utf-8")


def test_what_is_held_goes_on_when_its_command_was_called_and_not_before(program: Program) -> None:
    assert "'decisions.yaml' is not there: nothing is decided yet" in program("check").err
    assert program("sync").code == 0
    found = held(program)
    assert set(found) == {"acme/one", "acme/two", "acme/pinned"}
    one = found["acme/one"]
    assert (one["rule"], one["code"], one["job"], len(one["commit"])) == ("restricted", "restricted", "all", 40)
    assert one["command"] == f"mirror-sync approve acme/one@{one['commit']} --why TEXT"
    assert one["since"]
    for shown in (program("holds").out, program("status").out, program("plan").out):
        assert one["command"] in shown
    assert held(program, "--job", "all") == found
    assert "has no job 'none'" in program("holds", "--job", "none").err
    said = program(*one["command"].replace("TEXT", "read").split()[1:], "--by", "Ada")
    assert said.code == 0
    assert f"approved acme/one ({one['commit']}), rule restricted, by Ada." in said.out
    assert "committed nowhere; it counts from the next sync on" in said.out
    decided = held(program)["acme/one"]
    assert (decided["command"], decided["decided"]) == ("", "approved by Ada: read: it counts at the next sync")
    assert "approved by Ada: read: it counts at the next sync" in " ".join(program("holds").out.split())
    again = program("approve", f"acme/one@{one['commit'][:9]}", "--why", "read", "--by", "Ada")
    assert "says so already" in again.out
    assert decisions(program).count("acme/one") == 1
    assert program("sync").code == 0
    assert set(held(program)) == {"acme/two", "acme/pinned"}
    assert "complete: 1 of 4" in program("status").out


def test_without_a_commit_the_one_is_meant_that_is_held_now(program: Program) -> None:
    program("sync")
    commit = held(program)["acme/two"]["commit"]
    assert program("approve", "acme/two", "--why", "ok", "--until", "2999-01-31", "--ticket", "L-1").code == 0
    assert f'commit: "{commit}"' in decisions(program)
    assert "until: 2999-01-31" in decisions(program)
    assert program("reject", "acme/one", "--why", "no", "--by", "Ada").code == 0
    assert held(program)["acme/one"]["decided"] == "rejected by Ada: no: the next sync refuses it"
    assert held(program)["acme/pinned"]["decided"] == ""
    program("sync")
    assert "rejected by Ada: no" in program("status").out
    assert set(held(program)) == {"acme/pinned"}


WRONG = [
    (
        ("approve", "acme/tow"),
        "acme/tow is not held, as far as this machine and its target know; did you mean acme/two",
    ),
    (("approve", "acm/one"), "acm/one: no job of jobs.yaml names it; did you mean acme/one"),
    (("approve", "acme/*"), "acme/* is a glob; approve one repo, like acme/one"),
    (("reject", "acme/*"), "acme/* is a glob, of no one commit; write --any"),
    (
        ("approve", "acme/never", "--any", "--rule", "licence"),
        "policy.forbidden has acme/never, and no decision lifts",
    ),
    (
        ("approve", "acme/one", "--rule", "foo"),
        "there is no rule 'foo'; the rules are restricted, forbidden, licence, formats, scan, cooldown",
    ),
    (("approve", "acme/one", "--rule", "forbidden"), "no decision lifts policy.forbidden; choose another --rule"),
    (("approve", "acme/pinned", "--any"), "policy.restricted pins acme/pinned: write acme/pinned@COMMIT"),
    (("approve", "acme/one@abcdef0"), "abcdef0 is no commit of acme/one that is held; write acme/one@"),
    (("approve", "acme/one@"), "names no commit"),
    (("approve", "acme/one@" + "1" * 40, "--any"), "names a commit beside --any"),
    (("approve", "acme/one", "--until", "soon"), "--until: 'soon' is no day; write 2027-01-31"),
    (("approve", "acme/one", "--until", "2020-01-01"), "--until is over already"),
    (("approve", "not a repo"), "is no repo id"),
]


def test_what_cannot_be_decided_is_one_line_that_says_what_would_be_right(program: Program) -> None:
    program("sync")
    for call, said in WRONG:
        ended = program(*call, "--why", "x")
        assert (ended.code, said in ended.err) == (2, True), ended.err
        assert len(ended.err.strip().splitlines()) == 1
    assert not (program.folder / "decisions.yaml").exists()


def test_a_rejection_of_a_glob_comes_before_an_approval_and_names_its_place(program: Program) -> None:
    program("sync")
    assert program("reject", "acme/t*", "--any", "--why", "no").code == 0
    refused = program("approve", "acme/two", "--why", "yes")
    assert refused.code == 2
    assert "decisions.yaml:4 rejects acme/t*, which always wins: remove that entry first" in refused.err


def test_another_machine_decides_by_what_the_target_remembers(program: Program) -> None:
    program("sync")
    commit = held(program)["acme/one"]["commit"]
    (program.folder / "jobs.yaml").write_text(
        JOBS.replace("state_dir: state", "state_dir: other").replace("FOLDER", str(program.folder)), encoding="utf-8"
    )
    assert held(program) == {}
    assert program("approve", "acme/one", "--why", "ok").code == 0
    assert commit in decisions(program)


def test_without_a_file_for_it_nothing_is_decided_and_nothing_new_is_shown(program: Program) -> None:
    text = (program.folder / "jobs.yaml").read_text(encoding="utf-8")
    (program.folder / "jobs.yaml").write_text(text.replace("decisions: ./decisions.yaml\n", ""), encoding="utf-8")
    program("sync")
    assert "approve" not in program("status").out + program("plan").out
    ended = program("approve", "acme/one", "--why", "x")
    assert (ended.code, "names no file for decisions; write decisions: ./decisions.yaml" in ended.err) == (2, True)


def test_a_broken_file_is_refused_by_all_with_its_place(program: Program) -> None:
    program("sync")
    path = program.folder / "decisions.yaml"
    path.write_text("version: 1\ndecisions:\n- {repo: acme/one, comit: any}\n", encoding="utf-8")
    before = path.read_bytes()
    for call in (("check",), ("sync",), ("approve", "acme/two", "--why", "x")):
        ended = program(*call)
        assert ended.code == 2
        assert "decisions.yaml:3:20: decisions[0].comit: this key is not known; did you mean commit?" in ended.err
    assert path.read_bytes() == before
