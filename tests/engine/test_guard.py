"""An upstream that suddenly lists much less, or another repo, is held, and what was published stays."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.job.guard import Guard
from mirror_sync.domain.policy.gone import OnGone
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
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
    noted = workshop.refs("acme/x").attachments
    assert list(noted) == [f"held.{bad}"]
    assert workshop.store.written == [blob_key(noted[f"held.{bad}"]), "hub/models/acme--x/refs.json"]
    workshop.sync(job("acme/x"))
    assert workshop.store.written == [], "what is held still is written once"


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


LATER = datetime(2026, 6, 1, tzinfo=UTC)


def taken(hub: Hub) -> str:
    """Somebody else makes a repo of the same name, after a copy of its files; its `_id`."""
    hub.remove("acme/x")
    hub.model("acme/x", license="mit", created=LATER).commit({**FILES, "f0": b"other"}, author="mallory")
    (found,) = HubSource(hub.url, None, Transport()).search(RepoPattern.parse("acme/x"))
    assert isinstance(found, Resolved)
    return str(found.described["_id"])


def test_another_repo_under_a_published_name_is_held_until_it_is_accepted(
    hub: Hub, workshop: Workshop, first: str
) -> None:
    other = taken(hub)
    for _ in range(2):
        report = workshop.sync_one(job("acme/x"))
        assert (report.outcome, report.code) == ("held", "another-repo")
        assert f"_id {other} made 2026-06-01" in report.reason
        assert f"add '{other}' to guard.accept" in report.reason
    assert workshop.plan_one(job("acme/x")).code == "another-repo"
    assert workshop.files("acme/x") == FILES
    accepted = job("acme/x", guard=Guard(accept=frozenset({other})))
    assert workshop.sync_one(accepted).outcome == "published"
    assert workshop.files("acme/x")["f0"] == b"other"
    assert workshop.files("acme/x", first) == FILES
    assert workshop.sync_one(job("acme/x")).outcome == "unchanged", "it is the published one by now"


def test_another_repo_is_held_also_at_a_name_that_is_new(hub: Hub, workshop: Workshop, first: str) -> None:
    taken(hub)
    hub.model("acme/x").tag("v2")
    assert workshop.sync_one(job("acme/x", revisions=("v2",))).code == "another-repo"
    assert workshop.sync_one(job("acme/*")).code == "another-repo"


def test_another_repo_is_held_also_when_the_old_one_was_withdrawn(hub: Hub, workshop: Workshop, first: str) -> None:
    withdraw = job("acme/x", on_gone=OnGone.WITHDRAW)
    hub.model("acme/x").set(disabled=True)
    for ahead in (timedelta(0), timedelta(days=2)):
        workshop.ahead = ahead
        workshop.sync(withdraw)
    assert workshop.refs("acme/x").snapshots == {}
    taken(hub)
    assert workshop.sync_one(withdraw).code == "another-repo"
    assert workshop.refs("acme/x").snapshots == {}


def test_nothing_of_another_repo_is_asked_for_before_a_person_has_accepted_it(
    hub: Hub, workshop: Workshop, first: str
) -> None:
    taken(hub)
    hub.log.clear()
    workshop.sync(job("acme/x"))
    assert [record.path for record in hub.log] == ["/api/models/acme/x/revision/main"]


def test_a_renamed_repo_is_the_same_and_its_old_name_is_not(hub: Hub, workshop: Workshop, first: str) -> None:
    hub.rename("acme/x", "acme/y")
    new = hub.model("acme/y").commit({"f0": b"new"})
    assert workshop.sync_one(job("acme/x")).commit == new
    hub.model("acme/x", license="mit", created=LATER).commit(FILES, author="mallory")
    assert workshop.sync_one(job("acme/x")).code == "another-repo"
    assert workshop.files("acme/x")["f0"] == b"new"


def test_what_policy_refuses_in_between_does_not_make_a_withdrawn_repo_forgotten(
    hub: Hub, workshop: Workshop, first: str
) -> None:
    withdraw = job("acme/x", on_gone=OnGone.WITHDRAW)
    hub.model("acme/x").set(disabled=True)
    for ahead in (timedelta(0), timedelta(days=2)):
        workshop.ahead = ahead
        workshop.sync(withdraw)
    taken(hub)
    hub.model("acme/x", license="gpl-3.0")
    assert workshop.sync_one(withdraw).outcome == "refused"
    hub.model("acme/x", license="mit")
    report = workshop.sync_one(withdraw)
    assert report.code == "another-repo"
    assert report.reason.endswith("what was published is withdrawn")


def test_an_empty_listing_is_no_first_word_of_a_new_name(hub: Hub, workshop: Workshop, first: str) -> None:
    """Whatever else is published of the repo: that is not what the new name replaces."""
    hub.model("acme/x").commit({}, replace_all=True)
    hub.model("acme/x").tag("v1")
    report = workshop.sync_one(job("acme/x", revisions=("v1",)))
    assert (report.outcome, report.code) == ("failed", "bad-answer")
    assert report.reason.endswith("the upstream lists no file")
    assert workshop.refs("acme/x").commit_of("v1") is None


def test_a_damaged_listing_counts_by_its_root_and_is_healed_by_a_commit_that_is_whole(
    hub: Hub, workshop: Workshop, first: str
) -> None:
    for shard in workshop.root("acme/x").shards:
        workshop.path(shard.digest).unlink()
    hub.model("acme/x").commit({"f0": b"0"}, replace_all=True)
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("held", "guard")
    assert "it removes 9 of 10 published files" in report.reason
    good = hub.model("acme/x").commit({**FILES, "f0": b"new"})
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    assert workshop.commit("acme/x") == good
