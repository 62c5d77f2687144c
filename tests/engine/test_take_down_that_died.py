"""What a take-down leaves that died half-way hides nothing of others for good, and nothing of it is forgotten."""

from __future__ import annotations

import pytest

from mirror_sync.domain.content.keys import withdrawn_key
from mirror_sync.domain.content.tombstone import decode_withdrawn
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.upkeep.take_down import let_come_back
from mirror_sync.engine.withdrawn_lists import withdraw_digests
from tests.engine.machines import HOUR, Machine, expect_complete, refs_of
from tests.engine.test_prune_beside_sync import Counter
from tests.engine.test_take_down import OWN, SHARED, Pair, X, Y


def steps() -> list[str]:
    quiet = Pair()
    count = quiet.other.view.before = Counter(-1, None)
    quiet.down()
    return count.steps


def die() -> None:
    raise KeyboardInterrupt


def dead_at(pair: Pair, step: int) -> None:
    """A take-down of x that is killed at one of its steps."""
    pair.other.view.before = Counter(step, die)
    with pytest.raises(KeyboardInterrupt):
        pair.down()
    pair.other.view.before = Counter(-1, None)


def hidden(pair: Pair, body: bytes) -> bool:
    digest = Sha256.of(body)
    listed = pair.shelf.objects.get(withdrawn_key(digest))
    return listed is not None and digest in decode_withdrawn(listed[0])


def test_the_same_bytes_of_another_repo_are_given_once_it_is_published_wherever_a_take_down_has_died() -> None:
    left = 0
    for step in range(len(steps())):
        pair = Pair()
        dead_at(pair, step)
        left += hidden(pair, OWN)
        pair.clock.advance(3 * HOUR)
        pair.upstream.commit("acme/y", {"shared": SHARED, "y": b"of y", "own": OWN})
        pair.sync_y()
        assert pair.has(OWN), step
        assert not hidden(pair, OWN), step
        pair.clock.advance(3 * HOUR)
        assert pair.down().ok
        pair.expect_down()
        assert pair.has(OWN), step
    assert left, "some of them had hidden it"


def test_what_a_sync_died_over_that_had_published_it_the_next_one_gives_to_all() -> None:
    """It names bytes that a dead take-down hides, and had no time to take them off the list."""
    pair = Pair()
    dead_at(pair, next(number for number, name in enumerate(steps()) if name == "delete of a blob"))
    pair.clock.advance(3 * HOUR)
    pair.upstream.commit("acme/y", {"shared": SHARED, "y": b"of y", "own": OWN})

    def die_when_published(verb: str, key: str) -> None:
        if verb in ("put", "delete") and key.startswith("trust/") and refs_of(pair.shelf, "acme/y").snapshots:
            die()

    pair.syncing.view.before = die_when_published
    with pytest.raises(KeyboardInterrupt):
        pair.sync_y()
    assert hidden(pair, OWN)
    another_process = Machine(pair.upstream, pair.shelf)
    assert another_process.sync(Y).outcome == "unchanged"
    assert not hidden(pair, OWN)
    assert pair.has(OWN)


def test_a_prune_gives_again_what_is_named_and_forgets_what_is_gone() -> None:
    pair = Pair()
    store = pair.other.context.targets["bucket"].store
    withdraw_digests(store, [Sha256.of(SHARED), Sha256.of(b"removed long ago")])
    assert hidden(pair, SHARED)
    assert pair.syncing.prune(X, Y).ok
    assert pair.lists == []
    expect_complete(pair.shelf)


def test_what_a_take_down_is_to_remove_stays_hidden_whatever_a_prune_does() -> None:
    pair = Pair()
    at = next(number for number, name in enumerate(steps()) if name == "delete of a blob")
    dead_at(pair, at)
    assert hidden(pair, OWN)
    assert pair.syncing.prune(Y).ok
    assert hidden(pair, OWN) or not pair.has(OWN)


def test_a_sync_that_writes_over_a_tombstone_loses_nothing_that_a_dead_take_down_had_to_remove() -> None:
    quiet = Pair()
    quiet.upstream.commit("acme/x", {"own": OWN, "new": b"n"})
    count = quiet.syncing.view.before = Counter(-1, None)
    assert quiet.sync_x().outcome == "published"
    over = next(at for at, name in enumerate(steps()) if name.startswith("delete"))
    for step in range(len(count.steps)):
        pair = Pair()
        pair.upstream.commit("acme/x", {"own": OWN, "new": b"n"})
        pair.syncing.view.before = Counter(step, lambda pair=pair: dead_at(pair, over))
        pair.sync_x()
        pair.syncing.view.before = Counter(-1, None)
        assert refs_of(pair.shelf, "acme/x").tombstone is not None
        pair.clock.advance(3 * HOUR)
        assert pair.down().ok, count.steps[step]
        pair.expect_down()
        assert not pair.has(OWN), count.steps[step]
        assert pair.lists == []


def test_a_restore_after_that_gives_all_of_it_again() -> None:
    pair = Pair()
    at = next(number for number, name in enumerate(steps()) if name == "delete of a blob")
    dead_at(pair, at)
    target = pair.syncing.context.targets["bucket"]
    assert let_come_back(pair.syncing.context, target, Repo.parse("acme/x"), "it may")
    assert pair.sync_x().outcome == "published"
    assert not hidden(pair, OWN)
