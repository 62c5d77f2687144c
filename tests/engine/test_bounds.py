"""What lies in the target is read within bounds: no object there decides how much memory a machine needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.snapshot import Document, Root, Shard
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import put_refs, read_listing
from mirror_sync.engine.upkeep.verify import Verification
from mirror_sync.errors import DocumentError
from mirror_sync.ports.store import MAX_REFS, MAX_TREE
from tests.engine.machines import Clock, Machine, Shelf, Upstream, refs_of
from tests.engine.workshop import job

ACME, REPO = job("acme/x", workers=1), Repo.parse("acme/x")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(Clock())


@pytest.fixture
def machine(shelf: Shelf) -> Machine:
    upstream = Upstream()
    upstream.commit("acme/x", {"a": b"1"})
    made = Machine(upstream, shelf)
    made.sync(ACME)
    return made


def test_a_shard_larger_than_any_is_a_fault_that_is_named(machine: Machine, shelf: Shelf) -> None:
    huge = Document.of(b"[" + b" " * MAX_TREE + b"]")
    _put(shelf, huge)
    _publish(shelf, replace(_root(shelf), shards=(Shard("a", huge.digest),)).encode())
    (fault,) = Verification(machine.context).run().faults
    assert (fault.sha256, fault.problem) == (
        huge.digest,
        f"document {huge.digest} is larger than 16,777,216 bytes, which none of its kind is",
    )


def test_a_root_larger_than_any_is_a_fault_that_is_named(machine: Machine, shelf: Shelf) -> None:
    huge = Document.of(_root(shelf).encode().body + b" " * MAX_TREE)
    _publish(shelf, huge)
    (fault,) = Verification(machine.context).run().faults
    assert (fault.sha256, "is larger than" in fault.problem) == (huge.digest, True)


def test_documents_that_are_too_large_do_not_stop_the_next_publication(machine: Machine, shelf: Shelf) -> None:
    huge = Document.of(b"[" + b" " * MAX_TREE + b"]")
    _put(shelf, huge)
    _publish(shelf, replace(_root(shelf), shards=(Shard("a", huge.digest),)).encode())
    machine.upstream.commit("acme/x", {"a": b"2"})
    assert machine.sync(ACME).outcome == "published"
    assert [entry.path for entry in read_listing(machine.view, _root(shelf))] == ["a"]


def test_a_refs_json_larger_than_any_is_a_fault_that_is_named(machine: Machine, shelf: Shelf) -> None:
    key = refs_key(REPO)
    body, when = shelf.objects[key]
    shelf.objects[key] = (body + b" " * MAX_REFS, when)
    (fault,) = Verification(machine.context).run().faults
    assert (fault.path, fault.problem) == (
        "refs.json",
        f"{key} is larger than 33,554,432 bytes, which no refs.json is",
    )


def test_a_refs_json_that_nobody_would_read_again_is_not_written(machine: Machine, shelf: Shelf) -> None:
    before = shelf.objects[refs_key(REPO)]
    name = "x" * MAX_REFS
    with pytest.raises(DocumentError, match="acme/x has too many names and snapshots"):
        put_refs(
            machine.context.targets["bucket"], REPO, Refs((Ref("tags", name, f"refs/tags/{name}", CommitId("0" * 40)),))
        )
    assert shelf.objects[refs_key(REPO)] == before


def test_a_shard_that_a_root_names_many_times_is_read_once(machine: Machine, shelf: Shelf) -> None:
    root = _root(shelf)
    (shard,) = root.shards
    read: list[str] = []
    machine.view.before = lambda verb, key: read.append(key)
    assert [entry.path for entry in read_listing(machine.view, replace(root, shards=(shard,) * 5))] == ["a"]
    assert read == [blob_key(shard.digest)]


def _root(shelf: Shelf) -> Root:
    digest = refs_of(shelf, "acme/x").root_of("main")
    assert digest is not None
    return Root.decode(shelf.objects[blob_key(digest)][0])


def _publish(shelf: Shelf, root: Document) -> None:
    """This as the root of every snapshot of the repo."""
    _put(shelf, root)
    refs = refs_of(shelf, "acme/x")
    body = replace(refs, snapshots=dict.fromkeys(refs.snapshots, root.digest)).encode()
    shelf.objects[refs_key(REPO)] = (body, shelf.clock.now)


def _put(shelf: Shelf, document: Document) -> None:
    shelf.objects[blob_key(document.digest)] = (document.body, shelf.clock.now)
