"""A take-down: nobody is given the repo from one PUT on, what only it named goes, and no job brings it back."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest

from mirror_sync.domain.content.keys import blob_key, withdrawn_key
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import RepoReport, TakenDown
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.upkeep.take_down import let_come_back, take_down
from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports.store import Stat
from tests.engine.machines import (
    HOUR,
    Clock,
    Machine,
    Shelf,
    Upstream,
    blobs_of,
    expect_complete,
    named,
    refs_of,
)
from tests.engine.test_prune_beside_sync import Counter
from tests.engine.workshop import job

X, Y = job("acme/x", workers=1), job("acme/y", workers=1)
WHY = Tombstone("2026-11-20T08:00:00Z", "its licence was withdrawn", "jane")
SHARED, OWN = b"shared with y", b"of x alone"


class Pair:
    """Two machines over one target that publishes x and y, which share a file.

    `behind`: what x alone has lies in a cold place, whose clock is so many seconds behind.
    """

    def __init__(self, behind: float | None = None) -> None:
        self.clock = Clock()
        self.shelf, self.upstream = Shelf(self.clock), Upstream()
        self.cold = Shelf(self.clock)
        self.syncing, self.other = Machine(self.upstream, self.shelf), Machine(self.upstream, self.shelf)
        self.upstream.commit("acme/x", {"own": OWN, "shared": SHARED})
        self.upstream.commit("acme/y", {"shared": SHARED, "y": b"of y"})
        for each in (X, Y):
            assert self.syncing.sync(each).outcome == "published"
        if behind is not None:
            self._move(behind)
        self.clock.advance(HOUR)

    def _move(self, behind: float) -> None:
        self.cold.behind = behind
        for machine in (self.syncing, self.other):
            both = machine.tiered(self.cold)
        key = blob_key(Sha256.of(OWN))
        both.chill(Stat(key, len(OWN), 0.0), lambda: None)
        assert key in self.cold.objects.keys() - self.shelf.objects.keys()

    def down(self, why: Tombstone = WHY, *, dry_run: bool = False) -> TakenDown:
        target = self.other.context.targets["bucket"]
        return take_down(self.other.context, target, Repo.parse("acme/x"), why, dry_run=dry_run)

    def sync_x(self) -> RepoReport:
        return self.syncing.sync(X)

    def sync_y(self) -> None:
        """With a file that x alone has had."""
        assert self.syncing.sync(Y).outcome in ("published", "unchanged")

    def has(self, body: bytes) -> bool:
        return blob_key(Sha256.of(body)) in {*self.shelf.objects, *self.cold.objects}

    def expect_down(self) -> None:
        refs = refs_of(self.shelf, "acme/x")
        assert (refs.tombstone, refs.snapshots, refs.refs) == (Sha256.of(WHY.encode()), {}, ())
        both = Shelf(self.clock)
        both.objects = {**self.cold.objects, **self.shelf.objects}
        expect_complete(both)

    @property
    def lists(self) -> list[str]:
        return [key for key in self.shelf.objects if key.startswith("trust/")]


def test_what_only_it_named_goes_and_what_others_name_stays() -> None:
    pair = Pair()
    commits = tuple(refs_of(pair.shelf, "acme/x").snapshots)
    report = pair.down()
    assert (report.ok, report.snapshots, report.shared, report.spared) == (True, commits, 1, 0)
    assert (report.why, report.by, report.again) == (WHY.why, "jane", False)
    assert not pair.has(OWN)
    assert pair.has(SHARED)
    pair.expect_down()
    assert pair.lists == []
    unnamed = blobs_of(pair.shelf) - named(pair.shelf)
    assert len(unnamed) == 1, "the list of what was left behind, which a prune removes"


def test_a_dry_run_tells_the_same_and_writes_nothing() -> None:
    pair = Pair()
    before = dict(pair.shelf.objects)
    told = pair.down(dry_run=True)
    assert pair.shelf.objects == before
    done = pair.down()
    assert told.dry_run
    assert (told.blobs, told.bytes, told.shared) == (done.blobs, done.bytes, done.shared)


def test_a_dry_run_takes_no_lock_for_that_is_a_file_of_the_state_folder() -> None:
    pair, locked = Pair(), list[Repo]()

    def lock(repo: Repo) -> AbstractContextManager[None]:
        locked.append(repo)
        return nullcontext()

    target = replace(pair.other.context.targets["bucket"], lock=lock)
    assert take_down(pair.other.context, target, Repo.parse("acme/x"), WHY, dry_run=True).blobs
    assert locked == []
    take_down(pair.other.context, target, Repo.parse("acme/x"), WHY)
    assert locked == [Repo.parse("acme/x")]


def test_no_job_brings_it_back_whatever_a_glob_names() -> None:
    pair = Pair()
    pair.down()
    pair.upstream.commit("acme/x", {"own": b"newer"})
    fetched = len(pair.upstream.fetched)
    for each in (X, job("acme/x*", workers=1)):
        report = pair.syncing.sync(each)
        assert (report.outcome, report.code, report.commit) == ("held", "withdrawn", None)
        assert "taken down on 2026-11-20 by jane: its licence was withdrawn" in report.reason
        assert "mirror-sync restore acme/x" in report.reason
    assert len(pair.upstream.fetched) == fetched
    assert pair.syncing.prune(X, Y).ok
    pair.expect_down()


def test_after_a_restore_the_next_sync_publishes_it_again() -> None:
    pair = Pair()
    pair.down()
    target = pair.other.context.targets["bucket"]
    assert let_come_back(pair.other.context, target, Repo.parse("acme/x"), "it may")
    assert refs_of(pair.shelf, "acme/x").attachments == {}
    assert not let_come_back(pair.other.context, target, Repo.parse("acme/x"), "it may")
    assert pair.sync_x().outcome == "published"
    assert pair.has(OWN)
    expect_complete(pair.shelf)


def test_a_sync_of_it_at_each_step_of_a_take_down_publishes_nothing_that_stays() -> None:
    quiet = Pair()
    count = quiet.other.view.before = Counter(-1, None)
    quiet.down()
    assert len(count.steps) > 20
    for step in range(len(count.steps)):
        pair = Pair()
        pair.upstream.commit("acme/x", {"own": OWN, "shared": SHARED, "new": b"n"})
        pair.other.view.before = Counter(step, pair.sync_x)
        pair.down()
        pair.expect_down()
        assert pair.sync_x().code == "withdrawn"


def test_a_take_down_at_each_step_of_a_sync_of_it_stands() -> None:
    quiet = Pair()
    quiet.upstream.commit("acme/x", {"own": OWN, "new": b"n"})
    count = quiet.syncing.view.before = Counter(-1, None)
    assert quiet.sync_x().outcome == "published"
    for step in range(len(count.steps)):
        pair = Pair()
        pair.upstream.commit("acme/x", {"own": OWN, "new": b"n"})
        pair.syncing.view.before = Counter(step, pair.down)
        pair.sync_x()
        pair.syncing.view.before = Counter(-1, None)
        pair.expect_down()
        assert pair.sync_x().code == "withdrawn", count.steps[step]


def test_a_sync_that_needs_what_is_taken_down_loses_nothing_at_any_step() -> None:
    wanted = {"shared": SHARED, "y": b"of y", "own": OWN}
    quiet = Pair()
    quiet.upstream.commit("acme/y", wanted)
    count = quiet.syncing.view.before = Counter(-1, None)
    quiet.sync_y()
    for step in range(len(count.steps)):
        pair = Pair()
        pair.upstream.commit("acme/y", wanted)
        pair.syncing.view.before = Counter(step, pair.down)
        pair.sync_y()
        pair.expect_down()
        assert pair.has(OWN), count.steps[step]


def test_a_take_down_spares_what_a_sync_has_come_to_need_at_any_of_its_steps() -> None:
    wanted = {"shared": SHARED, "y": b"of y", "own": OWN}
    quiet = Pair()
    count = quiet.other.view.before = Counter(-1, None)
    quiet.down()
    for step, name in enumerate(count.steps):
        pair = Pair()
        pair.upstream.commit("acme/y", wanted)
        pair.other.view.before = Counter(step, pair.sync_y)
        report = pair.down()
        if name == "delete of a blob":  # a removal that was sent and stalls for a whole sync
            assert "verify --repair" in report.problems[0]
            continue
        assert report.ok, name
        pair.expect_down()
        assert pair.has(OWN), name


@pytest.mark.parametrize("behind", [-HOUR, 72 * HOUR])
def test_what_lies_in_a_cold_place_is_spared_where_a_sync_has_come_to_need_it_whatever_the_clock_there_says(
    behind: float,
) -> None:
    quiet = Pair(behind)
    count = quiet.other.view.before = Counter(-1, None)
    assert quiet.down().ok
    assert not quiet.has(OWN), "what nobody came to need goes"
    for step, name in enumerate(count.steps):
        pair = Pair(behind)
        pair.upstream.commit("acme/y", {"shared": SHARED, "y": b"of y", "own": OWN})
        pair.other.view.before = Counter(step, pair.sync_y)
        report = pair.down()
        if name == "delete of a blob":  # a removal that was sent and stalls for a whole sync
            continue
        assert report.ok, name
        pair.expect_down()
        assert pair.has(OWN), name


@pytest.mark.parametrize("verb", ["put", "delete", "list"])
def test_who_dies_in_between_has_taken_it_down_and_the_same_call_goes_on(verb: str) -> None:
    quiet = Pair()
    count = quiet.other.view.before = Counter(-1, None)
    quiet.down()
    steps = [at for at, name in enumerate(count.steps) if name.startswith(verb)]
    for step in steps:
        pair = Pair()

        def die() -> None:
            raise KeyboardInterrupt

        pair.other.view.before = Counter(step, die)
        with pytest.raises(KeyboardInterrupt):
            pair.down()
        pair.other.view.before = Counter(-1, None)
        expect_complete(pair.shelf)
        pair.clock.advance(3 * HOUR)
        assert pair.down().ok
        pair.expect_down()
        assert not pair.has(OWN), step
        assert pair.lists == []


def test_where_others_cannot_be_read_it_is_down_and_nothing_is_removed() -> None:
    pair = Pair()
    root = next(iter(refs_of(pair.shelf, "acme/y").snapshots.values()))
    kept = pair.shelf.objects.pop(blob_key(root))
    report = pair.down()
    assert not report.ok
    assert "acme/x is taken down, but not all that only it named is removed" in report.problems[0]
    assert pair.has(OWN)
    pair.shelf.objects[blob_key(root)] = kept
    pair.clock.advance(HOUR)
    again = pair.down()
    assert (again.ok, again.again) == (True, True)
    assert not pair.has(OWN)
    pair.expect_down()


def test_a_target_that_does_not_answer_is_not_written_to() -> None:
    pair = Pair()
    before = dict(pair.shelf.objects)

    def refuse(verb: str, key: str) -> None:
        if verb == "read":
            raise StoreUnavailable("no answer")

    pair.other.view.before = refuse
    with pytest.raises(StoreUnavailable):
        pair.down()
    assert pair.shelf.objects == before


def test_a_restore_of_what_is_half_taken_down_leaves_no_list_that_closes_a_digest() -> None:
    pair = Pair()
    listed: list[str] = []

    def stop(verb: str, key: str) -> None:
        if verb == "delete" and key.startswith("blobs/"):
            listed.extend(pair.lists)
            raise KeyboardInterrupt

    pair.other.view.before = stop
    with pytest.raises(KeyboardInterrupt):
        pair.down()
    assert withdrawn_key(Sha256.of(OWN)) in listed
    assert let_come_back(pair.syncing.context, pair.syncing.context.targets["bucket"], Repo.parse("acme/x"), "it may")
    assert pair.lists == []
    assert pair.sync_x().outcome == "published"
    expect_complete(pair.shelf)


def test_the_first_reason_stays_also_for_a_sync_that_writes_over_it_while_the_rest_is_removed() -> None:
    other = Tombstone("2026-11-21T08:00:00Z", "another reason")
    quiet = Pair()
    quiet.upstream.commit("acme/x", {"own": OWN, "new": b"n"})
    count = quiet.syncing.view.before = Counter(-1, None)
    quiet.sync_x()
    for step in range(len(count.steps)):
        pair = Pair()
        pair.upstream.commit("acme/x", {"own": OWN, "new": b"n"})

        def twice(pair: Pair = pair) -> None:
            pair.down()
            again = pair.down(other)
            assert (again.again, again.why) == (True, WHY.why)

        pair.syncing.view.before = Counter(step, twice)
        pair.sync_x()
        pair.expect_down()


def test_a_tombstone_that_cannot_be_read_still_holds_and_is_written_anew_by_the_next_word() -> None:
    pair = Pair()
    pair.down()
    del pair.shelf.objects[blob_key(Sha256.of(WHY.encode()))]
    report = pair.sync_x()
    assert (report.outcome, report.code) == ("held", "withdrawn")
    assert "for a reason that cannot be read" in report.reason
    assert pair.down().ok
    pair.expect_down()
