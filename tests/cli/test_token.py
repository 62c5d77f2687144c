"""A token is shown once, kept as its digest, and ended by its name; the audit has who made it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mirror_sync.domain.access.access_tokens import AccessTokens, digest_of
from tests.cli.program import CONFIG, Program

ACCESS = "access: {roles: {dev: {read: ['acme/*']}}, tokens: ./keys/tokens.yaml}\n"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path)
    made.write(CONFIG + ACCESS)
    made.add_repo("acme/one")
    return made


def test_a_token_is_printed_once_and_its_digest_is_kept(program: Program) -> None:
    made = program("token", "new", "ci", "--role", "dev", "--expires", "90d", "--networks", "10.0.0.0/8,2001:db8::/32")
    token = made.out.strip()
    assert (made.code, re.fullmatch(r"hf_[A-Za-z0-9]{37}", token) is not None) == (0, True)
    assert token not in made.err
    text = (program.folder / "keys/tokens.yaml").read_text("ascii")
    assert token not in text
    [kept] = AccessTokens.decode(text.encode()).every
    assert (kept.name, kept.digest, kept.networks) == ("ci", digest_of(token), ("10.0.0.0/8", "2001:db8::/32"))
    [listed] = json.loads(program("token", "list", "--json").out)["tokens"]
    assert (listed["name"], listed["role"], listed["state"]) == ("ci", "dev", "good")


def test_a_name_is_taken_until_its_token_is_revoked_and_both_are_in_the_audit_of_the_next_run(program: Program) -> None:
    assert program("token", "new", "ci", "--role", "dev").code == 0
    again = program("token", "new", "ci", "--role", "dev")
    assert (again.code, "has a token 'ci'" in again.err) == (2, True)
    assert program("token", "revoke", "ci").out.startswith("token ci is revoked")
    assert "already" in program("token", "revoke", "ci").out
    assert program("token", "new", "ci", "--role", "dev").code == 0
    program("sync", "good")
    acts = json.loads(program("audit", "--json").out)["acts"]
    told = [(one["verb"], one["reason"]) for one in acts if one["verb"].startswith("token-")]
    assert [verb for verb, _ in told] == ["token-new", "token-revoke", "token-new"]
    assert all(reason.startswith("ci") and ", by " in reason for _, reason in told)
    program("sync", "good")
    assert json.loads(program("audit", "--json").out)["acts"].__len__() == len(acts)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new", "ci", "--role", "ops"), "has no role 'ops'; it has: dev"),
        (("new", "a b", "--role", "dev"), "'a b' is no name"),
        (("new", "ci", "--role", "dev", "--expires", "soon"), "soon"),
        (("new", "ci", "--role", "dev", "--networks", "10.0.0.1/8"), "is no network"),
        (("revoke", "nobody"), "has no token 'nobody'"),
    ],
)
def test_what_cannot_be_is_said_with_what_would_be_right(
    program: Program, arguments: tuple[str, ...], said: str
) -> None:
    ended = program("token", *arguments)
    assert (ended.code, said in ended.err, ended.out) == (2, True, "")


def test_a_broken_file_is_named_with_its_line_and_never_written_over(program: Program) -> None:
    file = program.folder / "keys/tokens.yaml"
    file.parent.mkdir()
    file.write_text("version: 1\ntokens:\n- {name: mine}\n")
    ended = program("token", "new", "ci", "--role", "dev")
    assert (ended.code, "line 3" in ended.err) == (2, True)
    assert "mine" in file.read_text()


def test_without_a_file_the_key_is_said_that_names_one(program: Program) -> None:
    program.write(CONFIG)
    assert "access: {roles: ..., tokens: ./tokens.yaml}" in program("token", "list").err
