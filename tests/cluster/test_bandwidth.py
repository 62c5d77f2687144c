"""A limit of bandwidth is one for all workers together: the coordinator deals it out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror_sync.cluster.messages import Deal, Envelope
from mirror_sync.cluster.workplace import Workplace
from mirror_sync.domain.job.bandwidth import Bandwidth, Portion
from mirror_sync.sources.wrappers.pacing import Limiter, Timing
from tests.cluster.machines import Machines
from tests.cluster.test_dask import BIG, offer
from tests.engine.workshop import Workshop
from tests.standin import Hub

RATE = 20_000_000  # bytes a second


@pytest.mark.parametrize(("limit", "part"), [(8_000_000, 2_000_000), (3, 1), (0, 0), (None, None)])
def test_a_part_of_a_limit_is_never_nothing_and_a_pause_stays_a_pause(limit: int | None, part: int | None) -> None:
    assert Portion(4).of(limit) == part


def test_a_limiter_follows_its_portion_at_once() -> None:
    portion, waits = Portion(), list[float]()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    limiter = Limiter(Bandwidth(1000), Timing(waits.append, lambda: 0.0, lambda: now, portion))
    limiter.take(1000)
    portion.among = 4
    limiter.take(1000)
    limiter.take(1)
    assert [round(wait, 3) for wait in waits] == [1.0, 5.0]


def test_the_newest_deal_of_each_coordinator_holds_and_of_several_the_smallest_part(tmp_path: Path) -> None:
    def send(sender: str, envelope: Envelope) -> None:
        pass

    context = Workshop("http://127.0.0.1:9", tmp_path).context
    place, portion = Workplace(context, {}, send, "here"), context.portion
    seen = []
    for deal in (Deal("a", 2, 4), Deal("a", 1, 9), Deal("b", 1, 2), Deal("a", 3, 1), Deal("b", 2, 1)):
        place.deal(deal)
        seen.append(portion.among)
    assert seen == [4, 4, 4, 2, 1]


def test_two_workers_read_no_faster_together_than_the_limit(hub: Hub, machines: Machines) -> None:
    """Nothing but a limit that is not dealt out makes them quicker; a slow machine makes them slower."""
    offer(hub)
    offer(hub, "acme/y", seed=2)
    for _ in range(2):
        machines.worker("--repos", "1")
    jobs = [{"name": "job", "repos": ["acme/*"], "bandwidth": {"limit": "20MB/s"}}]
    report = machines.sync(jobs=jobs)
    assert report.ok
    assert max(repo.seconds for repo in report.repos) > 0.85 * 2 * BIG / RATE
