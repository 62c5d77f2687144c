"""A small mirror whose target may not hold all: what people and readers see of what it lets go of, and get back."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror_sync.config.load import load
from mirror_sync.daemon.watch import keeps_of
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.cli.program import BEGIN, Program
from tests.front.test_access_log import logged
from tests.observers.test_reading import NOW, line, silence
from tests.waiting import until

KEEP = "{bytes: 2MB, by: last-read, logs: [FOLDER/logs/access.log*]}"
CONFIG = f"""\
{BEGIN.replace("TARGET", f'{{url: "file://FOLDER/bucket", keep: {KEEP}}}')}\
jobs:
  - {{name: all, repos: ["acme/*"]}}
"""


def at_present(lines: list[str]) -> str:
    """The same lines, as if NOW were now."""
    late, told = datetime.now(UTC) - NOW, [json.loads(one) for one in lines]
    at = [(datetime.fromisoformat(one["time"]) + late).isoformat() for one in told]
    return "".join(f"{json.dumps({**one, 'time': when})}\n" for one, when in zip(told, at, strict=True))


def published_and_read(program: Program) -> Program:
    """Three repos of 0.8 MB, published long ago, of which acme/b was read ten days ago and the others yesterday."""
    for name in "abc":
        program.add_repo(f"acme/{name}", weights=name * 800_000)
    assert program("sync").code == 0
    for path in (program.folder / "bucket/blobs").rglob("*"):
        os.utime(path, (time.time() - 100 * 86_400,) * 2)
    reads = [line(hours, f"/acme/{name}/resolve/main/weights") for name, hours in (("a", 20), ("b", 240), ("c", 22))]
    (program.folder / "logs").mkdir()
    (program.folder / "logs/access.log.1").write_text(at_present([*silence(300), *reads]))
    return program


@pytest.fixture
def edge(tmp_path: Path) -> Program:
    program = Program(tmp_path, ("-m", "tests.cli.hasty"))
    program.write(CONFIG)
    return published_and_read(program)


def state_of(program: Program, repo: str) -> dict[str, object]:
    [line] = [one for one in json.loads(program("status", "--json").out)["repos"] if one["repo"] == repo]
    return line  # type: ignore[no-any-return]


def test_a_prune_says_what_goes_and_why_and_status_and_metrics_say_it_afterwards(edge: Program) -> None:
    assert "target disk: no prune has looked at its bound yet" in edge("status").out
    rehearsed = edge("prune", "--dry-run")
    assert rehearsed.code == 0, rehearsed.err
    assert "let go of: nobody has read it since" in rehearsed.out.replace("\n    ", " ")
    assert "would store 1.6 MB, once 1 repo had been let go of" in rehearsed.out
    assert not (edge.folder / "state/keep-disk.json").exists()
    pruned = edge("prune")
    assert pruned.code == 0, pruned.err
    assert "target disk may store 2.0 MB and stores 1.6 MB, after 1 repo had been let go of." in pruned.out
    assert {"a", "c"} == {one for one in "abc" if state_of(edge, f"acme/{one}")["commit"]}
    gone = state_of(edge, "acme/b")
    assert (gone["state"], gone["commit"], gone["bytes"]) == ("dormant", None, 0)
    assert "after 1 repo had been let go of" in edge("status").out
    figures = keeps_of(load(edge.folder / "jobs.yaml", {}))["disk"]
    assert (figures["limit"], figures["repos"]) == (2_000_000, 1)
    assert figures["left"] < figures["limit"]
    assert figures["since"] < time.time() - 290 * 3600
    said = json.loads(edge("prune", "--json").out)["keeps"]
    assert [(one["target"], one["repos"]) for one in said] == [("disk", [])]


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_a_reader_who_asks_for_what_was_let_go_of_is_told_so_and_finds_it_after_the_next_run(
    edge: Program, front: str
) -> None:
    assert edge("prune").code == 0
    kept = edge("sync")
    assert kept.code == 0, kept.out + kept.err
    assert state_of(edge, "acme/b")["state"] == "dormant"
    assert "mirror-sync sync all --repo acme/b" in edge("plan", "-v").out.replace("\n    ", " ")
    store = DirectoryStore(edge.folder / "bucket")
    with logged(front, edge.folder, store) as (mirror, log):
        asked = mirror.get("/acme/b/resolve/main/weights")
        assert (asked.status, asked.headers["x-mirror-state"]) == (404, "dormant")
        assert b"the next run of its job brings it again" in asked.body
        until(lambda: b"/acme/b/resolve/main/weights" in log.read_bytes())  # a server may answer first, and note then
        shutil.copy(log, edge.folder / "logs/access.log")
        again = edge("sync")
        assert again.code == 0, again.err
        assert state_of(edge, "acme/b")["commit"]
        mirror.get_until("/acme/b/resolve/main/weights", b"b" * 800_000)
    edge("prune")  # it came a moment ago, and stays, whatever the target may hold
    assert state_of(edge, "acme/b")["commit"]


def test_a_person_gets_back_a_single_repo(edge: Program) -> None:
    assert edge("prune").code == 0
    assert edge("sync", "--repo", "acme/b").code == 0
    assert state_of(edge, "acme/b")["commit"]
    wrong = edge("sync", "--repo", "acmee/b")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert "no job of these names acmee/b" in wrong.err


def test_without_a_log_nothing_goes_and_the_prune_says_why(edge: Program) -> None:
    shutil.rmtree(edge.folder / "logs")
    pruned = edge("prune")
    assert pruned.code == 0, pruned.err
    said = pruned.out.replace("\n", " ")
    assert f"since it is not known what is read: {edge.folder}/logs/access.log*: there is no such log." in said
    assert all(state_of(edge, f"acme/{one}")["commit"] for one in "abc")
