"""`verify --repair` brings what is wrong from upstream again, or says why it cannot."""

from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.refs import HELD, STATEMENT
from mirror_sync.domain.content.rewritten import PUBLISHED
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import rewritten_roots
from mirror_sync.engine.upkeep.verify import Verification
from tests.engine.workshop import PART, Workshop, job
from tests.standin import LFS, Generated, Hub

BIG = Generated(2 * PART + 5, seed=4)
FILES = {"a": b"1", "sub/w": BIG.read()}
ACME = job("acme/x")


@pytest.fixture
def mirror(hub: Hub, workshop: Workshop) -> Workshop:
    hub.model("acme/x", license="mit").commit({"a": b"1", "sub/w": LFS(BIG)})
    workshop.sync(ACME)
    return workshop


def test_missing_short_and_changed_blobs_are_fetched_again(mirror: Workshop) -> None:
    mirror.path(Sha256.of(b"1")).unlink()
    mirror.path(Sha256.of(BIG.read())).write_bytes(b"short")
    report = mirror.verify(ACME, repair=True)
    assert report.ok
    assert {fault.path for fault in report.repaired} == {"a", "sub/w"}
    assert mirror.files("acme/x") == FILES
    mirror.path(Sha256.of(b"1")).write_bytes(b"2")
    assert [fault.path for fault in mirror.verify(ACME, repair=True).repaired] == ["a"]
    assert mirror.verify().ok


@pytest.mark.parametrize("document", ["root", "info", "commits", "shard"])
@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_documents_are_made_again_and_no_byte_is_fetched(
    hub: Hub, mirror: Workshop, document: str, damage: str
) -> None:
    root, refs = mirror.root("acme/x"), mirror.refs("acme/x")
    digests = {"root": refs.snapshots[root.commit], "info": root.info, "commits": root.commits}
    path = mirror.path(digests.get(document, root.shards[0].digest))
    path.unlink() if damage == "missing" else path.write_bytes(b"[]")
    hub.log.clear()
    report = mirror.verify(ACME, repair=True)
    assert report.ok
    assert [fault.repair for fault in report.repaired] == ["repaired"]
    assert hub.calls("GET", "*/resolve/*") == 0
    assert mirror.refs("acme/x") == refs, "the same documents have the same names"
    assert mirror.verify().ok


def test_a_snapshot_whose_info_upstream_has_changed_is_published_under_a_new_root(hub: Hub, mirror: Workshop) -> None:
    mirror.path(mirror.root("acme/x").info).unlink()
    hub.model("acme/x").set(tags=["new-tag"])
    before = mirror.refs("acme/x")
    assert mirror.verify(ACME, repair=True).ok
    assert mirror.refs("acme/x").refs == before.refs
    assert mirror.files("acme/x") == FILES


def test_documents_and_files_that_are_both_lost_come_back_in_one_repair(mirror: Workshop) -> None:
    mirror.path(mirror.root("acme/x").shards[0].digest).unlink()
    mirror.path(Sha256.of(b"1")).unlink()
    assert mirror.verify(ACME, repair=True).ok
    assert mirror.files("acme/x") == FILES


@pytest.mark.parametrize("name", [PUBLISHED, f"{HELD}{'1' * 40}", STATEMENT])
def test_a_lost_note_beside_snapshots_stops_no_prune_for_ever(mirror: Workshop, name: str) -> None:
    """Nobody has it any more, and what reads it stops: refs.json goes on without it."""
    target, repo, before = mirror.context.targets["bucket"], Repo.parse("acme/x"), mirror.refs("acme/x")
    noted = before.attaching({name: Sha256.of(b"nowhere"), "about": before.snapshots[mirror.root("acme/x").commit]})
    body = noted.encode()
    mirror.store.put(refs_key(repo), body, Sha256.of(body))  # with a statement, too, though nobody signs here
    (fault,) = mirror.verify(ACME).faults
    assert fault.problem == "missing"
    report = mirror.verify(ACME, repair=True)
    assert [fault.repair for fault in report.repaired] == ["repaired"]
    assert mirror.refs("acme/x") == before.attaching({"about": noted.attachments["about"]})
    assert mirror.verify(ACME).ok
    assert rewritten_roots(target.store, mirror.refs("acme/x")) == {}


def test_a_snapshot_keeps_its_selection_through_a_repair(hub: Hub, mirror: Workshop) -> None:
    mirror.path(mirror.root("acme/x").info).unlink()
    changed = job("acme/x", selection=Selection(exclude=("sub/*",)))
    mirror.verify(changed, repair=True)
    assert mirror.files("acme/x") == FILES


def test_what_upstream_no_longer_has_is_said(hub: Hub, mirror: Workshop) -> None:
    mirror.path(Sha256.of(b"1")).unlink()
    mirror.path(mirror.root("acme/x").info).unlink()
    hub.remove("acme/x")
    report = mirror.verify(ACME, repair=True)
    assert not report.ok
    assert len(report.faults) == 2
    assert all(fault.repair.startswith("the upstream no longer has it: not found") for fault in report.faults)


def test_a_repo_that_no_job_names_has_no_upstream_to_ask(mirror: Workshop) -> None:
    mirror.path(Sha256.of(b"1")).unlink()
    (fault,) = mirror.verify(job("acme/other"), repair=True).faults
    assert fault.repair == "no job names acme/x any more, so that there is no upstream to ask"


def test_without_repair_nothing_is_fetched_or_written(hub: Hub, mirror: Workshop) -> None:
    mirror.path(Sha256.of(b"1")).unlink()
    hub.log.clear()
    mirror.store.written.clear()
    (fault,) = Verification(mirror.context).run().faults
    assert fault.repair == ""
    assert len(hub.log) == 0
    assert mirror.store.written == []


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_new_commit_makes_a_lost_blob_neither_worse_nor_unhealable(hub: Hub, mirror: Workshop, damage: str) -> None:
    """A sync trusts what a published snapshot names (decision 0006): one repair heals the old commit and the new."""
    first = mirror.commit("acme/x")
    assert first is not None
    lost = mirror.path(Sha256.of(BIG.read()))
    lost.unlink() if damage == "missing" else lost.write_bytes(b"rotten")
    hub.model("acme/x").commit({"a": b"2"})
    hub.log.clear()
    assert mirror.sync_one(ACME).fetched_files == 1
    (fault,) = mirror.verify().faults
    assert fault.path == "sub/w"
    assert [fault.path for fault in mirror.verify(ACME, repair=True).repaired] == ["sub/w"]
    assert mirror.files("acme/x", first) == FILES
    assert mirror.files("acme/x") == FILES | {"a": b"2"}


def test_a_new_commit_that_changes_a_lost_file_is_whole(hub: Hub, mirror: Workshop) -> None:
    mirror.path(Sha256.of(BIG.read())).unlink()
    hub.model("acme/x").commit({"sub/w": LFS(b"new")})
    assert mirror.sync_one(ACME).outcome == "published"
    assert mirror.files("acme/x") == {"a": b"1", "sub/w": b"new"}


def test_a_repo_that_its_job_calls_by_a_former_name_is_repaired(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/old", license="mit").commit({"a": b"1"})
    hub.rename("acme/old", "acme/new")
    former = job("acme/old")
    workshop.sync(former)
    workshop.path(Sha256.of(b"1")).unlink()
    workshop.path(workshop.root("acme/new").info).unlink()
    report = workshop.verify(former, repair=True)
    assert report.ok
    assert {fault.path for fault in report.repaired} == {"a", ""}
    assert workshop.files("acme/new") == {"a": b"1"}


def beside(mirror: Workshop, other: Hub, folder: Path) -> Job:
    """A first job of the same repo, whose upstream no longer has it."""
    other.model("acme/other", license="mit").commit({"a": b"1"})
    upstream = Workshop(other.url, folder).context.sources["hub"]
    mirror.context = replace(mirror.context, sources={"gone": upstream, **mirror.context.sources})
    return job("acme/x", name="first", upstream="gone")


def test_what_one_upstream_no_longer_has_is_fetched_from_that_of_the_next_job(mirror: Workshop, tmp_path: Path) -> None:
    with Hub() as other:
        first = beside(mirror, other, tmp_path / "other")
        mirror.path(Sha256.of(b"1")).unlink()
        mirror.path(mirror.root("acme/x").info).unlink()
        assert mirror.verify(first, ACME, repair=True).ok
    assert mirror.files("acme/x") == FILES


def test_where_no_upstream_has_it_each_says_so(hub: Hub, mirror: Workshop, tmp_path: Path) -> None:
    with Hub() as other:
        first = beside(mirror, other, tmp_path / "other")
        mirror.path(Sha256.of(b"1")).unlink()
        hub.remove("acme/x")
        (fault,) = mirror.verify(first, ACME, repair=True).faults
    assert fault.repair.count("the upstream no longer has it: ") == 2
    assert fault.repair.startswith("upstream gone: ")
