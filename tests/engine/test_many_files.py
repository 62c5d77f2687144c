"""A publication holds nothing of each file but what maps of up to 20,000 entries do; see docs/lab/memory.md."""

from __future__ import annotations

import gc
import tracemalloc

from tests.engine.machines import Clock, Machine, Shelf, Upstream, expect_complete
from tests.engine.workshop import job

A_FILE = 2000  # bytes: some 500 are in maps of digests, in memory while they are small; it was 6,000
FEW, MANY = 1000, 5000
ACME = job("acme/x", workers=4)


def test_memory_does_not_grow_with_the_files_of_a_repo() -> None:
    (few, changed_few), (many, changed_many) = held(FEW), held(MANY)
    assert many - few < (MANY - FEW) * A_FILE
    assert changed_many - changed_few < (MANY - FEW) * A_FILE / 4


def held(count: int) -> tuple[int, int]:
    """Bytes that a first publication holds at the most, beyond what it leaves in the target; and one of a change."""
    upstream, shelf = Upstream(), Shelf(Clock())
    files = {path(number): b"%d" % number for number in range(count)}
    upstream.commit("acme/x", files)
    first = most(Machine(upstream, shelf))
    upstream.commit("acme/x", files | {path(7): b"changed"})
    return first, most(Machine(upstream, shelf))


def path(number: int) -> str:
    return f"folder-{number // 250:04}/file-{number:06}.txt"


def most(machine: Machine) -> int:
    gc.collect()  # what other tests left
    tracemalloc.start()
    try:
        assert machine.sync(ACME).outcome == "published"
        left, peak = tracemalloc.get_traced_memory()
        return peak - left
    finally:
        tracemalloc.stop()


def test_one_changed_file_of_many_is_one_blob_one_shard_and_four_documents() -> None:
    upstream, shelf = Upstream(), Shelf(Clock())
    files = {path(number): b"%d" % number for number in range(3000)}
    upstream.commit("acme/x", files)
    machine = Machine(upstream, shelf)
    machine.sync(ACME)
    before = set(shelf.objects)
    upstream.commit("acme/x", files | {path(7): b"changed"})
    report = machine.sync(ACME)
    assert (report.outcome, report.fetched_files, report.reused_files) == ("published", 1, 2999)
    assert len(shelf.objects.keys() - before) == 5, "file, shard, info, commits, root"
    expect_complete(shelf)
