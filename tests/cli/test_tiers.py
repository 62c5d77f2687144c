"""`archive`, `thaw` and `status` of a target with a cold place, as a person reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirror_sync.config.load import load
from mirror_sync.daemon.watch import tiers_of
from tests.cli.program import BEGIN, Program
from tests.cli.test_keep import published_and_read

TIERS = "{cold: {after_unread: 9d, target: {url: FOLDER/cold}}, logs: [FOLDER/logs/access.log*]}"
CONFIG = f"""\
{BEGIN.replace("TARGET", f'{{url: "file://FOLDER/bucket", tiers: {TIERS}}}')}\
jobs:
  - {{name: all, repos: ["acme/*"]}}
"""


@pytest.fixture
def empty(tmp_path: Path) -> Program:
    program = Program(tmp_path, ("-m", "tests.cli.hasty"))
    program.write(CONFIG)
    return program


@pytest.fixture
def shelf(empty: Program) -> Program:
    return published_and_read(empty)


def test_what_is_due_is_shown_moved_and_told_and_comes_back_by_a_word(shelf: Program) -> None:
    assert "target disk: no pass has looked at its tiers yet" in shelf("status").out
    rehearsed = shelf("archive", "--all-due", "--dry-run")
    assert rehearsed.code == 0, rehearsed.err
    assert "nobody has read it since" in rehearsed.out
    assert "target disk would have 1.6 MB warm and 800 kB cold." in rehearsed.out
    assert not (shelf.folder / "cold").exists()
    moved = shelf("archive", "--all-due", "--json")
    [told] = json.loads(moved.out)
    assert [(one["repo"], one["move"], one["blobs"], one["bytes"]) for one in told["repos"]] == [
        ("acme/b", "archived", 1, 800_000)
    ]
    assert "target disk has 1.6 MB warm and 800 kB cold." in shelf("status").out
    figures = tiers_of(load(shelf.folder / "jobs.yaml", {}))["disk"]
    assert (figures["cold"], figures["warm"] > 1_600_000) == (800_000, True)
    assert shelf("thaw", "acme/b").out == "acme/b: 1 file brought back, 800 kB.\n"
    assert shelf("thaw", "acme/b").out == "acme/b: nothing of it is cold.\n"
    by_hand = shelf("archive", "acme/a")
    assert (by_hand.code, "archived by hand" in by_hand.out) == (0, True)
    assert shelf("archive", "acme/a").out.startswith("acme/a: nothing more of it goes:")
    assert shelf("archive", "--all-due").out == "target disk has 1.6 MB warm and 800 kB cold.\n"
    assert shelf("verify").code == 0
    (shelf.folder / "logs/access.log.1").unlink()
    unsure = shelf("archive", "--all-due")
    assert unsure.code == 0, unsure.err
    assert "nothing goes cold by itself, since it is not known what is read" in unsure.out.replace("\n", " ")


def test_where_two_daemons_are_it_is_said_that_only_this_machine_knows_what_was_moved_by_hand(empty: Program) -> None:
    said = "noted on this machine alone: a daemon that leads elsewhere does not know it"
    empty.write(f"{CONFIG}ha: {{lease: 30s}}\n")
    shelf = published_and_read(empty)
    for words in (("archive", "acme/a"), ("thaw", "acme/a")):
        told = shelf(*words)
        assert (told.code, said in " ".join(told.err.split())) == (0, True), told
    for others in (("archive", "acme/a", "--dry-run"), ("archive", "--all-due")):
        assert said not in " ".join(shelf(*others).err.split())


def test_what_cannot_be_meant_is_one_line_with_what_would_be_right(empty: Program) -> None:
    for arguments, said in (
        (("archive",), "name one REPO, or --all-due"),
        (("archive", "acme/a", "--all-due"), "name one REPO, or --all-due"),
        (("archive", "acme/aa"), "nothing of acme/aa is mirrored in disk"),
        (("thaw", "acme/a", "--target", "other"), "'other' is no target with tiers; these are: disk"),
    ):
        ended = empty(*arguments)
        assert (ended.code, said in ended.err, ended.err.count("\n")) == (2, True, 1), ended.err
