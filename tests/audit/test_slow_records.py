"""A record may take long, and another machine goes on meanwhile: what it publishes then is not written over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from mirror_sync.domain.audit_record import AuditRecord, Verb
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.policy.gone import OnGone
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


WITHDRAW = replace(ACME, on_gone=OnGone.WITHDRAW)


class Remembering(NoAudit):
    """An audit that keeps what was recorded."""

    def __init__(self) -> None:
        self.verbs: list[str] = []

    def record(self, *records: AuditRecord) -> None:
        self.verbs += [record.act.verb for record in records]


class Waiting:
    """A machine whose upstream lost the repo over a day ago, and in whose wait for the lock something else is done."""

    def __init__(self, pair: Pair) -> None:
        self.audit, self.meanwhile = Remembering(), list[Callable[[], object]]()
        self.machine = Machine(Upstream(), pair.shelf)
        target = replace(self.machine.context.targets["bucket"], audit=self.audit, lock=self.lock)
        self.machine.context = replace(self.machine.context, targets={"bucket": target})
        assert self.machine.sync(WITHDRAW).outcome == "held"
        pair.clock.advance(25 * HOUR)

    @contextmanager
    def lock(self, repo: Repo) -> Iterator[None]:
        if self.meanwhile:
            self.meanwhile.pop()()
        yield


def test_what_somebody_else_published_before_the_lock_is_neither_withdrawn_nor_said_to_be() -> None:
    pair = Pair()
    waiting = Waiting(pair)
    waiting.meanwhile.append(pair.publish)
    report = waiting.machine.sync(WITHDRAW)
    assert (report.outcome, report.code, report.commit) == ("held", "not-found-or-private", pair.third)
    assert "not withdrawn, since somebody else changed its refs.json meanwhile" in report.reason
    assert Verb.WITHDRAW not in waiting.audit.verbs
    assert refs_of(pair.shelf, "acme/x").commit_of("main") == pair.third


def test_what_somebody_else_withdrew_before_the_lock_is_said_to_be_withdrawn() -> None:
    pair = Pair()
    waiting, other = Waiting(pair), Machine(Upstream(), pair.shelf)
    waiting.meanwhile.append(lambda: other.sync(WITHDRAW))
    report = waiting.machine.sync(WITHDRAW)
    assert report.reason.endswith("withdrawn, as on_gone says")
    assert Verb.WITHDRAW not in waiting.audit.verbs
    assert refs_of(pair.shelf, "acme/x").snapshots == {}
