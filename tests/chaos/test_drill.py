"""What the drill's readers make of a site that is pulled, and of one that has lost something; how it tells of it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.chaos.drill import Row, table
from tests.chaos.inspector import Inspector, judge, key_of
from tests.chaos.ledger import Ledger
from tests.chaos.shelf import FolderShelf, Unreadable
from tests.chaos.sites import DiskShelf, Sites
from tests.chaos.tally import MIXED
from tests.chaos.upstream import WEIGHTS
from tests.chaos.world import World


def test_a_disk_that_is_pulled_has_lost_nothing_and_one_that_is_there_and_lacks_a_blob_has(calm: World) -> None:
    assert isinstance(calm.shelf, FolderShelf)
    root, shelf = calm.shelf.root, DiskShelf(calm.shelf.root)
    sites = Sites(calm.folder, calm.upstream.truth, Random(1))
    ledger = Ledger(shelf, sites.truth, lambda kind, seen: sites.tell("far", kind, seen))
    inspector = Inspector(shelf, sites.truth, Random(1))
    commit = calm.upstream.repo(WEIGHTS).head()
    root.rename(root.with_name("pulled"))
    try:
        root.touch()
        for _ in range(2):  # a file in its place, then nothing
            with pytest.raises(Unreadable):
                judge(ledger, inspector, WEIGHTS, commit)
            root.unlink(missing_ok=True)
    finally:
        root.with_name("pulled").rename(root)
    assert sites.findings == []
    lost = root / key_of((sites.truth.files(WEIGHTS, commit) or {})["model.safetensors"].sha256)
    lost.rename(lost.with_name("away"))
    try:
        assert not judge(ledger, inspector, WEIGHTS, commit)
    finally:
        lost.with_name("away").rename(lost)
    ((site, found),) = sites.findings
    assert (site, found.kind) == ("far", MIXED)
    sites.tell("far", found.kind, found.seen)
    assert len(sites.findings) == 1  # however often it is seen
    assert judge(ledger, inspector, WEIGHTS, commit)


def test_the_table_says_who_was_not_answered_by_what_was_killed() -> None:
    row = Row("main", {"main": (3, 2), "far": (40, 0)}, 7.4, "it came back")
    lines = table([row, replace(row, killed="far's disk", looks={"main": (5, 0), "far": (6, 1)})])
    assert [line.split() for line in lines] == [
        ["killed", "main", "far", "whole", "again", "after", "then"],
        ["main", "3", "(2", "unanswered)", "40", "7", "s", "it", "came", "back"],
        ["far's", "disk", "5", "6", "(1", "unanswered)", "7", "s", "it", "came", "back"],
    ]
