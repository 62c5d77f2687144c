"""A record may take long, and another machine goes on meanwhile: what it publishes then is not written over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from mirror_sync.domain.audit_record import AuditRecord
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import Edit
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.sync.publish import amend_refs
from mirror_sync.engine.upkeep.take_down import take_down
from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports.audit import NoAudit
from tests.engine.machines import GRACE, HOUR, Clock, Machine, Shelf, Upstream, expect_complete, refs_of
from tests.engine.workshop import job

ACME = job("acme/x", workers=1, retention=Retention(1, timedelta(hours=1)))
REPO = Repo.parse("acme/x")


class Slow(NoAudit):
    """An audit in which something else is done, once, while the first act is being recorded."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = [meanwhile]

    def record(self, *records: AuditRecord) -> None:
        if self._meanwhile:
            self._meanwhile.pop()()


class Pair:
    """A machine whose records are slow, and another that publishes a third commit during the first of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shelf, self.upstream = Shelf(self.clock), Upstream()
        self.slow, self.other = Machine(self.upstream, self.shelf), Machine(self.upstream, self.shelf)
        for body in (b"1", b"2"):
            self.clock.advance(1)
            self.upstream.commit("acme/x", {"a": body})
            assert self.other.sync(ACME).outcome == "published"
        self.clock.advance(GRACE.total_seconds() + HOUR)
        target = replace(self.slow.context.targets["bucket"], audit=Slow(self.publish))
        self.slow.context = replace(self.slow.context, targets={"bucket": target})
        self.third = ""

    def publish(self) -> None:
        self.third = self.upstream.commit("acme/x", {"a": b"3"})
        assert self.other.sync(ACME).outcome == "published"


def test_a_prune_lets_go_what_has_expired_and_nothing_that_was_published_while_it_recorded_that() -> None:
    pair = Pair()
    before = refs_of(pair.shelf, "acme/x")
    (expired,) = before.snapshots.keys() - before.named
    assert pair.slow.prune(ACME).ok
    refs = refs_of(pair.shelf, "acme/x")
    assert refs.commit_of("main") == pair.third
    assert expired not in refs.snapshots
    expect_complete(pair.shelf)


def test_a_withdrawal_that_was_decided_before_another_publication_is_left_to_the_next_run() -> None:
    pair = Pair()
    target, before = pair.slow.context.targets["bucket"], refs_of(pair.shelf, "acme/x")
    with pytest.raises(StoreUnavailable, match="changed by somebody else"):
        amend_refs(
            target,
            REPO,
            Edit(before, before.withdrawn(None)),
            ("", ""),
            lambda: recorded(pair.slow.context, target, []),
        )
    assert refs_of(pair.shelf, "acme/x").commit_of("main") == pair.third


def test_a_take_down_knows_also_what_was_published_while_it_was_recorded() -> None:
    pair = Pair()
    report = take_down(
        pair.slow.context, pair.slow.context.targets["bucket"], REPO, Tombstone("2026-11-20T08:00:00Z", "why")
    )
    assert (report.ok, pair.third in report.snapshots, report.spared > 0) == (True, True, True), "its blobs are young"
    assert refs_of(pair.shelf, "acme/x").snapshots == {}
