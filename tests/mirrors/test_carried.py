"""What is carried of a mirror's snapshot: documents of any size, out of folders, fronts and real buckets with keys."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.attested import LARGEST_ATTESTED, UPSTREAM_ROOT, is_carried
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.doors.ways import DOORS
from mirror_sync.domain.job.targets import DirectoryTarget, Target, Tiers
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.errors import BadAnswer, DocumentError, StoreUnavailable
from mirror_sync.ports.memory import NoReadCache
from mirror_sync.ports.store import Stat, Store
from mirror_sync.scratch.spooled import HELD, SpooledDocument, spooled
from mirror_sync.sources.mirror.feed_view import FeedView
from mirror_sync.sources.mirror.mirror_source import MirrorSource
from mirror_sync.sources.mirror.readers import StoreReader
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.wiring.adapters import open_tiers
from tests.front.bucket import Published, model
from tests.front.mirrors import by_serve
from tests.mirrors.chain import PERSON, Node
from tests.servers.bucket import S3Server
from tests.standin import LFS, Generated, Hub
from tests.stores.places import Bucket, target_on

MIB = 1024 * 1024
LARGE = 70 * MIB  # bytes: beyond what was carried at all once, as sums of a million files are
PEAK = 48 * MIB  # bytes of Python's own, of which a part of an upload and its copy are most
INFO = {"license": "mit", "cardData": {"license": "mit"}, "private": False, "gated": False}


@dataclass
class Way:
    """A mirror's target, what reads it as an upstream, and where that publishes."""

    store: Store
    upstream: dict[str, Any]
    target: dict[str, Any]


@pytest.fixture(params=["folder", "front", "radosgw"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    folder = {"url": (tmp_path / "edge-bucket").as_uri()}
    if request.param == "radosgw":
        server: S3Server = request.getfixturevalue("radosgw")
        place = target_on(server)
        yield Way(Bucket(place).open(), server.place(bucket=place.bucket), server.place())
        return
    store = DirectoryStore(tmp_path / "bucket")
    if request.param == "folder":
        yield Way(store, {"url": (tmp_path / "bucket").as_uri()}, folder)
        return
    with by_serve(store, by_digest=False) as front:
        yield Way(store, {"url": front.url}, folder)


def edge_of(way: Way, folder: Path, *repos: str) -> Node:
    job = {"repos": [*repos]}
    return Node(folder / "edge", {"kind": "mirror", **way.upstream}, job=job, target={**way.target, "grace": "0s"})


def test_a_document_of_70_mib_is_proved_and_carried_without_being_held(way: Way, tmp_path: Path) -> None:
    repo = model(way.store)
    sums = Generated(LARGE).read()
    repo.publish({"README.md": b"---\nlicense: mit\n---\n"}, attached={"SHA256SUMS": sums}, described=INFO)
    digest = Sha256.of(sums)
    del sums
    edge = edge_of(way, tmp_path, str(repo.repo))
    tracemalloc.start()
    try:
        (report,) = edge.sync().values()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.outcome is RepoOutcome.PUBLISHED, report
    attached = edge.root(str(repo.repo)).attachments
    assert attached["SHA256SUMS"] == attached["upstream.SHA256SUMS"] == digest
    stat = edge.store.stat(blob_key(digest))
    assert stat is not None
    assert stat.size == LARGE
    assert peak < PEAK
    with edge.program() as program:
        assert program.verify(PERSON).ok


def test_a_large_document_with_a_wrong_byte_is_carried_nowhere(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "bucket")
    repo, sums = model(store), Generated(2 * HELD).read()
    repo.publish({"README.md": b"x"}, attached={"SHA256SUMS": sums}, described=INFO)
    (tmp_path / "bucket" / blob_key(Sha256.of(sums))).write_bytes(sums[:-1] + b"?")
    reader, memory = StoreReader(store, "bucket"), NoReadCache()
    source = MirrorSource(reader, memory, FeedView(reader, memory))
    commit = source.resolve(repo.repo, "main").commit
    with pytest.raises(BadAnswer, match=f"document {Sha256.of(sums)} holds other bytes"):
        source.attested(repo.repo, commit)


@pytest.mark.parametrize("tier", ["another folder", "a class that is restored"])
def test_a_repo_whose_files_lie_cold_at_its_mirror_has_one_line_and_the_others_come(
    tier: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where: dict[str, Any] = {"url": (tmp_path / "bucket").as_uri()}
    warm: Target = DirectoryTarget(tmp_path / "bucket")
    tiers = Tiers(timedelta(days=30), (), DirectoryTarget(tmp_path / "cold"))
    if tier != "another folder":
        server: S3Server = request.getfixturevalue("moto")
        warm, tiers = server.target("some/"), Tiers(timedelta(days=30), (), storage_class="GLACIER")
        where = server.place("some/", bucket=warm.bucket)
    store, tiering = open_tiers(replace(warm, tiers=tiers))
    assert tiering is not None
    tiering.ready(begun=False)
    repos = [model(store) for _ in range(8)]
    for number, repo in enumerate(repos):
        body = b"%d" % number * 200_000
        repo.publish({"README.md": b"---\nlicense: mit\n---\n", "w.bin": body}, described=INFO)
        if number < 5:
            tiering.chill(Stat(blob_key(Sha256.of(body)), len(body), 0.0), lambda: None)
    edge = Node(tmp_path / "edge", {"kind": "mirror", **where}, job={"repos": [str(one.repo) for one in repos]})
    reports = {one.repo: one for one in edge.sync().values()}
    for number, repo in enumerate(repos):
        report = reports[repo.repo.id]
        if number >= 5:
            assert report.outcome is RepoOutcome.PUBLISHED, report
            continue
        assert report.outcome is RepoOutcome.FAILED
        assert "w.bin lies in that mirror's cold tier" in report.reason
        assert f"mirror-sync thaw {repo.repo}" in report.reason


def test_what_is_beyond_all_bounds_is_refused_before_it_fills_a_disk() -> None:
    left = [HELD] * 3

    def read(buffer: memoryview) -> int:
        return min(left.pop(), len(buffer)) if left else 0

    with pytest.raises(DocumentError, match="larger than 1,048,577 bytes"):
        spooled(read, Sha256("0" * 64), MIB + 1)
    assert LARGEST_ATTESTED == 1024 * MIB


def test_a_spooled_document_is_read_as_often_as_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, at = Generated(HELD + 5).read(), 0

    def read(buffer: memoryview) -> int:
        nonlocal at
        piece = body[at : at + len(buffer)]
        buffer[: len(piece)] = piece
        at += len(piece)
        return len(piece)

    found = spooled(read, Sha256.of(body), LARGEST_ATTESTED)
    assert isinstance(found, SpooledDocument)
    assert [b"".join(found.pieces()) for _ in range(2)] == [body, body]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    at = 0
    with pytest.raises(StoreUnavailable, match="the folder for temporary files"):
        spooled(read, Sha256.of(body), LARGEST_ATTESTED)


def test_what_the_doors_of_the_other_mirror_answer_by_is_left_there(tmp_path: Path) -> None:
    """Each edge makes its own, for the doors that it opens."""
    store = DirectoryStore(tmp_path / "bucket")
    repo = model(store)
    repo.publish({"README.md": b"x"}, attached={"SHA256SUMS": b"sums"}, described=INFO, registry=True)
    folder = {"url": (tmp_path / "edge-bucket").as_uri()}
    edge = edge_of(Way(store, {"url": (tmp_path / "bucket").as_uri()}, folder), tmp_path, str(repo.repo))
    edge.sync()
    assert set(edge.root(str(repo.repo)).attachments) == {UPSTREAM_ROOT, "SHA256SUMS", "upstream.SHA256SUMS"}
    for name in (name for door in DOORS for name in door.documents):
        assert not is_carried(name)
        assert not is_carried(f"upstream.{name}"), "of the mirror that this one has it from"


@pytest.mark.parametrize("wrong", ["secret", "nothing"])
def test_a_bucket_that_cannot_be_read_any_more_takes_nothing_away(
    radosgw: S3Server, tmp_path: Path, wrong: str
) -> None:
    with Hub() as hub:
        hub.model("acme/one", license="mit").commit({"README.md": "x", "w.bin": LFS(Generated(9 * MIB))})
        bucket = radosgw.make_bucket()
        middle = Node(
            tmp_path / "middle",
            {"kind": "huggingface", "endpoints": [hub.url]},
            job={"repos": ["acme/one"]},
            target={**radosgw.place("below/", bucket=bucket), "grace": "0s"},
        )
        middle.sync()
    job = {"repos": ["*/*"], "on_gone": "withdraw"}
    edge = Node(tmp_path / "edge", {"kind": "mirror", **radosgw.place("below/", bucket=bucket)}, job=job)
    assert {one.outcome for one in edge.sync().values()} == {RepoOutcome.PUBLISHED}
    assert edge.root("acme/one").shards == middle.root("acme/one").shards
    if wrong == "secret":
        edge.upstream["secret_key"] = "not-the-secret"
    else:
        edge.upstream["url"] = f"s3://{radosgw.make_bucket()}/below"
    reports = edge.sync("acme/one")
    assert {one.outcome for one in reports.values()} <= {RepoOutcome.FAILED, RepoOutcome.HELD}, reports
    if wrong == "secret":
        (report,) = reports.values()
        assert "check the keys" in report.reason
        assert "\n" not in report.reason
        assert "not-the-secret" not in report.reason
    assert edge.root("acme/one").files == 2


def test_everybody_reads_a_public_bucket_without_keys_and_no_other(radosgw: S3Server, tmp_path: Path) -> None:
    place = target_on(radosgw)
    repo: Published = model(Bucket(place).open())
    repo.publish({"README.md": b"x"}, described=INFO)
    upstream = {
        "url": f"s3://{place.bucket}",
        "endpoint_url": radosgw.endpoint_url,
        "addressing": "path",
        "public": True,
    }
    way = Way(repo.store, upstream, {"url": (tmp_path / "edge-bucket").as_uri()})
    edge = edge_of(way, tmp_path, str(repo.repo))
    (report,) = edge.sync().values()
    assert (report.outcome, "check the keys" in report.reason) == (RepoOutcome.FAILED, True)
    radosgw.client().put_bucket_acl(Bucket=place.bucket, ACL="public-read")
    for page in radosgw.client().get_paginator("list_objects_v2").paginate(Bucket=place.bucket):
        for one in page.get("Contents", []):
            radosgw.client().put_object_acl(Bucket=place.bucket, Key=one["Key"], ACL="public-read")
    (report,) = edge.sync().values()
    assert report.outcome is RepoOutcome.PUBLISHED
