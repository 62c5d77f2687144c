"""What changed between two mirrored snapshots is found by reading no shard that both have."""

from __future__ import annotations

import re

import pytest

from mirror_sync.domain.content.difference import ChangeKind, Difference
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.upkeep.compare_snapshots import difference
from mirror_sync.errors import UsageError
from tests.engine.workshop import Workshop, job
from tests.standin import Hub

REPO = Repo.parse("acme/one")


def states(found: Difference) -> dict[str, str]:
    return {change.path: change.turn.value for change in found.changes}


def test_files_are_added_changed_removed_or_the_same(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/one", license="mit")
    first = repo.commit({"a": b"1", "b": b"22", "c": b"333", "README.md": b"---\nlicense: mit\n---\n"})
    workshop.sync_one(job("acme/one"))
    second = repo.commit({"b": b"two", "d": b"4444"}, delete=["c"])
    workshop.sync_one(job("acme/one"))
    found = difference(workshop.store, REPO)
    assert (found.before, found.after) == (first, second)
    assert states(found) == {"b": "changed", "c": "removed", "d": "added"}
    assert (found.same, found.growth) == (2, 1 - 3 + 4)
    assert found.changes[0].after is not None
    assert found.changes[0].after.sha256 == Sha256.of(b"two")
    back = difference(workshop.store, REPO, second[:8], first[:8])
    assert states(back) == {"b": "changed", "c": "added", "d": "removed"}
    assert (back.same, back.growth) == (2, -found.growth)


def test_a_shard_that_both_have_is_not_read(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/one", license="mit")
    repo.commit({f"f{number:05}": b"x" for number in range(3000)})
    workshop.sync_one(job("acme/one"))
    repo.commit({"f01500": b"other"})
    workshop.sync_one(job("acme/one"))
    shards = len(workshop.root("acme/one").shards)
    before = len(workshop.store.reads)
    found = difference(workshop.store, REPO)
    assert states(found) == {"f01500": "changed"}
    assert found.same == 2999
    assert shards > 5
    assert len(workshop.store.reads) - before == 5  # refs, two roots, the shard of each


def test_what_is_not_mirrored_is_told_with_what_is(hub: Hub, workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="nothing of acme/one is mirrored"):
        difference(workshop.store, REPO)
    commit = hub.model("acme/one", license="mit").commit({"a": b"1"})
    workshop.sync_one(job("acme/one"))
    with pytest.raises(UsageError, match=f"only one snapshot of acme/one is mirrored, {commit[:8]}"):
        difference(workshop.store, REPO)
    with pytest.raises(
        UsageError, match=re.escape(f"'v2' of acme/one is not mirrored; mirrored are: main, {commit[:8]}")
    ):
        difference(workshop.store, REPO, "v2", "main")


def test_every_file_of_a_snapshot_is_told_once(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/one", license="mit")
    repo.commit({f"f{number:04}": b"x" for number in range(900)})
    workshop.sync_one(job("acme/one"))
    repo.commit(
        {f"g{number:04}": b"y" for number in range(0, 900, 2)}, delete=[f"f{number:04}" for number in range(0, 900, 3)]
    )
    workshop.sync_one(job("acme/one"))
    found = difference(workshop.store, REPO)
    assert (found.count(ChangeKind.ADDED), found.count(ChangeKind.REMOVED), found.count(ChangeKind.CHANGED)) == (
        450,
        300,
        0,
    )
    assert found.same + found.count(ChangeKind.ADDED) == workshop.root("acme/one").files
