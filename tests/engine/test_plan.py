"""`plan` says what a sync would do, and does nothing."""

from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Hub


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
