"""A bucket that confirms a PUT and keeps nothing: what was put is looked for before it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs
from mirror_sync.stores.s3.bucket_store import S3Store
from tests.engine.workshop import Workshop, job
from tests.servers.bucket import S3Server
from tests.servers.lying import Lying, lying
from tests.standin import LFS, Hub
from tests.stores.places import target_on

JOB = job("acme/x")
FILES = {f"f{number}": b"%d" % number for number in range(6)}
WEIGHTS = b"weights" * 3_000_000  # larger than a part
LOST: dict[str, Callable[[str], bool]] = {
    "a file": lambda path: path.endswith(Sha256.of(b"3")),
    "a document": lambda path: "/blobs/" in path and not any(path.endswith(Sha256.of(b)) for b in FILES.values()),
    "everything": lambda path: True,
}


@pytest.fixture
def bucket(moto: S3Server) -> Iterator[tuple[Lying, S3Target]]:
    with lying(moto.endpoint_url) as relay:
        yield relay, replace(target_on(moto), endpoint_url=relay.endpoint_url, region="us-east-1")


def shop(hub: Hub, tmp_path: Path, bucket: tuple[Lying, S3Target], *, confirm: bool = True) -> Workshop:
    return Workshop(hub.url, tmp_path, store=S3Store(replace(bucket[1], confirm=confirm)))


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST.keys())
def test_nothing_is_published_of_which_a_part_was_not_kept(
    hub: Hub, tmp_path: Path, bucket: tuple[Lying, S3Target], lost: Callable[[str], bool]
) -> None:
    hub.model("acme/x", license="mit").commit(FILES)
    relay, made = bucket[0], shop(hub, tmp_path, bucket)
    relay.drops = lambda path: lost(path.partition("?")[0])
    report = made.sync_one(JOB)
    assert (report.outcome, report.code) == ("failed", "target-unavailable"), report.reason
    assert "confirmed what it did not keep: blobs/sha256/" in report.reason
    assert not read_refs(made.store, Repo.parse("acme/x")).refs
    relay.drops = lambda _: False
    assert made.sync(JOB).ok, "the next run finds what is missing and brings it"
    assert made.files("acme/x") == FILES


def test_each_object_that_was_put_is_asked_for_once(hub: Hub, tmp_path: Path, bucket: tuple[Lying, S3Target]) -> None:
    hub.model("acme/x", license="mit").commit({**FILES, "w": LFS(WEIGHTS)})
    relay = bucket[0]
    assert shop(hub, tmp_path, bucket).sync(JOB).ok
    hub.model("acme/x").commit({"new": b"new"})
    relay.asked.clear()
    assert shop(hub, tmp_path, bucket, confirm=False).sync(JOB).ok
    unconfirmed = relay.count("HEAD")
    hub.model("acme/x").commit({"newer": b"newer"})
    relay.asked.clear()
    assert shop(hub, tmp_path, bucket).sync(JOB).ok
    put = {path.partition("?")[0] for method, path in relay.asked if method == "PUT" and "/blobs/" in path}
    assert relay.count("HEAD") - unconfirmed == len(put), "one look for each object put, and none else"


def test_a_file_that_came_in_parts_is_asked_for_too(hub: Hub, tmp_path: Path, bucket: tuple[Lying, S3Target]) -> None:
    hub.model("acme/x", license="mit").commit({"w": LFS(WEIGHTS)})
    made = shop(hub, tmp_path, bucket)
    assert made.sync(JOB).ok
    assert bucket[0].count("HEAD", blob_key(Sha256.of(WEIGHTS))) >= 1
