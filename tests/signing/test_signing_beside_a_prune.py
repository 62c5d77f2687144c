"""A prune on another machine at each single step of a signing: nothing that is published is torn, and all is signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mirror_sync.app.trust.signing_repos import SignedRepo, Signing
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_root
from mirror_sync.signing.signer import SigningKeys, SnapshotSigner, StatementSeal, is_stated
from tests.engine.machines import GRACE, HOUR, Clock, Machine, Shelf, Upstream, expect_complete, refs_of
from tests.engine.workshop import job
from tests.signing.keys import ssh_key

ACME = job("acme/x", workers=1, retention=Retention(1, timedelta(hours=1)))
REPO = Repo.parse("acme/x")


class Pair:
    """A machine that signs and another that prunes; of two unsigned snapshots one has expired."""

    def __init__(self, keys: SigningKeys) -> None:
        self.clock, self.keys = Clock(), keys
        self.shelf, self.upstream = Shelf(self.clock), Upstream()
        self.signing, self.pruning = Machine(self.upstream, self.shelf), Machine(self.upstream, self.shelf)
        for files in ({"a": b"1", "shared": b"s"}, {"a": b"2", "shared": b"s"}):
            self.clock.advance(1)
            self.upstream.commit("acme/x", files)
            assert self.signing.sync(ACME).outcome == "published"
        self.clock.advance(GRACE.total_seconds() + HOUR)
        for machine in (self.signing, self.pruning):
            seal = StatementSeal(keys, self.clock.wall, lambda: None)
            target = replace(machine.context.targets["bucket"], seal=seal)
            machine.context = replace(machine.context, targets={"bucket": target})

    def sign(self) -> SignedRepo:
        target = self.signing.context.targets["bucket"]
        return Signing(self.signing.context, target, self.keys, SnapshotSigner(self.keys)).sign(REPO)

    def prune(self) -> None:
        assert self.pruning.prune(ACME).ok

    def roots(self) -> list[Root]:
        return [read_root(self.signing.view, root) for root in refs_of(self.shelf, "acme/x").snapshots.values()]


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys("mirror", ssh_key(tmp_path))


def test_a_prune_at_each_step_of_a_signing_tears_nothing_and_the_next_signing_signs_the_rest(keys: SigningKeys) -> None:
    steps: list[str] = []
    quiet = Pair(keys)
    quiet.signing.view.before = lambda verb, key: steps.append(verb)
    assert quiet.sign().snapshots == 2
    assert len(steps) > 12
    for at in range(len(steps)):
        pair, seen = Pair(keys), list[str]()

        def act(verb: str, key: str, pair: Pair = pair, seen: list[str] = seen, at: int = at) -> None:
            seen.append(verb)
            if len(seen) == at + 1:
                pair.prune()

        pair.signing.view.before = act
        pair.sign()  # or it says that another machine was quicker
        expect_complete(pair.shelf)
        assert pair.sign().problem == ""
        expect_complete(pair.shelf)
        assert all("SHA256SUMS.sig" in root.attachments for root in pair.roots())
        assert is_stated(keys, pair.signing.view, refs_of(pair.shelf, "acme/x"))


def test_a_snapshot_that_is_signed_goes_when_it_would_have_gone_unsigned(keys: SigningKeys) -> None:
    pair = Pair(keys)
    assert pair.sign().snapshots == 2
    pair.prune()
    assert len(pair.roots()) == 1, "its hour was over before it was signed"
    expect_complete(pair.shelf)
