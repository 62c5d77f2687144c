"""The page of the notes on one upload. A fault of the notes costs a later resume, never the transfer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from mirror_sync.engine.transfer.resumable_sha256 import RunningSha256
from mirror_sync.errors import StoreError
from mirror_sync.ports.memory import UploadNote, UploadNotes
from mirror_sync.ports.store import Upload


class ResumeNote:
    """What is noted under one key, by whoever holds the claim on it; anybody else reads and writes nothing."""

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
