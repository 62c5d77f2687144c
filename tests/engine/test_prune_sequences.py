"""In whatever order commits, syncs, prunes and long waits come, and inside each other: nothing published is lost."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mirror_sync.domain.job.guard import Guard
from mirror_sync.domain.job.retention import Retention
from tests.engine.machines import HOUR, Clock, Machine, Shelf, Upstream, expect_complete
from tests.engine.workshop import job

GRACE = timedelta(hours=2)  # small, so that blobs of every age occur
REPOS = st.sampled_from(["acme/x", "acme/y"])
FILES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([b"1", b"2", b"3", b"4"]), min_size=1)
WAITS = st.sampled_from([0.0, 1.0, 30.0, HOUR / 2, HOUR, 3 * HOUR])
KEPT = st.builds(Retention, st.integers(0, 2), st.sampled_from([timedelta(0), GRACE, 3 * GRACE]))


class Life(RuleBasedStateMachine):
    """Two machines that sync and prune one target, with two repos whose contents overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.shelf, self.upstream = Shelf(self.clock), Upstream()
        self.one, self.two = (Machine(self.upstream, self.shelf, grace=GRACE) for _ in range(2))
        self.retention = Retention(1, timedelta(0))
        self.upstream.commit("acme/x", {"a": b"1"})

    @rule(repo=REPOS, files=FILES)
    def commit(self, repo: str, files: dict[str, bytes]) -> None:
        self.upstream.commit(repo, files)

    @rule(repo=REPOS, wait=WAITS)
    def sync(self, repo: str, wait: float) -> None:
        self._sync(self.one, repo)
        self.clock.advance(wait)

    @rule(wait=WAITS)
    def prune(self, wait: float) -> None:
        self._prune(self.one)
        self.clock.advance(wait)

    @rule(retention=KEPT)
    def keep(self, retention: Retention) -> None:
        self.retention = retention

    @rule(repo=REPOS, step=st.integers(0, 40), wait=WAITS)
    def prune_inside_a_sync(self, repo: str, step: int, wait: float) -> None:
        """The sync may take long before that step, which makes what it brought old."""

        def act() -> None:
            self.clock.advance(wait)
            self._prune(self.two)

        self._at(self.one, step, act)
        self._sync(self.one, repo)
        self.one.view.before = lambda verb, key: None

    @rule(repo=REPOS, step=st.integers(0, 60))
    def sync_inside_a_prune(self, repo: str, step: int) -> None:
        self._at(self.two, step, lambda: self._sync(self.one, repo))
        self._prune(self.two)
        self.two.view.before = lambda verb, key: None

    @invariant()
    def every_ref_resolves_to_a_complete_snapshot(self) -> None:
        expect_complete(self.shelf)

    @invariant()
    def nothing_within_the_grace_period_was_removed(self) -> None:
        removed = [*self.one.view.deleted, *self.two.view.deleted]
        assert all(age > GRACE.total_seconds() for _, age in removed)

    def _sync(self, machine: Machine, repo: str) -> None:
        off = job(repo, workers=1, guard=Guard(1.0))
        report = machine.sync(off)
        known = any(str(found) == repo for found in self.upstream.commits)
        assert report.outcome in (("published", "unchanged") if known else ("failed",)), report.reason

    def _prune(self, machine: Machine) -> None:
        """What a first sync has brought so far, for hours, looks like a target that lost its repos: it is refused."""
        publishes, removed = any(key.endswith("/refs.json") for key in self.shelf.objects), len(machine.view.deleted)
        report = machine.prune(job("acme/*", retention=self.retention))
        if not publishes and not report.ok:
            assert "publishes no repo" in report.problems[0]
            assert len(machine.view.deleted) == removed
        else:
            assert report.ok, report.problems

    def _at(self, machine: Machine, step: int, act: object) -> None:
        left = [step]

        def before(verb: str, key: str) -> None:
            if verb == "delete" and key.startswith("blobs/"):
                return  # a removal in flight: see test_prune_beside_sync
            left[0] -= 1
            if left[0] == -1 and callable(act):
                act()

        machine.view.before = before


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=40, stateful_step_count=14, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
