"""Brings what a refs.json names from a target into a replica: the blobs that are not there, each proved on its way.

What the replica publishes of the repo by now is a base: shards that it names are there with all their files. Whoever
publishes in the replica has all of the tree there first; so what is there of a tree is looked for from its root down.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from typing import NamedTuple

from mirror_sync.domain.content.keys import BLOBS, WITHDRAWN, blob_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.snapshot import Root, read_shard
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.known_contents import expect_kept
from mirror_sync.engine.transfer.file_read import FileOrigin
from mirror_sync.engine.transfer.file_transfer import Transfer
from mirror_sync.engine.upkeep.marks import batches
from mirror_sync.engine.withdrawn_lists import release_digests
from mirror_sync.errors import DocumentError, IntegrityError, KeyMissing
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Bytes
from mirror_sync.ports.store import Store, proved_beginning, read_document
from mirror_sync.scratch.spilled_map import SpilledMap

COPIERS = 8  # threads
_BATCH = 64  # blobs that are on their way at once, or wait for a thread
_BASES = 3  # snapshots that the replica has of a repo, and that are looked at for what it has already
_NO_COMMIT = CommitId("0" * 40)


class _Blob(NamedTuple):
    """`size` in bytes, None for a document, of which nothing says it."""

    digest: Sha256
    size: int | None = None


class _StoredBytes(Bytes):
    """The blobs of a target, as a source has files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        return self._store.read(blob_key(Sha256(file.promise)), start, stop)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """There is no other place."""


class _ThereAlready:
    """What the replica has of a repo, by what it publishes of it: roots, shards, and files of shards that changed."""

    def __init__(self, store: Store, old: Refs, wanted: Collection[Sha256]) -> None:
        """`wanted` are the shards that are to be there: of the others the files are what counts."""
        self._digests = SpilledMap()
        self.shards = set[Sha256]()
        main = old.root_of(DEFAULT_BRANCH)
        known = dict.fromkeys((*(() if main is None else (main,)), *reversed(old.snapshots.values())))
        for digest in islice(known, _BASES):
            try:
                root = Root.decode(read_document(store, digest))
                self._have(digest, *root.leaves)
                for shard in root.shards:
                    if shard.digest not in wanted:
                        self._have(*(file.sha256 for file in read_shard(read_document(store, shard.digest))))
                    self.shards.add(shard.digest)
            except (KeyMissing, DocumentError):
                continue  # then all that it named is looked for
        self._have(*old.attachments.values())

    def __contains__(self, digest: Sha256) -> bool:
        return bytes.fromhex(digest) in self._digests

    def _have(self, *digests: Sha256) -> None:
        for digest in digests:
            self._digests.put(bytes.fromhex(digest))


class TreeCopy:
    """For one pass over a replica. `trusting`: what lies there was proved by us on its way; else what no snapshot of
    the replica names is read there, and proved, before it is relied on.
    """

    def __init__(
        self, context: RunContext, main: Store, replica: Target, transfer: Transfer, *, trusting: bool
    ) -> None:
        self._context, self._main, self._store, self._transfer = context, main, replica.store, transfer
        self._trusting = trusting
        self._empty = next(iter(self._store.list(BLOBS)), None) is None
        self._proved, self._proving = SpilledMap(), threading.Lock()  # of this pass
        self._withheld = any(True for _ in self._store.list(WITHDRAWN))
        self._source = _StoredBytes(main)
        self.blobs = self.bytes = 0

    def bring(self, repo: Repo, old: Refs, new: Refs) -> None:
        """All that `new` names is in the replica then, which publishes `old`.

        KeyMissing or DocumentError where the target itself lacks some; StoreError, Interrupted.
        """
        known, beside = frozenset(old.snapshots.values()), frozenset(old.attachments.values())
        roots = [digest for digest in dict.fromkeys(new.snapshots.values()) if digest not in known]
        documents = [digest for digest in new.attachments.values() if digest not in beside]
        if not (roots or documents):
            return
        wanted = {shard.digest for digest in roots for shard in self._root(digest).shards} if old.snapshots else ()
        base = _ThereAlready(self._store, old, wanted)
        with ThreadPoolExecutor(COPIERS, "replica") as pool:
            for some in batches(self._below(base, roots, documents), _BATCH):
                self._context.go_on()
                list(pool.map(partial(self._ensure, repo), some))
                if self._withheld:  # by a take-down that did not end: what is published is given
                    release_digests(self._store, (blob.digest for blob in some))

    def _root(self, digest: Sha256) -> Root:
        return Root.decode(read_document(self._main, digest))

    def _below(self, base: _ThereAlready, roots: list[Sha256], documents: list[Sha256]) -> Iterator[_Blob]:
        seen = SpilledMap()

        def is_new(digest: Sha256) -> bool:
            return digest not in base and seen.put(bytes.fromhex(digest))

        for root in map(self._root, roots):  # one at a time: each may name thousands of shards
            yield from (_Blob(digest) for digest in root.leaves if is_new(digest))
            for shard in root.shards:
                if shard.digest in base.shards or not seen.put(bytes.fromhex(shard.digest)):
                    continue
                body = read_document(self._main, shard.digest)
                for file in read_shard(body):
                    if is_new(file.sha256):
                        yield _Blob(file.sha256, file.size)
                yield _Blob(shard.digest, len(body))
        yield from (_Blob(digest) for digest in (*documents, *roots) if is_new(digest))

    def _ensure(self, repo: Repo, blob: _Blob) -> None:
        self._context.go_on()
        key = bytes.fromhex(blob.digest)
        with self._proving:
            if key in self._proved:
                return
        if not self._is_there(blob):
            self._copy(repo, blob)
        with self._proving:
            self._proved.put(key)

    def _is_there(self, blob: _Blob) -> bool:
        stat = None if self._empty else self._store.stat(blob_key(blob.digest))
        if stat is None or (blob.size is not None and stat.size != blob.size):
            return False
        return self._trusting or self._holds(blob.digest)

    def _holds(self, digest: Sha256) -> bool:
        try:
            with self._store.read(blob_key(digest)) as stream:

                def read(chunk: memoryview) -> int:
                    self._context.go_on()
                    return stream.readinto(chunk)

                proved_beginning(read, digest, 0, sys.maxsize)
        except (KeyMissing, DocumentError):
            return False
        return True

    def _copy(self, repo: Repo, blob: _Blob) -> None:
        size = blob.size
        if size is None:
            stat = self._main.stat(blob_key(blob.digest))
            if stat is None:
                raise KeyMissing(blob_key(blob.digest))
            size = stat.size
        origin = FileOrigin("", self._source, repo, _NO_COMMIT)
        try:
            self._transfer.bring(origin, RemoteFile.of_digest(blob.digest, size, blob.digest))
        except IntegrityError as error:
            told = f"the target holds other bytes under {blob_key(blob.digest)}: mirror-sync verify --repair"
            raise DocumentError(told) from error
        expect_kept(self._store, [(blob.digest, size)])
        with self._proving:
            self.blobs += 1
            self.bytes += size
