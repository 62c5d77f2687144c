"""Brings a large file in parts, hashed in order, and notes after each how far it got.

A process that is killed at any byte loses the parts in flight, no more: the next one asks the store for the noted
parts, takes the hash up where it was, and fetches the rest. What was kept is proved before it counts: by the hash's own
state where the store vouches for its parts, else by reading them again. Wrong bytes are never gone on with.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.engine.context import Target
from mirror_sync.engine.memory_budget import MemoryBudget
from mirror_sync.engine.transfer.file_read import FileRead
from mirror_sync.engine.transfer.resumable_sha256 import RunningSha256, restore, running_sha256
from mirror_sync.engine.transfer.segment_pool import SegmentPool
from mirror_sync.errors import IntegrityError, StoreError
from mirror_sync.ports.memory import UploadNote, UploadNotes
from mirror_sync.ports.store import Upload

_FEWEST, _MOST = 2, 4  # parts in flight of one file: one is fetched while one is stored, and two wait for answers
_AT_RISK = 8  # of so many parts, one in flight: a kill loses them
_READ = 1024 * 1024  # bytes between two checks of the stop event


def in_flight(parts: int) -> int:
    """How many parts of a file of `parts` are on their way at once: an eighth, or two."""
    return max(_FEWEST, min(_MOST, parts // _AT_RISK))


class LargeFiles:
    """Brings files that are larger than a part into one target. `segments` runs their ranges."""

    def __init__(self, target: Target, memory: MemoryBudget, segments: SegmentPool) -> None:
        self._store, self._notes, self._room = target.store, target.notes, target.room
        self._memory, self._segments = memory, segments

    def bring(self, read: FileRead, digest: Sha256) -> None:
        """Raises IntegrityError, UpstreamError, StoreError, Interrupted; then nothing is visible under the key."""
        with resume_note_of(self._notes, blob_key(digest)) as page:
            if not self._bring(read, digest, page, page.read()):
                self._bring(read, digest, page, None)

    def _bring(self, read: FileRead, digest: Sha256, page: ResumeNote, note: UploadNote | None) -> bool:
        """False when the kept parts can be neither hashed nor vouched for here."""
        with self._store.begin(blob_key(digest), read.file.size, note.token if note else None) as upload:
            self._room.took(read.file.content)  # a disk gives the whole file its space at once
            if not upload.kept:
                page.clear()
            flow = _Flow(read, upload, page, self._memory, self._segments)
            with flow.ending():
                running = _hash_of_kept(read, upload, note)
                if running is not None:
                    read.found(min(upload.kept * upload.part_size, read.file.size))
                    flow.run(running, digest)
                    upload.complete()
        return running is not None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file on its way; `body` may be reused once it was hashed and put."""

    number: int
    body: memoryview
    fetched: Future[None]
    puts: Sequence[Future[None]]
    """Of its ranges; the last to end has put the part."""


class _Countdown:
    """Counts the ranges of a part that are not there yet; of several that fail the first is told."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._failed = False
        self._lock = threading.Lock()

    def one_less(self) -> bool:
        """Whether that was the last, and none failed."""
        with self._lock:
            self._left -= 1
            return not self._left

    def fail(self, told: Future[None], error: BaseException) -> None:
        with self._lock:
            first, self._failed = not self._failed, True
        if first:
            told.set_exception(error)


class _Flow:
    """The parts of one file on their way into one upload."""

    def __init__(
        self, read: FileRead, upload: Upload, page: ResumeNote, memory: MemoryBudget, segments: SegmentPool
    ) -> None:
        self._read, self._upload, self._page = read, upload, page
        self._memory, self._segments = memory, segments
        self._window: deque[Part] = deque()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Keeps what was put and noted when the block fails, unless it is worth nothing; else the page is emptied."""
        try:
            yield
        except BaseException as error:
            if self._page.written and not _worthless(error):
                self._upload.keep()
                self._read.keep(self._page.written_bytes)
            else:
                self._page.clear()
            raise
        self._page.clear()

    def run(self, running: RunningSha256, digest: Sha256) -> None:
        """Bring and hash all parts but those kept."""
        size, part_size = self._read.file.size, self._upload.part_size
        count = -(-size // part_size)
        self._page.write(self._upload, self._upload.kept, running, 0)
        most = self._segments.window(1 if self._upload.in_order else in_flight(count))
        try:
            for number in range(self._upload.kept, count):
                while len(self._window) >= most:
                    self._finish(running)
                length = min(part_size, size - number * part_size)
                body = self._buffer(length, running)
                self._window.append(self._start(number, body, self._segments.split(most, length)))
            while self._window:
                self._finish(running)
        finally:
            self._drop()
        if running.digest != digest:
            raise IntegrityError(self._read.file.path, digest, running.digest)

    def _buffer(self, size: int, running: RunningSha256) -> memoryview:
        """Wait for others only when holding nothing, else two large files could wait for each other."""
        while (body := self._memory.try_take(size)) is None:
            if not self._window:
                return self._memory.take(size)
            self._finish(running)
        return body

    def _start(self, number: int, body: memoryview, segments: int) -> Part:
        """The part in so many ranges of about one length; whoever has the last of them puts it."""
        start, length = number * self._upload.part_size, -(-len(body) // segments)
        fetched: Future[None] = Future()
        left = _Countdown(segments)

        def run(offset: int) -> None:
            try:
                self._read.range_into(body[offset : offset + length], start + offset)
            except BaseException as error:
                left.fail(fetched, error)
                raise
            if left.one_less():
                fetched.set_result(None)
                self._upload.put(number, body)

        ranges = range(0, len(body), length)
        return Part(number, body, fetched, [self._segments.submit(partial(run, offset), length) for offset in ranges])

    def _finish(self, running: RunningSha256) -> None:
        """Hash the oldest part while it is put, then note it: parts come in any order, a digest needs theirs."""
        part = self._window[0]
        part.fetched.result()
        running.update(part.body)
        for put in part.puts:
            put.result()
        self._window.popleft()
        self._memory.give_back(part.body)
        self._page.write(self._upload, part.number + 1, running, len(part.body))

    def _drop(self) -> None:
        """What is left when a part failed; nobody else waits for these."""
        puts = [put for part in self._window for put in part.puts]
        for put in puts:
            put.cancel()
        wait(puts)
        for part in self._window:
            self._memory.give_back(part.body)


def _hash_of_kept(read: FileRead, upload: Upload, note: UploadNote | None) -> RunningSha256 | None:
    """The hash of the kept parts; None where they cannot be read and no hash was saved.

    IntegrityError when the bytes are no longer those that were hashed.
    """
    if note is None or not upload.kept:
        return running_sha256()
    noted = restore(note.midstate, min(upload.kept * upload.part_size, read.file.size))
    kept = upload.read_kept()
    if kept is None:
        return noted
    found = running_sha256()
    chunk = memoryview(bytearray(_READ))
    with kept as stream:
        while count := stream.readinto(chunk):
            read.go_on()
            found.update(chunk[:count])
    if noted is not None and found.digest != noted.digest:
        raise IntegrityError(read.file.path, noted.digest, found.digest)
    return found


def _worthless(error: BaseException) -> bool:
    """Whether going on would fail again: the bytes are wrong, or the store refuses for no cause that passes."""
    return isinstance(error, IntegrityError) or type(error) is StoreError


class ResumeNote:
    """What is noted under one key, by whoever holds the claim on it; anybody else reads and writes nothing.

    A fault of the notes costs a later resume, never the transfer.
    """

    def __init__(self, notes: UploadNotes | None, key: str) -> None:
        self._notes, self._key = notes, key
        self.written = False
        """Whether a later process will find a note here."""
        self.written_bytes = 0
        """Of the parts that were noted since the upload was begun or gone on with."""

    def read(self) -> UploadNote | None:
        note = None
        if self._notes is not None:
            with suppress(StoreError):
                note = self._notes.load(self._key)
        self.written = note is not None
        return note

    def write(self, upload: Upload, parts: int, running: RunningSha256, count: int) -> None:
        """Note that `parts` leading parts were put and hashed, the last of which brought `count` bytes."""
        if self._notes is None:
            return
        try:
            self._notes.save(self._key, UploadNote(upload.token(parts), running.save()))
        except StoreError:
            return  # the last note stands: fewer parts, still true
        self.written = True
        self.written_bytes += count

    def clear(self) -> None:
        self.written, self.written_bytes = False, 0
        if self._notes is not None:
            with suppress(StoreError):
                self._notes.forget(self._key)


@contextmanager
def resume_note_of(notes: UploadNotes, key: str) -> Iterator[ResumeNote]:
    """The page of a key, blank and not to be written where somebody else on this machine brings the same content."""
    with ExitStack() as claim:
        mine = False
        with suppress(StoreError):
            mine = claim.enter_context(notes.claim(key))
        yield ResumeNote(notes if mine else None, key)
