"""`plan` says what a sync would do, and does nothing."""

from pathlib import Path

import pytest

from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.outcome.events import RepoPlanned
from mirror_sync.engine.context import REPOS_AT_ONCE
from mirror_sync.errors import StoreUnavailable
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.engine.workshop import PART, Workshop, job
from tests.standin import LFS, Generated, Hub


class Small(DirectoryStore):
    def free(self) -> int:
        return PART


class Mute(DirectoryStore):
    def free(self) -> int:
        raise StoreUnavailable("the disk says nothing")


def test_a_plan_counts_what_the_sync_then_does_and_writes_nothing(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"1", "same": b"1", "w": LFS(b"weights"), "old": b"gone"})
    plan = workshop.plan_one(job("acme/x"))
    assert workshop.store.written == []
    assert (plan.outcome, plan.fetch_files, plan.reuse_files, plan.remove_files) == ("published", 3, 1, 0)
    report = workshop.sync_one(job("acme/x"))
    assert (report.fetched_files, report.fetched_bytes, report.reused_files) == (
        plan.fetch_files,
        plan.fetch_bytes,
        plan.reuse_files,
    )
    repo.commit({"a": b"22"}, delete=["old"])
    plan = workshop.plan_one(job("acme/x"))
    assert (plan.fetch_files, plan.fetch_bytes, plan.reuse_files, plan.remove_files, plan.remove_bytes) == (
        1,
        2,
        2,
        1,
        4,
    )


def test_a_plan_gives_the_same_reasons_as_a_sync(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/gpl", license="gpl-3.0").commit({"a": b"1"})
    hub.model("acme/same", license="mit").commit({"a": b"1"})
    workshop.sync(job("acme/same"))
    wanted = job("acme/gpl", "acme/missing", "acme/same", "nobody/*")
    plans = {(plan.repo, plan.outcome, plan.reason) for plan in workshop.plan(wanted).repos}
    assert plans == {(repo.repo, repo.outcome, repo.reason) for repo in workshop.sync(wanted).repos}
    assert not workshop.plan(wanted).ok


def test_a_ref_that_moves_alone_counts_its_files_as_reused_in_plan_and_sync(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"12345", "b": b"1"})
    workshop.sync(job("acme/x"))
    repo.tag("v1")
    tagged = job("acme/x", revisions=("v1",))
    plan = workshop.plan_one(tagged)
    report = workshop.sync_one(tagged)
    assert (plan.fetch_files, plan.reuse_files, plan.reuse_bytes) == (0, 2, 6)
    assert (report.fetched_files, report.reused_files, report.reused_bytes) == (0, 2, 6)
    (planned,) = [event for event in workshop.events if isinstance(event, RepoPlanned)]
    assert (planned.reuse_files, planned.reuse_bytes) == (2, 6)


def test_a_new_name_removes_nothing_from_another(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1"})
    repo.tag("v1", first)
    repo.commit({"b": b"2"})
    workshop.sync(job("acme/x"))
    plan = workshop.plan_one(job("acme/x", revisions=("v1",)))
    assert (plan.outcome, plan.remove_files, plan.remove_bytes) == ("published", 0, 0)


def test_a_name_that_moves_onto_a_published_commit_removes_what_that_lacks(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    small = repo.commit({"a": b"1", "b": b"2"})
    repo.tag("v0", small)
    repo.commit({"c": b"333"})
    workshop.sync(job("acme/x", revisions=("v0", "main")))
    repo.branch("main", small)
    plan = workshop.plan_one(job("acme/x"))
    assert (plan.fetch_files, plan.reuse_files, plan.remove_files, plan.remove_bytes) == (0, 2, 1, 3)


def test_a_plan_asks_nothing_after_a_stop(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    workshop.stop.set()
    report = workshop.plan(job("acme/*"), job("acme/x", name="other"))
    assert report.interrupted
    assert report.repos == ()
    assert len(hub.log) == 0


@pytest.mark.parametrize("at", ["/api/models", "/refs", "/tree/"])
def test_a_stop_in_the_middle_of_a_plan_ends_it_before_the_next_question(hub: Hub, workshop: Workshop, at: str) -> None:
    for number in range(8):
        hub.model(f"acme/m{number}", license="mit").commit({"a": b"%d" % number})
    revisions = ("main", "v*") if at == "/refs" else ("main",)
    hub.faults.before(lambda _: workshop.stop.set(), lambda request: at in request.path)
    report = workshop.plan(job("acme/*", revisions=revisions), job("zoo/*", name="later"))
    assert report.interrupted
    assert report.repos == ()
    assert len(hub.log.records(f"GET *{at}*")) <= REPOS_AT_ONCE
    assert [record for record in hub.log if "author=zoo" in record.query] == []


def test_what_a_stop_leaves_of_a_gathering_is_counted_as_left(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    hub.faults.before(lambda _: workshop.stop.set(), lambda request: "author=acme" in request.query_text)
    report = workshop.sync(job("acme/*", "zoo/*"))
    assert (report.interrupted, report.left, report.repos) == (True, 2, ())
    assert len(hub.log) == 1


def test_a_content_that_several_repos_share_is_planned_once_a_target(hub: Hub, workshop: Workshop) -> None:
    for name in ("acme/a", "acme/b", "acme/c"):
        hub.model(name, license="mit").commit({"w": LFS(b"w" * 5000), "own": name.encode()})
    wanted = (job("acme/a", "acme/b", retention=Retention(4)), job("acme/*", name="all"))
    report = workshop.plan(*wanted)
    (target,) = report.targets
    assert (target.fetch_files, target.fetch_bytes) == (4, 5000 + 3 * 6)
    assert sum(repo.fetch_bytes for repo in report.repos if repo.job == "job") == 5000 + 2 * 6
    assert all(repo.fetch_files + repo.reuse_files == 2 for repo in report.repos)
    assert (target.published_bytes, target.versions, target.advised_bytes) == (5018, 4, 5018 * 4 * 12 // 10)
    done = workshop.sync(*wanted)
    assert sum(repo.fetched_bytes for repo in done.repos) == target.fetch_bytes
    (then,) = workshop.plan(*wanted).targets
    assert (then.fetch_bytes, then.needed_bytes) == (0, 0)


def test_a_plan_of_more_than_fits_is_not_ok_and_a_sync_would_refuse_it(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit({"w": LFS(Generated(2 * PART, seed=3))})
    small = Workshop(hub.url, tmp_path, store=Small(tmp_path / "disk", part_size=PART))
    report = small.plan(job("acme/x"))
    (target,) = report.targets
    assert (report.ok, target.fits, target.free_bytes) == (False, False, PART)
    assert small.sync_one(job("acme/x")).code == "target-full"


def test_a_target_whose_room_cannot_be_asked_is_not_one_without_room(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    mute = Workshop(hub.url, tmp_path, store=Mute(tmp_path / "disk", part_size=PART))
    (target,) = mute.plan(job("acme/x")).targets
    assert (target.fits, target.free_bytes, target.problem) == (True, None, "the disk says nothing")
