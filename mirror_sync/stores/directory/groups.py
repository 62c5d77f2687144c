"""Small blobs that become durable in groups: one sync of the file system for many, and only then their names.

An fsync for each file of a few KiB costs more than all else that a directory does with it. So small blobs wait, staged,
until a group is full, its first has waited for a second, somebody asks for one of them, or a pointer is put. A crash
loses such a group at most: nothing names its blobs yet, and they are fetched again.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from mirror_sync.errors import StoreUnavailable
from mirror_sync.stores.directory import syncfs
from mirror_sync.stores.directory.file_system import sync_file
from mirror_sync.stores.directory.staging import Staging

_GROUP = 128  # files
_LONGEST = 1.0  # seconds that a blob waits for others


class Groups:
    """The blobs of one store that wait for their names, at most `longest` seconds. Safe for many threads.

    A blob whose sync failed is lost, until it is put again or is found under its name. Any pointer may name it, so each
    is refused once for the losses up to then; that ends its run, and the next one looks every blob up again.
    """

    def __init__(
        self, staging: Staging, longest: float = _LONGEST, sync_system: Callable[[int], bool] | None = None
    ) -> None:
        self._staging, self._longest, self._sync_system = staging, longest, sync_system or syncfs.sync_system
        self._waiting: dict[str, str] = {}  # where each is staged
        self._lost: set[str] = set()
        self._losses = 0
        self._refused: dict[str, int] = {}  # pointers, and how many losses there were when each was refused
        self._watched: int | None = None
        self._trusted = True
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._publishing = threading.Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._waiting

    def watch(self, staged: str) -> None:
        """To be called before the first byte of a blob is written: the kernel tells of writes that failed only those
        who had opened something of the file system before. OSError.
        """
        if self._watched is None:
            with self._lock:
                if self._watched is None:
                    fd = os.open(Path(staged).parent, os.O_RDONLY)
                    weakref.finalize(self, os.close, fd)
                    self._watched = fd

    def add(self, key: str, staged: str) -> None:
        """Take over a staged file, written and not synced. What `publish` raises."""
        with self._lock:
            again = key in self._waiting
            if not again:
                self._waiting[key] = staged
                self._lost.discard(key)
            full = len(self._waiting) >= _GROUP
            if self._timer is None:
                self._set_timer()
        if again:
            Path(staged).unlink(missing_ok=True)  # the same bytes; the older file may be getting its name just now
        if full:
            self.publish()

    def publish(self) -> None:
        """Returns when every blob that was added before the call has its name. OSError; StoreUnavailable."""
        with self._publishing:  # whoever finds that another thread is at it waits until it is done
            try:
                self._publish()
            finally:
                with self._lock:
                    self._set_timer()

    def commit(self, pointer: str) -> None:
        """Publish, for a pointer that may name any blob put so far. StoreUnavailable once for what is lost."""
        self.publish()
        with self._lock:
            lost = [*self._lost]
        found = {key for key in lost if self._staging.is_published(key)}
        with self._lock:
            self._lost -= found
            if not self._lost:
                self._refused.clear()
            elif self._refused.get(pointer, 0) < self._losses:
                self._refused[pointer] = self._losses
                raise StoreUnavailable(f"{len(self._lost)} blobs could not be made durable, as {min(self._lost)}")

    def _publish(self) -> None:
        with self._lock:
            group = dict(self._waiting)
        if not group:
            return
        try:
            self._sync(group.values())
        except OSError:
            with self._lock:
                group = dict(self._waiting)  # those too that came meanwhile: the failure is told once
            self._lose(group)  # what a second sync says of the same pages is no proof
            raise
        for key, staged in group.items():
            self._name(key, staged)

    def _name(self, key: str, staged: str) -> None:
        try:
            self._staging.publish(staged, key)
        except FileNotFoundError:
            self._lose({key: staged})
            raise
        with self._lock:
            self._waiting.pop(key, None)

    def _lose(self, group: Mapping[str, str]) -> None:
        with self._lock:
            self._losses += 1
            self._lost |= group.keys()
            for key in group:
                self._waiting.pop(key, None)
        for staged in group.values():
            with suppress(OSError):
                Path(staged).unlink()

    def _sync(self, staged: Collection[str]) -> None:
        """Make the bytes of files, all of one folder, survive a power cut; each by itself once that failed for all."""
        fd = self._watched
        if self._trusted and fd is not None and _is_on(fd, Path(next(iter(staged))).parent):
            try:
                if self._sync_system(fd):
                    return
            except OSError:
                self._trusted = False
                raise
        for path in staged:
            sync_file(path)

    def _set_timer(self) -> None:
        """Armed while something waits. The caller holds the lock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            timer = threading.Timer(self._longest, self._publish_quietly)
            timer.start()  # no daemon: a process that ends by itself waits for it
            self._timer = timer

    def _publish_quietly(self) -> None:
        """What fails here is told to whoever puts or asks next."""
        try:
            self.publish()
        except (OSError, StoreUnavailable):
            if not threading.main_thread().is_alive():
                self._give_up()

    def _give_up(self) -> None:
        """A process that ends does not wait for ever for what cannot get its name."""
        with self._publishing:
            self._lose(dict(self._waiting))
            with self._lock:
                self._set_timer()


def _is_on(fd: int, folder: Path) -> bool:
    """Whether a folder is on the file system of an open one: another may have been mounted since."""
    return os.fstat(fd).st_dev == folder.stat().st_dev
