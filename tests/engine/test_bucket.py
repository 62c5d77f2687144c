"""The whole life of a mirror in a real bucket: sync, verify, repair, retention and prune on radosgw."""

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.keep import Keep, ReadTimes
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.run import sync_jobs
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.stores.s3.bucket_store import S3Store
from tests.engine.workshop import Workshop, job
from tests.servers.bucket import S3Server
from tests.standin import LFS, Hub
from tests.stores.places import target_on

OLD, NEW = b"old weights" * 1000, b"new weights" * 1000
JOB = job("acme/x", retention=Retention(snapshots=1, age=timedelta(0)))


@pytest.fixture
def workshop(hub: Hub, radosgw: S3Server, tmp_path: Path) -> Workshop:
    made = Workshop(hub.url, tmp_path, store=S3Store(target_on(radosgw, "some/prefix")))
    hub.model("acme/x", license="mit").commit({"a": b"1", "w": LFS(OLD)})
    assert made.sync(JOB).ok
    return made


def test_what_is_missing_or_changed_in_a_bucket_is_named_and_repaired(workshop: Workshop) -> None:
    assert workshop.verify(JOB).ok
    workshop.store.delete([blob_key(Sha256.of(b"1"))])
    rotten = b"rotten" * 10
    workshop.store.put(blob_key(Sha256.of(OLD)), rotten, Sha256.of(rotten))
    report = workshop.verify(JOB)
    assert {(fault.path, fault.sha256) for fault in report.faults} == {("a", Sha256.of(b"1")), ("w", Sha256.of(OLD))}
    assert workshop.verify(JOB, repair=True).repaired
    assert workshop.verify(JOB).ok
    assert workshop.files("acme/x") == {"a": b"1", "w": OLD}


def test_what_only_an_expired_snapshot_names_leaves_the_bucket_and_nothing_else(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x").commit({"w": LFS(NEW)})
    time.sleep(1.1)  # a bucket's clock has seconds
    assert workshop.sync(JOB).ok
    time.sleep(1.1)
    target = replace(workshop.context.targets["bucket"], grace=timedelta(0))
    context = replace(workshop.context, targets={"bucket": target})
    rehearsal = Prune(context, [JOB], dry_run=True).run()
    assert Sha256.of(OLD) in workshop.blobs(), "a rehearsal removes nothing"
    report = Prune(context, [JOB]).run()
    assert report.ok, report.problems
    assert report.blobs == rehearsal.blobs > 0
    assert Sha256.of(OLD) not in workshop.blobs()
    assert workshop.files("acme/x") == {"a": b"1", "w": NEW}
    assert workshop.verify(JOB).ok
    assert workshop.sync_one(JOB).outcome == "unchanged"


def test_a_repo_that_is_let_go_of_leaves_the_bucket_and_comes_back_to_who_asks(hub: Hub, workshop: Workshop) -> None:
    every = job("acme/*")
    hub.model("acme/y", license="mit").commit({"y": LFS(NEW * 2)})
    assert workshop.sync(every).ok
    time.sleep(1.1)
    keep = Keep(len(OLD) + 12_000, ("log",), unread=timedelta(0))
    target = replace(workshop.context.targets["bucket"], grace=timedelta(0), keep=keep)
    now = workshop.context.clock().timestamp()
    reads = ReadTimes(since=1.0, doubt="", read={Repo.parse("acme/x"): now})
    context = replace(workshop.context, targets={"bucket": target}, reads=lambda _: reads)
    report = Prune(context, [every]).run()
    assert report.ok, report.problems
    assert [one.repo for one in report.keeps[0].repos] == ["acme/y"]
    assert report.keeps[0].repos[0].bytes >= len(NEW) * 2
    assert Sha256.of(NEW * 2) not in workshop.blobs()
    assert workshop.files("acme/x") == {"a": b"1", "w": OLD}
    assert workshop.verify(every).ok
    assert {one.repo: one.code for one in sync_jobs(context, [every], [every]).repos} == {
        "acme/x": "",
        "acme/y": "let-go",
    }
    asking = replace(context, wanted_now=frozenset({Repo.parse("acme/y")}))
    assert {one.code for one in sync_jobs(asking, [every], [every]).repos} == {""}
    assert workshop.files("acme/y") == {"y": NEW * 2}
    assert workshop.verify(every).ok
