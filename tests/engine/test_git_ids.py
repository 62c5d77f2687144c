"""Which bytes have a git id is proved by the bytes: what a listing in the target says of it is believed by nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.snapshot import Root, cut_shards, read_shard
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.outcome.report import VerifyReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.upkeep.verify import Scope, Verification
from tests.domain.files import listing_of
from tests.engine.machines import Clock, Machine, Shelf, Upstream, refs_of
from tests.engine.workshop import job

TRUE, OTHER = b"GOOD", b"EVIL"  # of one size
FIRST, SECOND = job("acme/first", workers=1), job("acme/second", workers=1)


@pytest.fixture
def upstream() -> Upstream:
    made = Upstream()
    made.commit("acme/first", {"a": OTHER})
    made.commit("acme/second", {"b": TRUE})
    return made


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(Clock())


@pytest.fixture
def first(upstream: Upstream, shelf: Shelf) -> Machine:
    """The machine that has mirrored `acme/first`."""
    machine = Machine(upstream, shelf)
    machine.sync(FIRST)
    return machine


def test_a_listing_that_gives_bytes_a_git_id_that_is_not_theirs_is_a_fault(first: Machine, shelf: Shelf) -> None:
    assert _verify(first).ok
    _claim(shelf, "acme/first", {"a": TRUE})
    (fault,) = _verify(first).faults
    assert (fault.repo, fault.path, fault.sha256) == ("acme/first", "a", Sha256.of(OTHER))
    assert fault.problem == f"is listed with the git id {GitOid.of_blob(TRUE)}, and has {GitOid.of_blob(OTHER)}"


def test_a_git_id_that_only_a_second_listing_of_the_same_bytes_has_wrong_is_found(
    first: Machine, upstream: Upstream, shelf: Shelf
) -> None:
    upstream.commit("acme/third", {"c": OTHER})
    first.sync(job("acme/third", workers=1))
    _claim(shelf, "acme/third", {"c": TRUE})
    assert [(fault.repo, fault.path) for fault in _verify(first).faults] == [("acme/third", "c")]


def test_a_repair_writes_a_listing_with_a_wrong_git_id_anew(first: Machine, shelf: Shelf) -> None:
    before = refs_of(shelf, "acme/first")
    _claim(shelf, "acme/first", {"a": TRUE})
    report = Verification(first.context, Scope(repair=True), [FIRST]).run()
    assert report.ok
    assert [fault.path for fault in report.repaired] == ["a"]
    after = refs_of(shelf, "acme/first")
    assert (after.refs, after.snapshots) == (before.refs, before.snapshots), "only its log says that it was made anew"
    assert _verify(first).ok


def test_another_repos_new_snapshot_holds_what_its_upstream_has(
    first: Machine, upstream: Upstream, shelf: Shelf
) -> None:
    """A machine with an empty state folder learns from the target, and believes none of it."""
    _claim(shelf, "acme/first", {"a": TRUE})
    other = Machine(upstream, shelf)
    upstream.fetched.clear()
    assert other.sync(SECOND).outcome == "published"
    assert upstream.fetched == ["b"]
    assert _files(shelf, "acme/second")["b"].sha256 == Sha256.of(TRUE)
    assert {fault.repo for fault in _verify(other).faults} == {"acme/first"}


def test_a_pair_that_bytes_have_disproved_is_not_read_again(first: Machine, upstream: Upstream, shelf: Shelf) -> None:
    _claim(shelf, "acme/first", {"a": TRUE})
    other = Machine(upstream, shelf)
    other.sync(SECOND)
    upstream.commit("acme/third", {"c": TRUE})
    upstream.fetched.clear()
    read = _reads(other)
    assert other.sync(job("acme/third", workers=1)).outcome == "published"
    assert upstream.fetched == []
    assert blob_key(Sha256.of(OTHER)) not in read
    assert _files(shelf, "acme/third")["c"].sha256 == Sha256.of(TRUE)


def test_a_machine_with_a_fresh_state_reads_a_content_once_and_fetches_nothing(
    first: Machine, upstream: Upstream, shelf: Shelf
) -> None:
    other, blob = Machine(upstream, shelf), blob_key(Sha256.of(OTHER))
    read = _reads(other)
    upstream.fetched.clear()
    for repo in ("acme/third", "acme/fourth", "acme/fifth"):
        upstream.commit(repo, {"c": OTHER})
        assert other.sync(job(repo, workers=1)).outcome == "published"
    assert read.count(blob) == 1
    assert upstream.fetched == []


def test_what_a_machine_has_brought_itself_it_never_reads_again(
    first: Machine, upstream: Upstream, shelf: Shelf
) -> None:
    upstream.commit("acme/third", {"c": OTHER})
    read = _reads(first)
    assert first.sync(job("acme/third", workers=1)).outcome == "published"
    assert blob_key(Sha256.of(OTHER)) not in read


@pytest.mark.parametrize(
    "body", [None, b"", b"EVI", b"EVILS", b"LIVE"], ids=["gone", "empty", "short", "long", "other"]
)
def test_a_blob_that_is_not_what_a_true_listing_says_is_fetched(
    first: Machine, upstream: Upstream, shelf: Shelf, body: bytes | None
) -> None:
    key = blob_key(Sha256.of(OTHER))
    shelf.objects.pop(key)
    if body is not None:
        shelf.objects[key] = (body, shelf.clock.now)
    upstream.commit("acme/third", {"c": OTHER})
    upstream.fetched.clear()
    assert Machine(upstream, shelf).sync(job("acme/third", workers=1)).outcome == "published"
    assert upstream.fetched == ["c"]
    assert shelf.objects[key][0] == OTHER


def _reads(machine: Machine) -> list[str]:
    """The keys that a machine reads from now on, as it reads them."""
    read: list[str] = []
    machine.view.before = lambda verb, key: read.append(key) if verb == "read" else None
    return read


def _verify(machine: Machine) -> VerifyReport:
    return Verification(machine.context).run()


def _claim(shelf: Shelf, repo: str, bodies: Mapping[str, bytes]) -> None:
    """Publish a repo's listing anew, in which these files have the git ids of these bytes."""
    refs = refs_of(shelf, repo)
    ((commit, digest),) = refs.snapshots.items()
    manifest = {path: replace(file, oid=GitOid.of_blob(bodies[path])) for path, file in _files(shelf, repo).items()}
    ((shard, document),) = cut_shards(listing_of(manifest))
    root = replace(Root.decode(shelf.objects[blob_key(digest)][0]), shards=(shard,)).encode()
    for written in (document, root):
        shelf.objects[blob_key(written.digest)] = (written.body, shelf.clock.now)
    body = replace(refs, snapshots={CommitId(commit): root.digest}).encode()
    shelf.objects[refs_key(Repo.parse(repo))] = (body, shelf.clock.now)


def _files(shelf: Shelf, repo: str) -> dict[str, MirroredFile]:
    ((_, digest),) = refs_of(shelf, repo).snapshots.items()
    (shard,) = Root.decode(shelf.objects[blob_key(digest)][0]).shards
    return {file.path: file for file in read_shard(shelf.objects[blob_key(shard.digest)][0])}
