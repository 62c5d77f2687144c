"""Whether a target has room for what is about to be fetched: reserved before the first byte, over all on its way.

Free space says nothing of what others of this process are about to write there. So each repo reserves what it will
write, and a content is counted from then until its space is taken on the disk, once however many repos want it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from struct import Struct
from typing import Protocol

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import Content, RemoteFile
from mirror_sync.errors import StoreError, StoreFull
from mirror_sync.ports.memory import UploadNotes
from mirror_sync.ports.store import Store
from mirror_sync.scratch.spilled_map import SpilledMap

_SPARE = 20  # one part in so many more, for what a file system needs for itself
_BLOCK = 4096  # bytes: a file takes whole blocks of a disk
_A_FILE = 512  # bytes that a file takes in the documents of a snapshot, its share of shards and lists
_AWAITED = Struct(">QI")
_DOCUMENTS = 64 * 1024  # bytes that the documents of a snapshot take however few its files are


class TakenRoom(Protocol):
    """Where room is taken: a Target, for one."""

    @property
    def name(self) -> str: ...

    @property
    def store(self) -> Store: ...

    @property
    def notes(self) -> UploadNotes: ...


class Room:
    """What is on its way into one target. Safe for many threads; all jobs of a process share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._awaited = SpilledMap()  # by content: bytes that are not taken yet, and how many reservations want it
        self._files = 0  # bytes of all of these
        self._documents: dict[int, int] = {}  # bytes, by reservation

    @contextmanager
    def reserved(self, place: TakenRoom, fetch: Iterable[RemoteFile], files: int) -> Iterator[None]:
        """Room for what a snapshot of so many files still lacks, and its documents, for as long as the block lasts.

        The place is asked what it has now, which nobody may be able to tell. Raises StoreFull, naming all figures, when
        that is less than what is on its way already and this; StoreError.
        """
        wanted, number, documents = SpilledMap(), next(self._numbers), documents_of(files)
        try:
            with self._lock:  # also while asking: what is taken meanwhile would be counted neither here nor there
                room = place.store.free()
                if room is not None:
                    others = self._files + sum(self._documents.values())
                    size = self._await(not_begun(place.store, place.notes, fetch), wanted)
                    _expect_room(place.name, room, others, with_spare(size) + documents)
                    self._documents[number] = documents + with_spare(size) - size
            yield
        finally:
            with self._lock:
                self._documents.pop(number, None)
                self._give_up(wanted)

    def took(self, content: Content) -> None:
        """The space of a content is taken on the disk: free space tells of it from now on, also to who comes later."""
        key = content.key
        with self._lock:
            if (found := self._awaited.get(key)) is not None:
                size, wanting = _AWAITED.unpack(found)
                self._files -= size
                self._awaited.put(key, _AWAITED.pack(0, wanting))

    def _await(self, files: Iterable[RemoteFile], wanted: SpilledMap) -> int:
        """Count files in; returns the bytes of those that nobody else awaits."""
        more = 0
        for file in files:
            key = file.content.key
            if not wanted.put(key):
                continue
            found = self._awaited.get(key)
            size, wanting = (on_disk(file.size), 0) if found is None else _AWAITED.unpack(found)
            more += size if found is None else 0
            self._awaited.put(key, _AWAITED.pack(size, wanting + 1))
        self._files += more
        return more

    def _give_up(self, wanted: SpilledMap) -> None:
        for key in wanted.all_keys():
            found = self._awaited.get(key)
            size, wanting = (0, 1) if found is None else _AWAITED.unpack(found)
            if wanting > 1:
                self._awaited.put(key, _AWAITED.pack(size, wanting - 1))
            else:
                self._awaited.pop(key)
                self._files -= size
        wanted.clear()


def _expect_room(name: str, free: int, others: int, needed: int) -> None:
    if others + needed > free:
        besides = f", beside {others:,} for what is on its way there" if others else ""
        raise StoreFull(f"target {name} has {free:,} bytes free, {needed:,} are needed{besides}")


def with_spare(size: int) -> int:
    """Bytes of files, and what a file system needs for itself to hold them."""
    return size + size // _SPARE


def documents_of(files: int) -> int:
    """Bytes that the documents of a snapshot of so many files take at the most, roughly."""
    return _DOCUMENTS + files * _A_FILE


def not_begun(store: Store, notes: UploadNotes, files: Iterable[RemoteFile]) -> Iterator[RemoteFile]:
    """The files that need room still: one whose upload was begun has its space already."""
    return (file for file in files if not _has_begun(store, notes, file))


def on_disk(size: int) -> int:
    """Bytes of the whole blocks that a file of `size` bytes takes."""
    return -(-size // _BLOCK) * _BLOCK


def _has_begun(store: Store, notes: UploadNotes, file: RemoteFile) -> bool:
    """False also where the notes cannot be read: then the upload will start anew."""
    if file.sha256 is None or file.size <= store.part_size:
        return False
    with suppress(StoreError):
        return notes.load(blob_key(file.sha256)) is not None
    return False
