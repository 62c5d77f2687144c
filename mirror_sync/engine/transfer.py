"""Brings one file from a source into a store, proving every byte on the way.

Nothing is visible under a blob's key before its digest is known to be the promised one: a small file is hashed in
memory and put at once, a large one is put in parts, hashed in order, and completed last.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass

import tenacity

from mirror_sync.domain.digest import CommitId, ContentHash, Sha256
from mirror_sync.domain.events import BytesFetched, FileFinished, FileStarted, Retrying
from mirror_sync.domain.keys import blob_key
from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.memory import MemoryBudget
from mirror_sync.engine.site import Site
from mirror_sync.errors import IntegrityError, MirrorError
from mirror_sync.ports import ByteStream, Source, Store, Upload

_READ = 1024 * 1024  # bytes between two looks at the stop event
_ATTEMPTS = 3  # wrong bytes may be a proxy's or a disk's fault of the moment
PARTS_IN_FLIGHT = 4  # of one file


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file comes from, and in which run."""

    run: str
    source: Source
    repo: Repo
    commit: CommitId


@dataclass(frozen=True, slots=True)
class Part:
    """A range of a file on its way; `body` may be reused once it was hashed and put."""

    start: int
    body: memoryview
    done: Future[None]


class Transfer:
    """Brings files into one store. `parts` runs the ranges of large files; it is not the pool that calls `bring`."""

    def __init__(self, site: Site, store: Store, memory: MemoryBudget, parts: Executor) -> None:
        self._site, self._store, self._memory, self._parts = site, store, memory, parts

    def bring(self, origin: Origin, file: RemoteFile) -> Sha256:
        """Fetch, prove and store a file; return its digest.

        Raises IntegrityError with the promised and the actual digest when the bytes stay wrong, UpstreamError,
        StoreError, Interrupted; in all these cases nothing is visible under the blob's key.
        """
        self._site.tell(FileStarted(origin.run, origin.repo, file.path, file.size))
        error: str | None = None
        try:
            return self._retrying()(self._bring_once, origin, file)
        except MirrorError as caught:
            error = str(caught)
            raise
        finally:
            self._site.tell(FileFinished(origin.run, origin.repo, file.path, file.size, error))

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(IntegrityError),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            before_sleep=self._tell_retry,
            reraise=True,
        )

    def _tell_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, IntegrityError):
            self._site.tell(Retrying(error.path, error.code, str(error), state.attempt_number, 0.0))

    def _bring_once(self, origin: Origin, file: RemoteFile) -> Sha256:
        read = _Progress(self._site, origin, file)
        try:
            return self._small(read) if file.size <= self._store.part_size else self._large(read)
        except BaseException:
            read.take_back()
            raise

    def _small(self, read: _Progress) -> Sha256:
        file = read.file
        with self._memory_for(file.size):
            body = memoryview(bytearray(file.size))
            read.range_into(body, 0)
            digest = _prove(file, body)
            self._store.put(blob_key(digest), body, digest)
            return digest

    @contextmanager
    def _memory_for(self, size: int) -> Iterator[None]:
        self._memory.take(size)
        try:
            yield
        finally:
            self._memory.give_back(size)

    def _large(self, read: _Progress) -> Sha256:
        file = read.file
        # A large file without a promised SHA-256 has no key yet: it is hashed once on its way and brought under the
        # digest that this gives. Upstreams promise SHA-256 for all but small files, so this is rare.
        digest = file.sha256 or self._digest_of(read)
        with self._store.begin(blob_key(digest), file.size) as upload:
            self._put_parts(read, upload, digest)
            upload.complete()
        return digest

    def _digest_of(self, read: _Progress) -> Sha256:
        content = ContentHash(read.file.size, read.file.promise)
        size = self._store.part_size
        with self._memory_for(size):
            body = memoryview(bytearray(size))
            for start in range(0, read.file.size, size):
                part = body[: min(size, read.file.size - start)]
                read.range_into(part, start)
                content.update(part)
        read.take_back()
        _check(read.file, content)
        return content.sha256

    def _put_parts(self, read: _Progress, upload: Upload, digest: Sha256) -> None:
        content = ContentHash(read.file.size, digest)
        window: deque[Part] = deque()
        try:
            for start in range(0, read.file.size, upload.part_size):
                size = min(upload.part_size, read.file.size - start)
                self._make_room(size, window, content)
                window.append(self._start(read, upload, start, size))
            while window:
                self._finish(window, content)
        finally:
            self._drop(window)
        if not content.kept:
            raise IntegrityError(read.file.path, digest, content.actual)

    def _make_room(self, size: int, window: deque[Part], content: ContentHash) -> None:
        """Take `size` bytes; wait for others only when holding none, else two large files could wait for each other."""
        while len(window) >= PARTS_IN_FLIGHT:
            self._finish(window, content)
        while not self._memory.try_take(size):
            if not window:
                return self._memory.take(size)
            self._finish(window, content)
        return None

    def _start(self, read: _Progress, upload: Upload, start: int, size: int) -> Part:
        body = memoryview(bytearray(size))

        def run() -> None:
            read.range_into(body, start)
            upload.put(start // upload.part_size, body)

        return Part(start, body, self._parts.submit(run))

    def _finish(self, window: deque[Part], content: ContentHash) -> None:
        """Wait for the oldest part and hash it: parts arrive in any order, a digest needs them in theirs."""
        part = window.popleft()
        try:
            part.done.result()
            content.update(part.body)
        finally:
            self._memory.give_back(len(part.body))

    def _drop(self, window: deque[Part]) -> None:
        for part in window:
            part.done.cancel()
        wait([part.done for part in window])
        for part in window:
            self._memory.give_back(len(part.body))


class _Progress:
    """Reads ranges of one file, tells how many bytes came, and takes them back when the attempt fails."""

    def __init__(self, site: Site, origin: Origin, file: RemoteFile) -> None:
        self.file = file
        self._site, self._origin = site, origin
        self._count = 0
        self._lock = threading.Lock()

    def range_into(self, body: memoryview, start: int) -> None:
        """Fill `body` with the file's bytes from `start`."""
        origin, stop = self._origin, start + len(body)
        whole = start == 0 and stop == self.file.size
        with origin.source.fetch(origin.repo, origin.commit, self.file, start, None if whole else stop) as stream:
            self._fill(body, stream)

    def _fill(self, body: memoryview, stream: ByteStream) -> None:
        at = 0
        while at < len(body):
            self._site.go_on()
            count = stream.readinto(body[at : at + _READ])
            if not count:
                raise IntegrityError(self.file.path, f"{self.file.size} bytes", "fewer")
            at += count
            self._tell(count)

    def _tell(self, count: int) -> None:
        with self._lock:
            self._count += count
        self._site.tell(BytesFetched(self._origin.run, self._origin.repo, self.file.path, count))

    def take_back(self) -> None:
        """Tell that the bytes of this attempt were thrown away."""
        if self._count:
            self._tell(-self._count)


def _prove(file: RemoteFile, body: memoryview) -> Sha256:
    content = ContentHash(file.size, file.promise)
    content.update(body)
    _check(file, content)
    return content.sha256


def _check(file: RemoteFile, content: ContentHash) -> None:
    if not content.kept:
        raise IntegrityError(file.path, file.promise, content.actual)
