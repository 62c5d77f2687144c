"""A walk gives each blob once, and holds few of them in memory however many there are."""

from __future__ import annotations

import hashlib
import tracemalloc

from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.content.snapshot import Document, Entry, Root, Shard, cut_shards
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.policy.rules import Outcome, Verdict
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import MirrorError

REPO, COMMIT = Repo.parse("acme/x"), CommitId("c" * 40)
FEW, MANY = 30_000, 60_000  # from 20,000 on they are on disk
A_BLOB = 16  # bytes: nothing that has a name takes so little


def entry(number: int) -> Entry:
    own = hashlib.sha256(b"%d" % number).hexdigest()
    return Entry(f"folder-{number // 500:05}/file-{number:07}.txt", 1, own[:40], own, None)


class Documents:
    """A snapshot of so many files; shards are made when they are read."""

    def __init__(self, files: int) -> None:
        self._cuts: dict[Sha256, tuple[int, int]] = {}
        shards, at = [], 0
        for shard, document in cut_shards(map(entry, range(files))):
            count = document.body.count(b"\n{")
            self._cuts[document.digest] = at, at + count
            shards.append(Shard(shard.first, document.digest))
            at += count
        info = Document.of(b"{}").digest
        verdict = Verdict("license", Outcome.ALLOWED, "because")
        self._root = Root(
            "acme/x", COMMIT, {}, info, info, Selection(), (verdict,), files, files, tuple(shards)
        ).encode()

    @property
    def refs(self) -> Refs:
        ref = Ref.of_full_name("refs/heads/main", COMMIT)
        return Refs().with_snapshot(COMMIT, self._root.digest, ref)

    def read(self, digest: Sha256) -> bytes:
        if digest == self._root.digest:
            return self._root.body
        ((_, document),) = cut_shards(map(entry, range(*self._cuts[digest])))
        return document.body


def fault(_place: Place, _digest: Sha256, error: MirrorError) -> None:
    raise error


def walked(files: int) -> int:
    """Bytes that a walk over so many blobs holds at the most, beyond what the documents do."""
    documents = Documents(files)
    tracemalloc.start()
    try:
        walk = Walk(documents.read, fault, claims=True)
        found = sum(node.file is not None for node in walk.repo(REPO, documents.refs))
        assert found == files
        assert sum(1 for _ in walk.repo(REPO, documents.refs)) == 0, "each once"
        assert GitOid(entry(0).oid)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_nothing_is_held_of_each_blob() -> None:
    assert walked(MANY) - walked(FEW) < (MANY - FEW) * A_BLOB
