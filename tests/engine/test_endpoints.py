"""Endpoints of one upstream need not hold the same: what another than the first says moves no name back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from mirror_sync.domain.gone import OnGone
from mirror_sync.domain.report import RepoOutcome
from mirror_sync.ports import Source
from mirror_sync.sources.failover import FailoverSource
from mirror_sync.sources.hub import HubSource
from mirror_sync.sources.transport import Transport
from tests.engine.workshop import Proving, Workshop, job
from tests.standin import Hub, faults

JOB = job("acme/x")
OLD, NEW = {"a": b"old"}, {"a": b"new"}


@dataclass(frozen=True)
class Pair:
    """Two endpoints of the upstream of a workshop; both have had the old commit, the first has a newer one."""

    first: Hub
    second: Hub
    shop: Workshop

    def silence_the_first(self) -> None:
        self.first.faults.add(faults.status(503), "*", origin="hub")


@pytest.fixture
def pair(hub: Hub, tmp_path: Path) -> Iterator[Pair]:
    with Hub() as second:
        for one in (hub, second):
            one.model("acme/x", license="mit").commit(OLD)
        hub.model("acme/x").commit(NEW)
        shop = Workshop(hub.url, tmp_path)
        both = FailoverSource([HubSource(one.url, None, Transport()) for one in (hub, second)])
        shop.site = replace(shop.site, sources={"hub": cast("Source", Proving(both, shop))})
        yield Pair(hub, second, shop)


def test_an_older_commit_of_another_endpoint_is_held_and_the_endpoint_named(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    pair.silence_the_first()
    report = pair.shop.sync_one(JOB)
    assert (report.outcome, report.code) == (RepoOutcome.HELD, "stale-endpoint")
    assert pair.second.url in report.reason
    assert pair.shop.files("acme/x") == NEW


def test_a_newer_commit_of_another_endpoint_is_published(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    pair.second.model("acme/x").commit(NEW)
    pair.second.model("acme/x").commit({"a": b"newest"})
    assert pair.second.model("acme/x").head() != pair.first.model("acme/x").head()
    pair.silence_the_first()
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    assert pair.shop.files("acme/x") == {"a": b"newest"}


def test_the_first_endpoint_may_move_a_name_back(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    repo = pair.first.model("acme/x")
    repo.branch("main", pair.second.model("acme/x").head())
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    assert pair.shop.files("acme/x") == OLD


def test_what_another_endpoint_says_while_the_first_is_silent_is_told_as_second_hand(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).code == ""
    pair.second.model("acme/x").commit(NEW)
    pair.silence_the_first()
    for newer in ("unchanged", "published"):
        report = pair.shop.sync_one(JOB)
        assert (report.outcome, report.code) == (newer, "second-hand")
        assert f"as {pair.second.url} has it" in report.reason
        pair.second.model("acme/x").commit({"a": b"newest"})


def test_a_404_of_a_partial_endpoint_withdraws_nothing_while_the_first_is_silent(pair: Pair) -> None:
    wish = job("acme/x", on_gone=OnGone.WITHDRAW)
    assert pair.shop.sync_one(wish).outcome == RepoOutcome.PUBLISHED
    pair.second.remove("acme/x")
    pair.silence_the_first()
    assert pair.shop.sync_one(wish).outcome == RepoOutcome.FAILED
    assert pair.shop.files("acme/x") == NEW
    assert pair.shop.refs("acme/x").gone is None
