"""Whether a target has room for what is about to be fetched: reserved before the first byte, over all on its way.

Free space says nothing of what others of this process are about to write there. So each repo reserves what it will
write, and a content is counted from then until its space is taken on the disk, once however many repos want it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import Content, RemoteFile
from mirror_sync.errors import StoreError, StoreFull
from mirror_sync.ports.memory import UploadNotes
from mirror_sync.ports.store import Store

_SPARE = 20  # one part in so many more, for what a file system needs for itself
_BLOCK = 4096  # bytes: a file takes whole blocks of a disk
_A_FILE = 512  # bytes that a file takes in the documents of a snapshot, its share of shards and lists
_DOCUMENTS = 64 * 1024  # bytes that the documents of a snapshot take however few its files are


class Room:
    """What is on its way into one target. Safe for many threads; all jobs of a process share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._awaited: dict[Content, tuple[int, set[int]]] = {}  # bytes, and the reservations that want it
        self._documents: dict[int, int] = {}  # bytes, by reservation

    @contextmanager
    def reserved(
        self, name: str, files: Collection[RemoteFile], documents: int, free: Callable[[], int | None]
    ) -> Iterator[None]:
        """Room for `files` and so many bytes of documents, for as long as the block lasts.

        `free` is asked what the target of that `name` has now; it says None where nobody can tell. Raises StoreFull,
        naming all figures, when that is less than what is on its way already and this; and what `free` raises.
        """
        with self._lock:  # also while asking: what is taken meanwhile would be counted neither here nor there
            mine, room = next(self._numbers), free()
            if room is not None:
                self._reserve(mine, name, files, documents, room)
        try:
            yield
        finally:
            with self._lock:
                self._give_up(mine)

    def took(self, content: Content) -> None:
        """The space of a content is taken on the disk: free space tells of it from now on, also to who comes later."""
        with self._lock:
            if content in self._awaited:
                self._awaited[content] = (0, self._awaited[content][1])

    def _reserve(self, mine: int, name: str, files: Collection[RemoteFile], documents: int, free: int) -> None:
        others = sum(size for size, _ in self._awaited.values()) + sum(self._documents.values())
        size = sum(on_disk(file.size) for file in files if file.content not in self._awaited)
        needed = with_spare(size) + documents
        if others + needed > free:
            besides = f", beside {others:,} for what is on its way there" if others else ""
            raise StoreFull(f"target {name} has {free:,} bytes free, {needed:,} are needed{besides}")
        self._documents[mine] = documents + with_spare(size) - size
        for file in files:
            self._awaited.setdefault(file.content, (on_disk(file.size), set()))[1].add(mine)

    def _give_up(self, mine: int) -> None:
        self._documents.pop(mine, None)
        for content, (_, wanted) in [*self._awaited.items()]:
            wanted.discard(mine)
            if not wanted:
                del self._awaited[content]


def with_spare(size: int) -> int:
    """Bytes of files, and what a file system needs for itself to hold them."""
    return size + size // _SPARE


def documents_of(files: int) -> int:
    """Bytes that the documents of a snapshot of so many files take at the most, roughly."""
    return _DOCUMENTS + files * _A_FILE


def not_begun(store: Store, notes: UploadNotes, files: Collection[RemoteFile]) -> list[RemoteFile]:
    """The files that need room still: one whose upload was begun has its space already."""
    return [file for file in files if not _has_begun(store, notes, file)]


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
