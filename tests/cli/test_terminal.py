"""Nothing that others wrote rules the terminal of who looks: neither in tables, nor in JSON, nor in a traceback."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator

import pytest

from tests.cli.program import Program
from tests.cli.test_webhooks import write
from tests.standin import Hub

C1, DEL, TURNED = "\x9b31m", "\x7f", "\u202e"
HOSTILE = f"cc{C1}{DEL}{TURNED}x"


def rules(text: str) -> set[str]:
    """The characters of a text that a terminal would obey."""
    return {char for char in text if unicodedata.category(char) in ("Cc", "Cf") and char != "\n"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


def test_tables_and_sentences_show_what_others_wrote_and_obey_nothing_of_it(program: Program) -> None:
    program.add_repo("acme/closed", json.dumps(HOSTILE))
    for command in (["sync"], ["plan"], ["status"], ["status", "acme/closed"], ["status", "-v"]):
        ended = program(*command)
        assert rules(ended.out + ended.err) == set(), command
    assert "\\x9b31m\\x7f\\u202e" in program("status").out


def test_json_escapes_what_is_not_printable_and_means_the_same(program: Program) -> None:
    program.add_repo("acme/closed", json.dumps(HOSTILE))
    out = program("sync", "--json").out
    assert rules(out) == set()
    (reason,) = [repo["reason"] for repo in json.loads(out)["repos"] if repo["repo"] == "acme/closed"]
    assert HOSTILE in reason
    assert "\\u009b31m\\u007f\\u202e" in out


def test_webhooks_of_others_are_listed_and_obeyed_in_nothing(program: Program, hub: Hub) -> None:
    write(program, hub, hub.token("hf_valid"))
    program("webhooks", "create", "--url", "https://mirror.example.org/webhook")
    hub.world.webhooks[0]["url"] = f"https://x.example/{HOSTILE}\nhub: 9 webhooks"
    hub.world.webhooks[0]["watched"] = [{"type": "org", "name": f"a{TURNED}b"}]
    out = program("webhooks", "list").out
    assert rules(out) == set()
    assert len(out.splitlines()) == 2


def test_a_traceback_rules_no_terminal(program: Program) -> None:
    broken = Program(program.folder, start=("-m", "tests.cli.slow"))
    ended = broken("--debug", "sync", BROKEN=HOSTILE)
    assert "Traceback" in ended.err
    assert rules(ended.err) == set()
