"""A run that is stopped says what it did and what it did not, whichever of its jobs it had begun."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest

from tests.cli.program import CONFIG, PATIENCE, Program
from tests.standin import Hub, Request

JOBS = """\
  - {name: first, repos: [acme/one, acme/more]}
  - {name: second, repos: [acme/two]}
  - {name: third, repos: [acme/two]}
"""


@pytest.fixture
def program(tmp_path: Path, hub: Hub) -> Program:
    """A program with three jobs over the stand-in Hub."""
    made = Program(tmp_path)
    config = CONFIG.replace(
        'kind: directory, url: "file://FOLDER/upstream"', f"kind: huggingface, endpoints: [{hub.url}]"
    )
    made.write(config.partition("  - ")[0] + JOBS)
    for name in ("acme/one", "acme/more", "acme/two"):
        hub.model(name, license="mit").commit({"weights": b"12345"})
    return made


def stopped(program: Program, hub: Hub, *arguments: str) -> tuple[int, str]:
    """Exit code and stdout of a call that gets Ctrl-C at the first request for acme/one, before it is answered."""
    asked, answered = threading.Event(), threading.Event()

    def wait(_request: Request) -> None:
        asked.set()
        answered.wait(PATIENCE)

    hub.faults.before(wait, "* */acme/one*")
    with program.started(*arguments) as child:
        assert child.stderr is not None
        assert asked.wait(PATIENCE)
        child.send_signal(signal.SIGINT)
        while "stopping cleanly" not in child.stderr.readline():
            assert child.poll() is None
        answered.set()
        out, _ = child.communicate(timeout=PATIENCE)
    return child.returncode, out


def test_a_sync_counts_the_jobs_that_it_had_not_begun(program: Program, hub: Hub) -> None:
    code, out = stopped(program, hub, "sync", "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["interrupted"]) == (1, False, True)
    assert document["jobs_left"] == 2
    assert document["left"] + len(document["repos"]) == 2
    assert {repo["job"] for repo in document["repos"]} <= {"first"}


def test_a_sync_says_it_in_words(program: Program, hub: Hub) -> None:
    code, out = stopped(program, hub, "sync")
    assert code == 1
    assert out.endswith("2 jobs not begun; what was done is kept: run the same command again to go on.\n")


def test_a_plan_shows_what_it_has_and_looks_at_nothing_more(program: Program, hub: Hub) -> None:
    code, out = stopped(program, hub, "plan", "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["interrupted"]) == (1, False, True)
    assert {repo["job"] for repo in document["repos"]} <= {"first"}
    assert hub.calls(path="*/acme/two*") == 0
