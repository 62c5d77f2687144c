"""An upstream that suddenly lists much less is held, and what was published stays."""

from pathlib import Path

import pytest

from mirror_sync.domain.guard import Guard
from mirror_sync.domain.selection import Selection
from tests.engine.workshop import Workshop, job
from tests.standin import Hub

FILES = {f"f{number}": b"%d" % number for number in range(10)}


@pytest.fixture
def first(hub: Hub, workshop: Workshop) -> str:
    commit = hub.model("acme/x", license="mit").commit(FILES)
    workshop.sync(job("acme/x"))
    return commit


def test_a_commit_that_removes_too_much_is_held_with_counts_and_the_key(
    hub: Hub, workshop: Workshop, first: str
) -> None:
    bad = hub.model("acme/x").commit({"f0": b"0"}, replace_all=True)
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code, report.commit) == ("held", "guard", bad)
    assert report.reason == (
        f"commit {bad}: it removes 9 of 10 published files; guard.max_removed is 50%; "
        "the snapshot published before stays"
    )
    assert workshop.commit("acme/x") == first
    assert workshop.files("acme/x") == FILES
    assert workshop.store.written == []


@pytest.mark.parametrize("selection", [Selection(), Selection(exclude=("f1",))])
def test_an_empty_listing_is_held_whatever_is_selected(
    hub: Hub, workshop: Workshop, first: str, selection: Selection
) -> None:
    hub.model("acme/x").commit({}, replace_all=True)
    report = workshop.sync_one(job("acme/x", selection=selection))
    assert (report.outcome, report.code) == ("held", "guard")
    assert "it lists no file, where 10 are published" in report.reason
    assert workshop.commit("acme/x") == first


def test_max_removed_100_percent_lets_everything_go(hub: Hub, workshop: Workshop, first: str) -> None:
    hub.model("acme/x").commit({}, replace_all=True)
    report = workshop.sync_one(job("acme/x", guard=Guard(1.0)))
    assert (report.outcome, report.files) == ("published", 0)
    assert workshop.files("acme/x", first) == FILES, "a commit once published stays readable by its id"


def test_a_smaller_selection_is_the_operators_own_wish(hub: Hub, workshop: Workshop, first: str) -> None:
    hub.model("acme/x").commit({"f0": b"new"})
    report = workshop.sync_one(job("acme/x", selection=Selection(include=("f0",))))
    assert (report.outcome, report.files) == ("published", 1)


def test_a_name_that_goes_back_to_a_small_published_commit_is_held(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    small = repo.commit({"f0": b"0"})
    repo.tag("v0", small)
    workshop.sync(job("acme/x", revisions=("v0",)))
    repo.commit(FILES)
    workshop.sync(job("acme/x"))
    repo.branch("main", small)
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("held", "guard")
    assert workshop.files("acme/x") == FILES


def test_plan_says_the_same_and_the_next_good_commit_is_published(hub: Hub, workshop: Workshop, first: str) -> None:
    hub.model("acme/x").commit({"f0": b"0"}, replace_all=True)
    assert workshop.plan_one(job("acme/x")).outcome == "held"
    workshop.sync(job("acme/x"))
    good = hub.model("acme/x").commit({**FILES, "f0": b"new"})
    assert workshop.sync_one(job("acme/x")).commit == good
    assert workshop.commit("acme/x") == good


def test_another_machine_sees_the_same(hub: Hub, workshop: Workshop, first: str, tmp_path: Path) -> None:
    hub.model("acme/x").commit({"f0": b"0"}, replace_all=True)
    other = Workshop(hub.url, tmp_path / "other", store=workshop.store.store)
    assert other.sync_one(job("acme/x")).code == "guard"
