"""Two machines publish into one target, without a lock between them."""

from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.selection import Selection
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Hub

REFS = "hub/models/acme--x/refs.json"


@pytest.fixture
def other(hub: Hub, workshop: Workshop, tmp_path: Path) -> Workshop:
    return Workshop(hub.url, tmp_path / "other", store=workshop.store.store)


def test_a_ref_that_a_race_dropped_is_put_back_by_the_next_run_without_a_fetch(
    hub: Hub, workshop: Workshop, other: Workshop
) -> None:
    """One machine reads refs.json, the other publishes, and the first writes over it."""
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1", "w": LFS(b"weights")})
    repo.tag("v1")
    second = repo.commit({"a": b"2", "w": LFS(b"weights")})
    tagged, main = job("acme/x", name="tagged", revisions=("v1",)), job("acme/x")

    def race(key: str) -> None:
        if key == REFS:
            workshop.store.before_put = lambda key: None
            assert other.sync_one(tagged).outcome == "published"

    workshop.store.before_put = race
    assert workshop.sync_one(main).outcome == "published"
    assert workshop.commit("acme/x", "v1") is None, "the race did not happen"

    hub.log.clear()
    assert other.sync_one(tagged).outcome == "published"
    assert hub.calls("GET", "*/resolve/*") == 0
    assert (workshop.commit("acme/x", "v1"), workshop.commit("acme/x")) == (first, second)
    assert workshop.files("acme/x", "v1") == {"a": b"1", "w": b"weights"}
    assert workshop.sync_one(main).outcome == "unchanged"


def test_two_machines_that_publish_the_same_end_with_one_whole_snapshot(
    hub: Hub, workshop: Workshop, other: Workshop
) -> None:
    commit = hub.model("acme/x", license="mit").commit({"a": b"1"})
    workshop.store.before_put = lambda key: _once(workshop, other)
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    assert list(workshop.refs("acme/x").snapshots) == [commit]
    assert workshop.files("acme/x") == {"a": b"1"}


def _once(workshop: Workshop, other: Workshop) -> None:
    workshop.store.before_put = lambda key: None
    assert other.sync_one(job("acme/x")).outcome == "published"


def test_a_commit_that_is_decided_anew_beside_another_machine_is_guarded_as_at_first(
    hub: Hub, workshop: Workshop, other: Workshop
) -> None:
    """The snapshot that a sync builds on is replaced before it publishes: by one that the new commit would shrink."""
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({f"f{number}": b"%d" % number for number in range(10)})
    other.sync(job("acme/x"))
    repo.commit({"f0": b"new"}, replace_all=True)
    selected = job("acme/x", selection=Selection(exclude=("z",)))

    def race(key: str) -> None:
        workshop.store.before_put = lambda key: None
        assert other.sync_one(replace(selected, revisions=(first,))).outcome == "published"

    workshop.store.before_put = race
    report = workshop.sync_one(selected)
    assert (report.outcome, report.code) == ("held", "guard")
    assert "it removes 9 of 10 published files" in report.reason
    assert workshop.commit("acme/x") == first
