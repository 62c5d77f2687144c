"""Walks down from refs and re-hashes what is published: documents first, then every blob once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.keys import blob_key
from mirror_sync.domain.manifest import MirroredFile
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.report import BlobFault, VerifyReport
from mirror_sync.domain.snapshot import Root, read_shard
from mirror_sync.engine.published import mirrored_repos, read_document, read_refs
from mirror_sync.engine.site import Site, Target
from mirror_sync.errors import DocumentError, Interrupted, KeyMissing, MirrorError
from mirror_sync.ports import Store

_READ = 1024 * 1024  # bytes
_READERS = 4
_BATCH = 64  # blobs between two looks at the stop event


@dataclass(frozen=True, slots=True)
class Place:
    """Where a blob is referred to; `path` is empty for a document."""

    target: str
    repo: Repo
    commit: CommitId
    path: str = ""

    def fault(self, digest: Sha256 | str, problem: str) -> BlobFault:
        return BlobFault(self.target, self.repo.kind, self.repo.id, self.commit, self.path, digest, problem)


class Verification:
    """Verifies targets one after the other, and counts."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._repos = self._snapshots = self._bytes = 0
        self._faults: list[BlobFault] = []
        self._blobs = 0

    def run(self) -> VerifyReport:
        """Every fault of every target, named by repo, path and SHA-256; an interrupt ends it early, and says so."""
        interrupted = False
        try:
            for target in self._site.targets.values():
                self._verify(target)
        except Interrupted:
            interrupted = True
        return VerifyReport(
            self._repos, self._snapshots, self._blobs, self._bytes, tuple(self._faults), interrupted=interrupted
        )

    def _verify(self, target: Target) -> None:
        seen: set[Sha256] = set()
        with ThreadPoolExecutor(_READERS, "verify") as readers:
            batch: list[tuple[Place, MirroredFile]] = []
            for place, file in self._files(target, seen):
                batch.append((place, file))
                if len(batch) == _BATCH:
                    self._hash_all(target.store, batch, readers)
                    batch.clear()
            self._hash_all(target.store, batch, readers)

    def _hash_all(self, store: Store, batch: list[tuple[Place, MirroredFile]], readers: ThreadPoolExecutor) -> None:
        self._site.go_on()
        for fault, count in readers.map(lambda item: self._hash(store, *item), batch):
            self._blobs += 1
            self._bytes += count
            if fault is not None:
                self._faults.append(fault)

    def _hash(self, store: Store, place: Place, file: MirroredFile) -> tuple[BlobFault | None, int]:
        digest, count = hashlib.sha256(), 0
        chunk = memoryview(bytearray(_READ))
        try:
            with store.read(blob_key(file.sha256)) as stream:
                while got := stream.readinto(chunk):
                    self._site.go_on()
                    digest.update(chunk[:got])
                    count += got
        except KeyMissing:
            return place.fault(file.sha256, "missing"), 0
        except Interrupted:
            raise
        except MirrorError as error:
            return place.fault(file.sha256, f"not readable: {error}"), count
        if count != file.size:
            return place.fault(file.sha256, f"{count} bytes instead of {file.size}"), count
        if digest.hexdigest() != file.sha256:
            return place.fault(file.sha256, f"holds other bytes, of digest {digest.hexdigest()}"), count
        return None, count

    def _files(self, target: Target, seen: set[Sha256]) -> Iterator[tuple[Place, MirroredFile]]:
        """Every file of every snapshot whose blob was not met before; the documents are verified on the way."""
        for repo in mirrored_repos(target.store):
            self._site.go_on()
            self._repos += 1
            try:
                snapshots = read_refs(target.store, repo).snapshots
            except (DocumentError, KeyMissing) as error:
                self._faults.append(BlobFault(target.name, repo.kind, repo.id, "", "refs.json", "", str(error)))
                continue
            for commit, digest in snapshots.items():
                self._snapshots += 1
                yield from self._snapshot(target, Place(target.name, repo, commit), digest, seen)

    def _snapshot(
        self, target: Target, place: Place, digest: Sha256, seen: set[Sha256]
    ) -> Iterator[tuple[Place, MirroredFile]]:
        body = self._document(target.store, place, digest, seen, again=True)
        if body is None:
            return
        try:
            root = Root.decode(body)
        except DocumentError as error:
            self._faults.append(place.fault(digest, str(error)))
            return
        for document in (root.info, root.commits):
            self._document(target.store, place, document, seen)
        for shard in root.shards:
            yield from self._shard(target.store, place, shard.digest, seen)

    def _shard(
        self, store: Store, place: Place, digest: Sha256, seen: set[Sha256]
    ) -> Iterator[tuple[Place, MirroredFile]]:
        body = self._document(store, place, digest, seen)
        try:
            for file in read_shard(body) if body is not None else ():
                if file.sha256 not in seen:
                    seen.add(file.sha256)
                    yield Place(place.target, place.repo, place.commit, file.path), file
        except DocumentError as error:
            self._faults.append(place.fault(digest, str(error)))

    def _document(
        self, store: Store, place: Place, digest: Sha256, seen: set[Sha256], *, again: bool = False
    ) -> bytes | None:
        """A document's bytes; None when it was verified before, or is at fault (which is noted)."""
        if digest in seen and not again:
            return None
        seen.add(digest)
        self._blobs += 1
        try:
            body = read_document(store, digest)
        except KeyMissing:
            self._faults.append(place.fault(digest, "missing"))
            return None
        except DocumentError as error:
            self._faults.append(place.fault(digest, str(error)))
            return None
        self._bytes += len(body)
        return body
