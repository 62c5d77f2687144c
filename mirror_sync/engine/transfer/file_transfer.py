"""Brings one file from a source into a store, proving every byte on the way.

Nothing is visible under a blob's key before its digest is known to be the promised one: a small file is hashed in
memory and put at once, a large one is put in parts, hashed in order, and completed last: see `multipart`.
"""

from __future__ import annotations

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import ContentHash, Sha256
from mirror_sync.domain.outcome.events import Disproved, FileFinished, FileStarted, Retrying
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.single_flight import StoredContent
from mirror_sync.engine.transfer.file_read import FileOrigin, FileRead
from mirror_sync.engine.transfer.multipart import LargeFiles
from mirror_sync.engine.transfer.segment_pool import SegmentPool
from mirror_sync.errors import IntegrityError, Interrupted

_ATTEMPTS = 3  # wrong bytes may be a proxy's or a disk's fault of the moment


class Transfer:
    """Brings files into one target. `segments` runs the ranges of large files."""

    def __init__(self, context: RunContext, target: Target, segments: SegmentPool) -> None:
        self._context, self._store, self._memory, self._segments = context, target.store, context.memory, segments
        self._room = target.room
        self._large_files = LargeFiles(target, context.memory, segments)

    def at(self, context: RunContext, target: Target) -> Transfer:
        """One that shares the ranges' pool with this one."""
        return Transfer(context, target, self._segments)

    def bring(self, origin: FileOrigin, file: RemoteFile) -> StoredContent:
        """Fetch, prove and store a file; return what it turned out to be.

        Raises IntegrityError with the promised and the actual digest when the bytes stay wrong, UpstreamError,
        StoreError, Interrupted; in all these cases nothing is visible under the blob's key.
        """
        self._context.tell(FileStarted(origin.run, origin.repo, file.path, file.size))
        error, interrupted = None, False
        try:
            return self._bring_retrying(origin, file)
        except Interrupted:
            interrupted = True  # the file has not failed: the run was stopped
            raise
        except BaseException as caught:
            error = str(caught) or type(caught).__name__
            raise
        finally:
            self._context.tell(FileFinished(origin.run, origin.repo, file.path, file.size, error, interrupted))

    def _bring_retrying(self, origin: FileOrigin, file: RemoteFile) -> StoredContent:
        for attempt in range(1, _ATTEMPTS):
            try:
                return self._bring_once(origin, file)
            except IntegrityError as error:
                self._context.tell(Retrying(error.path, error.code, str(error), attempt, 0.0))
        return self._bring_once(origin, file)

    def _bring_once(self, origin: FileOrigin, file: RemoteFile) -> StoredContent:
        read = FileRead(self._context, origin, file)
        try:
            stored = self._small(read) if file.size <= self._store.part_size else self._large(read)
        except IntegrityError:
            read.take_back()
            self._context.tell(Disproved(origin.run, origin.repo, file.path))
            origin.source.distrust(origin.repo, origin.commit, file)
            raise
        except BaseException:
            read.take_back()
            raise
        read.stored()
        return stored

    def _small(self, read: FileRead) -> StoredContent:
        file = read.file
        body = self._memory.take(file.size)
        try:
            read.range_into(body, 0)
            stored = _prove(file, body)
            self._store.put(blob_key(stored.digest), body, stored.digest)
            self._room.took(file.content)
            return stored
        finally:
            self._memory.give_back(body)

    def _large(self, read: FileRead) -> StoredContent:
        # A large file without a promised SHA-256 has no key yet: it is hashed once on its way and brought under the
        # digest that this gives. Upstreams promise SHA-256 for all but small files, so this is rare.
        digest = read.file.sha256 or self._digest_of(read)
        self._large_files.bring(read, digest)
        return StoredContent(digest, None if read.file.sha256 else read.file.oid)

    def _digest_of(self, read: FileRead) -> Sha256:
        content = ContentHash(read.file.size, read.file.promise)
        size = self._store.part_size
        body = self._memory.take(size)
        try:
            for start in range(0, read.file.size, size):
                part = body[: min(size, read.file.size - start)]
                read.range_into(part, start)
                content.update(part)
        finally:
            self._memory.give_back(body)
        read.take_back()
        _check(read.file, content)
        return content.sha256


def _prove(file: RemoteFile, body: memoryview) -> StoredContent:
    content = ContentHash(file.size, file.promise)
    content.update(body)
    _check(file, content)
    return StoredContent(content.sha256, content.oid)


def _check(file: RemoteFile, content: ContentHash) -> None:
    if not content.kept:
        raise IntegrityError(file.path, file.promise, content.actual)
