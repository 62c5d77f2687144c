"""A prune beside a sync, each doing everything at each single step of the other: nothing that is published is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.published import read_root
from mirror_sync.engine.upkeep.verify import Scope, Verification
from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports.store import Stat
from tests.engine.machines import (
    GRACE,
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
from tests.engine.workshop import job

ACME = job("acme/x", workers=1, retention=Retention(1, timedelta(hours=1)))
OLD = b"left by a run that did not end"
DEAD = "prunes/dead.active"
LETTING_GO = 3  # the third time that a prune reads a refs.json, it is about to write it
WANTED = {"a": b"1", "again": OLD, "new": b"3", "shared": b"s"}


class Pair:
    """A machine that syncs and another that prunes, and a target with much that may go, and that is wanted again."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shelf, self.upstream = Shelf(self.clock), Upstream()
        self.syncing, self.pruning = Machine(self.upstream, self.shelf), Machine(self.upstream, self.shelf)
        for files in ({"a": b"1", "shared": b"s"}, {"a": b"2", "shared": b"s"}):
            self.clock.advance(1)
            self.upstream.commit("acme/x", files)
            assert self.syncing.sync(ACME).outcome == "published"
        self.syncing.view.put(blob_key(Sha256.of(OLD)), OLD, Sha256.of(OLD))
        self.syncing.index.remember({GitOid.of_blob(OLD): Sha256.of(OLD)}, proved=True)
        self.clock.advance(GRACE.total_seconds() + HOUR)
        self.wanted = self.upstream.commit("acme/x", WANTED)

    def sync(self) -> None:
        assert self.syncing.sync(ACME).outcome in ("published", "unchanged")

    def prune(self) -> None:
        assert self.pruning.prune(ACME).ok

    def expect_well(self) -> None:
        expect_complete(self.shelf)
        assert refs_of(self.shelf, "acme/x").commit_of("main") == self.wanted
        ages = [age for _, age in self.pruning.view.deleted]
        assert all(age > GRACE.total_seconds() for age in ages), "a blob was removed within the grace period"


class Counter:
    """Acts at one step of a view, once; `steps` are those that passed."""

    def __init__(self, at: int, act: object) -> None:
        self.steps: list[str] = []
        self._at, self._act = at, act

    def __call__(self, verb: str, key: str) -> None:
        self.steps.append("delete of a blob" if verb == "delete" and key.startswith("blobs/") else verb)
        if len(self.steps) == self._at + 1 and callable(self._act):
            self._act()


def test_a_prune_at_each_step_of_a_sync_costs_it_nothing() -> None:
    quiet = Pair()
    count = quiet.syncing.view.before = Counter(-1, None)
    quiet.sync()
    assert len(count.steps) > 12
    for step in range(len(count.steps)):
        pair = Pair()
        pair.syncing.view.before = Counter(step, pair.prune)
        pair.sync()
        pair.expect_well()


def test_a_sync_at_each_step_of_a_prune_publishes_what_stays() -> None:
    quiet = Pair()
    count = quiet.pruning.view.before = Counter(-1, None)
    quiet.prune()
    for step, name in enumerate(count.steps):
        if name == "delete of a blob":
            continue  # a removal that was sent and stalls: see the test below
        pair = Pair()
        pair.pruning.view.before = Counter(step, pair.sync)
        pair.prune()
        pair.sync()
        pair.expect_well()


@pytest.mark.parametrize("behind", [-72 * HOUR, 72 * HOUR])
def test_what_lies_in_a_cold_place_is_as_old_as_the_clock_there_says(behind: float) -> None:
    pair = Pair()
    cold = Shelf(pair.clock)
    cold.behind = behind
    both, key = pair.pruning.tiered(cold), blob_key(Sha256.of(OLD))
    both.chill(Stat(key, len(OLD), 0.0), lambda: None)
    pair.clock.advance(GRACE.total_seconds() - HOUR)
    pair.prune()
    assert key in cold.objects
    pair.clock.advance(2 * HOUR)
    pair.prune()
    assert key not in cold.objects


def test_after_a_prune_beside_a_sync_the_next_one_leaves_nothing_unnamed() -> None:
    pair = Pair()
    pair.pruning.view.before = Counter(20, pair.sync)
    pair.prune()
    pair.clock.advance(GRACE.total_seconds() + HOUR)
    pair.prune()
    assert blobs_of(pair.shelf) == named(pair.shelf)


def test_a_removal_that_takes_effect_only_after_a_whole_sync_is_reported_and_can_be_repaired() -> None:
    """The window that remains: a delete that was sent in time and lands later than the settling time."""
    pair = Pair()
    fired: list[str] = []

    def stall(verb: str, key: str) -> None:
        if verb == "delete" and key.startswith("blobs/") and not fired:
            fired.append(key)
            pair.sync()

    pair.pruning.view.before = stall
    report = pair.pruning.prune(ACME)
    assert fired
    assert not report.ok
    assert "verify --repair" in report.problems[0]
    assert not _verify(pair.syncing.context, repair=True)
    expect_complete(pair.shelf)
    assert _verify(pair.syncing.context, repair=False)


def _sleep_in_a_removal(pair: Pair) -> list[str]:
    """The machine that prunes sleeps while a removal is on its way; another one clears its notice, and publishes."""
    object.__setattr__(pair.pruning.context, "monotonic", lambda: 0.0)
    fired: list[str] = []

    def sleep(verb: str, key: str) -> None:
        if verb == "delete" and key.startswith("blobs/") and not fired:
            fired.append(key)
            pair.clock.advance(3 * HOUR)
            pair.sync()

    pair.pruning.view.before = sleep
    return fired


@pytest.mark.parametrize("stopped", [False, True])
def test_what_a_prune_removed_late_is_looked_for_also_where_it_stood_still_or_is_stopped(stopped: bool) -> None:
    pair = Pair()
    fired = _sleep_in_a_removal(pair)

    def stop(verb: str, key: str) -> None:
        if stopped and fired:
            pair.pruning.context.stop.set()

    pair.pruning.view.after = stop
    report = pair.pruning.prune(ACME)
    assert fired
    assert any("named by a snapshot that was published meanwhile; run verify" in each for each in report.problems)
    assert not _verify(pair.syncing.context, repair=True)
    expect_complete(pair.shelf)


def test_where_what_is_published_cannot_be_read_after_a_removal_the_report_says_what_to_do() -> None:
    pair = Pair()

    def fail(verb: str, key: str) -> None:
        if verb == "read" and pair.pruning.view.deleted:
            raise StoreUnavailable("no answer")

    pair.pruning.view.before = fail
    report = pair.pruning.prune(ACME)
    removed = len(pair.pruning.view.deleted)
    assert removed
    said = (
        f"{removed} removed blobs were not looked for again in all that it publishes; run mirror-sync verify: no answer"
    )
    assert [said in each for each in report.problems] == [True]


def test_a_repo_that_this_machine_remembers_and_that_is_gone_at_the_end_hides_no_other() -> None:
    pair = Pair()
    pair.upstream.commit("acme/y", {"y": b"y"})
    assert pair.syncing.sync(job("acme/y", workers=1)).outcome == "published"
    remembered = frozenset({Repo.parse("acme/x"), Repo.parse("acme/y")})
    object.__setattr__(pair.pruning.context, "remembered", lambda target: remembered)
    fired: list[str] = []

    def take_down(verb: str, key: str) -> None:
        if verb == "delete" and key.startswith("blobs/") and not fired:
            fired.append(key)
            pair.sync()
            del pair.shelf.objects["hub/models/acme--y/refs.json"]

    pair.pruning.view.before = take_down
    problems = pair.pruning.prune(ACME).problems
    assert any("named by a snapshot that was published meanwhile; run verify" in each for each in problems)
    assert any("run mirror-sync verify: of what was published there it lacks acme/y" in each for each in problems)


def _verify(context: RunContext, *, repair: bool) -> bool:
    """Whether nothing had to be repaired, and nothing is wrong."""
    report = Verification(context, Scope(repair=repair), [ACME]).run()
    assert not report.faults
    return not report.repaired


def test_two_prunes_at_once_remove_the_same_and_no_more() -> None:
    for step in range(0, 60, 3):
        pair = Pair()
        other = Machine(pair.upstream, pair.shelf)
        pair.pruning.view.before = Counter(step, lambda other=other: other.prune(ACME))
        pair.prune()
        pair.sync()
        pair.expect_well()


def test_without_a_prune_a_sync_asks_three_times_and_waits_for_nothing() -> None:
    pair = Pair()
    count = pair.syncing.view.before = Counter(-1, None)
    before = pair.clock.now
    pair.sync()
    assert pair.clock.now == before
    assert count.steps.count("list") == 3
    assert "touch" not in count.steps


@pytest.mark.parametrize(("hours", "waits"), [(1, 1), (3, 0), (90 * 24, 0)])
def test_a_prune_that_died_costs_later_syncs_nothing(hours: int, waits: int) -> None:
    """It is not known to be dead before two hours are over, and nobody prunes here again."""
    pair = Pair()
    _die(pair)
    pair.clock.advance(hours * HOUR)
    before = pair.clock.now
    pair.sync()
    assert pair.clock.now - before == waits * pair.syncing.context.targets["bucket"].settling_time
    assert (DEAD in pair.shelf.objects) == bool(waits)
    pair.expect_well()


def test_a_dead_prunes_notice_is_cleared_by_the_first_sync_that_finds_it() -> None:
    pair = Pair()
    _die(pair)
    pair.clock.advance(3 * HOUR)
    pair.sync()
    pair.upstream.commit("acme/x", {**WANTED, "new": b"4"})
    count = pair.syncing.view.before = Counter(-1, None)
    pair.sync()
    assert "delete" not in count.steps
    assert count.steps.count("list") == 3
    assert "touch" not in count.steps


def test_a_prune_that_died_in_the_midst_of_a_sync_is_believed_however_long_that_sync_is() -> None:
    """Its notice is old when the sync publishes, but what it removed was removed after the sync had looked."""
    pair = Pair()
    quiet = Pair().syncing
    count = quiet.view.before = Counter(-1, None)
    quiet.sync(ACME)
    for step in range(len(count.steps)):
        pair = Pair()

        def sweep(pair: Pair = pair) -> None:
            _die(pair)
            for key in blobs_of(pair.shelf) - named(pair.shelf):
                if pair.clock.now - pair.shelf.objects[key][1] > GRACE.total_seconds():
                    del pair.shelf.objects[key]
            pair.clock.advance(3 * HOUR)

        pair.syncing.view.before = Counter(step, sweep)
        pair.sync()
        pair.expect_well()


def test_a_sync_that_clears_a_dead_prunes_notice_hides_it_from_no_other_that_goes_on() -> None:
    """One that began while the prune lived has to take care, also when the notice is gone before it publishes."""
    pair = Pair()
    _die(pair)
    other = Machine(pair.upstream, pair.shelf)
    pair.upstream.commit("acme/other", {"a": b"other"})

    def clear() -> None:
        pair.clock.advance(3 * HOUR)
        before = pair.clock.now
        assert other.sync(job("acme/other", workers=1)).outcome == "published"
        assert (pair.clock.now, DEAD in pair.shelf.objects) == (before, False)

    pair.syncing.view.before = Counter(8, clear)
    before = pair.clock.now
    pair.sync()
    assert pair.clock.now - before == 3 * HOUR + pair.syncing.context.targets["bucket"].settling_time
    pair.expect_well()


def test_a_prune_of_a_machine_that_slept_ends_itself() -> None:
    """One clock stood still meanwhile, and others have taken it for dead."""
    pair = Pair()
    context = pair.pruning.context
    object.__setattr__(context, "monotonic", lambda: 0.0)

    def sleep(verb: str, key: str) -> None:
        if verb == "list" and key == "blobs/sha256/":
            pair.clock.advance(3 * HOUR)

    pair.pruning.view.before = sleep
    report = pair.pruning.prune(ACME)
    assert (report.ok, report.blobs) == (False, 0)
    assert "stood still" in report.problems[0]


@pytest.mark.parametrize("hours", [0.25, 3])
def test_no_removal_is_sent_by_a_look_that_a_machine_slept_through(hours: float) -> None:
    """Long enough to be taken for dead, and only so long that the look is old: it is made again then."""
    pair = Pair()
    object.__setattr__(pair.pruning.context, "monotonic", lambda: 0.0)
    looked: list[float] = []
    sent: list[float] = []

    def sleep(verb: str, key: str) -> None:
        if verb == "stat" and key == blob_key(Sha256.of(OLD)):
            looked.append(pair.clock.now)
            if len(looked) == 1:
                pair.clock.advance(hours * HOUR)
        if verb == "delete" and key.startswith("blobs/"):
            sent.append(pair.clock.now - looked[-1])

    pair.pruning.view.before = sleep
    report = pair.pruning.prune(ACME)
    assert looked
    assert all(age <= 15 for age in sent)
    assert (report.ok, bool(sent)) == ((True, True) if hours < 1 else (False, False))


def test_a_name_that_is_published_while_a_prune_asks_for_ages_is_not_undone() -> None:
    """Another machine publishes between its reading of refs.json and its writing of it."""
    pair = Pair()
    reads: list[str] = []

    def publish(verb: str, key: str) -> None:
        if verb == "read" and key.endswith("refs.json"):
            reads.append(key)
        if verb == "stat" and key.startswith("blobs/") and len(reads) == LETTING_GO:
            reads.append("sync")
            pair.sync()

    pair.pruning.view.before = publish
    pair.prune()
    assert "sync" in reads
    pair.expect_well()


def _die(pair: Pair) -> None:
    """A prune puts its notice, and is killed."""
    pair.shelf.objects[DEAD] = (b"{}", pair.clock.now)


def test_a_ref_that_moves_onto_a_snapshot_which_a_prune_takes_away_is_published_anew() -> None:
    pair = Pair()
    repo = Repo.parse("acme/x")
    pair.upstream.commits[repo] = pair.upstream.commits[repo][:1]  # the upstream goes back to its first commit
    pair.wanted = pair.upstream.commits[repo][0][0]

    def before(verb: str, key: str) -> None:
        if verb == "put" and key.endswith("refs.json"):
            pair.syncing.view.before = lambda verb, key: None
            pair.prune()

    pair.syncing.view.before = before
    pair.sync()
    pair.expect_well()


def test_a_listing_that_was_compared_and_is_gone_when_it_is_read_again_is_written_anew() -> None:
    """Another machine has moved main meanwhile, and a prune has let the snapshot go that the new one builds on."""
    pair = Pair()
    pair.sync()
    digest = refs_of(pair.shelf, "acme/x").root_of("main")
    assert digest is not None
    shard = blob_key(read_root(pair.syncing.view, digest).shards[0].digest)
    pair.wanted, reads = pair.upstream.commit("acme/x", WANTED), list[str]()

    def before(verb: str, key: str) -> None:
        if key == shard and verb == "read":
            reads.append(key)
            if len(reads) == 2:
                del pair.shelf.objects[shard]

    pair.syncing.view.before = before
    report = pair.syncing.sync(ACME)
    assert (report.outcome, report.commit, len(reads) >= 2) == ("published", pair.wanted, True), report.reason
    pair.expect_well()
