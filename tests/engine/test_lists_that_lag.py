"""What a list tells is a hint: a list that is older than its repos holds none of them back for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.ranking import Ranking
from mirror_sync.domain.outcome.events import ListLags
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.sync.hints import RUNS
from mirror_sync.state.target_memory import SqliteReadCache
from tests.engine.workshop import Workshop, job
from tests.standin import Hub, faults

NEW = {"a": b"new"}
RANKING = Ranking(RepoPattern.parse("acme/*"), limit=50)
RANKED = job("acme/*", ranking=RANKING)


@pytest.fixture
def shop(hub: Hub, tmp_path: Path) -> Workshop:
    """One that remembers whose turn it was, as the program does."""
    shop = Workshop(hub.url, tmp_path)
    looks = SqliteReadCache(tmp_path / "state" / "looks.db", "bucket")
    shop.context = replace(shop.context, targets={"bucket": replace(shop.context.targets["bucket"], read_cache=looks)})
    return shop


def fill(hub: Hub, count: int) -> list[str]:
    names = [f"acme/m{number:02}" for number in range(count)]
    for number, name in enumerate(names):
        hub.model(name, license="mit", downloads=count - number).commit({"a": b"old"})
    return names


def of(names: Sequence[str], how: str) -> Job:
    return {"named": job(*names), "glob": job("acme/*"), "ranked": RANKED}[how]


HOW = pytest.mark.parametrize("how", ["named", "glob", "ranked"])


@HOW
def test_a_list_that_lags_behind_all_is_found_out_at_once(hub: Hub, shop: Workshop, how: str) -> None:
    names = fill(hub, 20)
    wanted = of(names, how)
    assert shop.sync(wanted).count(RepoOutcome.PUBLISHED) == 20
    hub.hold_lists()
    for name in names:
        hub.model(name).commit(NEW)
    assert shop.sync(wanted).count(RepoOutcome.PUBLISHED) == 20
    (told,) = [event for event in shop.events if isinstance(event, ListLags)]
    assert (told.repos, told.commit) == (20, hub.model(told.repo.id).head())


@HOW
def test_a_repo_that_alone_moved_is_asked_for_by_itself_within_so_many_runs(hub: Hub, shop: Workshop, how: str) -> None:
    names = fill(hub, 20)
    wanted = of(names, how)
    shop.sync(wanted)
    hub.hold_lists()
    hub.model(names[13]).commit(NEW)
    for _ in range(RUNS):
        shop.sync(wanted)
    assert shop.files(names[13]) == NEW


def test_three_repos_take_three_runs(hub: Hub, shop: Workshop) -> None:
    names = fill(hub, 3)
    shop.sync(job(*names))
    hub.hold_lists()
    hub.model(names[2]).commit(NEW)
    for _ in range(3):
        shop.sync(job(*names))
    assert shop.files(names[2]) == NEW


def test_a_run_that_was_asked_for_a_repo_asks_for_it_whatever_a_list_says(hub: Hub, shop: Workshop) -> None:
    names = fill(hub, 20)
    for wanted in (job(*names), job("acme/*"), RANKED):
        shop.sync(wanted)
        hub.hold_lists()
        hub.model(names[5]).commit({"a": str(wanted).encode()})
        two = frozenset({Repo.parse(names[5]), Repo.parse(names[6])})
        report = shop.sync(replace(wanted, only=two))
        assert report.count(RepoOutcome.PUBLISHED) == 1
        hub.release_lists()


def test_without_a_memory_turns_begin_anywhere_and_a_list_that_lags_behind_all_is_found_out(
    hub: Hub, workshop: Workshop
) -> None:
    names = fill(hub, 6)
    workshop.sync(job(*names))
    hub.hold_lists()
    for name in names:
        hub.model(name).commit(NEW)
    assert workshop.sync(job(*names)).count(RepoOutcome.PUBLISHED) == 6


def test_a_repo_that_cannot_be_asked_for_makes_no_list_lag(hub: Hub, shop: Workshop) -> None:
    names = fill(hub, 6)
    shop.sync(job(*names))
    hub.faults.add(faults.status(404, {"X-Error-Code": "RepoNotFound"}), "/api/models/acme/*")
    report = shop.sync(job(*names))
    assert report.count(RepoOutcome.UNCHANGED) == 5
    assert report.count(RepoOutcome.HELD) == 1
    assert not [event for event in shop.events if isinstance(event, ListLags)]
