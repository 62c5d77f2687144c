"""A prune of a target with many repos, or a slow one, comes to its end, and can be stopped on the way."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.retention import Retention
from mirror_sync.engine.run import sync_jobs
from tests.engine.machines import GRACE, HOUR, Clock, Machine, Shelf, Upstream, expect_complete
from tests.engine.workshop import job

REPOS = 60
LEFT = 640  # blobs of nobody: ten batches
EVERY = job("acme/*", workers=1, retention=Retention(1, timedelta(hours=1)))


class Slow:
    """A target whose reads, or looks, take long; `calls` of a prune by verb and last word of the key."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shelf, upstream = Shelf(self.clock), Upstream()
        self.machine = Machine(upstream, self.shelf)
        for _ in range(2):  # so that each has a snapshot that is due to go
            self.clock.advance(1)
            for number in range(REPOS):
                upstream.commit(f"acme/r{number}", {"a": b"%d %f" % (number, self.clock.now)})
            sync_jobs(self.machine.context, [EVERY], [EVERY])
        for number in range(LEFT):
            body = b"left %d" % number
            self.shelf.objects[blob_key(Sha256.of(body))] = (body, self.clock.now)
        self.clock.advance(GRACE.total_seconds() + HOUR)
        self.calls: Counter[tuple[str, str]] = Counter()

    def be_slow(self, verb: str, word: str, seconds: float) -> None:
        def before(called: str, key: str) -> None:
            last = key.rpartition("/")[2]
            self.calls[called, last] += 1
            if called == verb and key.endswith(word):
                self.clock.advance(seconds)

        self.machine.view.before = before


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.mark.parametrize("seconds", [0.0, 10.5, 61.0])
def test_a_prune_reads_what_is_published_a_few_times_however_long_that_takes(slow: Slow, seconds: float) -> None:
    """At 10.5 s a read one look takes 630 s; at 61 s it takes longer than a prune may be silent."""
    slow.be_slow("read", "refs.json", seconds)
    report = slow.machine.prune(EVERY)
    assert report.ok, report.problems
    assert report.blobs >= LEFT
    assert len(report.repos) == REPOS
    looks = 2 + 1 + 1 + 1 + 3  # to expire, at first, before the first removal, one on the way, the last; letting go
    assert slow.calls["read", "refs.json"] <= looks * REPOS
    expect_complete(slow.shelf)


def test_a_prune_says_that_it_lives_while_it_looks_for_what_has_expired(slow: Slow) -> None:
    """Each stat takes 40 s: to know the ages of 120 snapshots takes 4,800 s."""
    let_go: list[str] = []

    def before(verb: str, key: str) -> None:
        if verb == "stat" and key.startswith("blobs/") and not let_go:
            slow.clock.advance(40.0)
        if verb == "put" and key.endswith("refs.json"):
            let_go.append(key)

    slow.machine.view.before = before
    report = slow.machine.prune(EVERY)
    assert report.ok, report.problems
    assert len(report.repos) == REPOS


def test_a_stop_is_seen_while_a_prune_looks_for_what_has_expired(slow: Slow) -> None:
    def before(verb: str, key: str) -> None:
        slow.calls[verb, key.rpartition("/")[2]] += 1
        if slow.calls["read", "refs.json"] == 1:
            slow.machine.context.stop.set()

    slow.machine.view.before = before
    report = slow.machine.prune(EVERY)
    assert report.interrupted
    assert slow.calls["read", "refs.json"] < REPOS / 2


def test_a_snapshot_that_must_stay_by_their_number_is_not_asked_for_its_age(slow: Slow) -> None:
    slow.machine.prune(EVERY)
    asked: list[str] = []
    slow.machine.view.before = lambda verb, key: asked.append(key) if verb == "stat" and "blobs" in key else None
    assert slow.machine.prune(EVERY).ok
    assert not asked


def test_a_target_that_cannot_be_read_within_its_grace_is_not_pruned(slow: Slow) -> None:
    """What was published since a repo was read may be old before it is read again."""
    slow.be_slow("read", "refs.json", GRACE.total_seconds() / REPOS)
    report = slow.machine.prune(EVERY)
    assert not report.ok
    assert report.blobs == 0
