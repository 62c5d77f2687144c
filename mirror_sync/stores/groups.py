"""Small blobs that become durable in groups: one sync of the file system for many, and only then their names.

An fsync for each file of a few KiB costs more than all else that a directory does with it. So small blobs wait, staged,
until a group is full, its first has waited for a second, somebody asks for one of them, or a pointer is put. A crash
loses such a group at most: nothing names its blobs yet, and they are fetched again.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from mirror_sync.errors import StoreUnavailable
from mirror_sync.stores.files import sync_file
from mirror_sync.stores.staging import Staging

_GROUP = 128  # files
_LONGEST = 1.0  # seconds that a blob waits for others
_KERNEL = ctypes.CDLL(None, use_errno=True)


_MAGIC = {0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994}  # ext4, XFS, Btrfs, F2FS, tmpfs: statfs(2)


class Groups:
    """The blobs of one store that wait for their names, at most `longest` seconds. Safe for many threads."""

    def __init__(self, staging: Staging, longest: float = _LONGEST) -> None:
        self._staging, self._longest = staging, longest
        self._waiting: dict[str, Path] = {}
        self._lost: set[str] = set()
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._publishing = threading.Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._waiting

    def add(self, key: str, staged: Path) -> None:
        """Take over a staged file, written and not synced. What `publish` raises."""
        with self._lock:
            first, before = not self._waiting, self._waiting.get(key)
            self._waiting[key] = staged
            self._lost.discard(key)
            full = len(self._waiting) >= _GROUP
        if before is not None:
            before.unlink(missing_ok=True)  # the same bytes
        if full:
            self.publish()
        elif first:
            self._publish_later()

    def publish(self) -> None:
        """Returns when every blob that was added before the call has its name. OSError; StoreUnavailable."""
        with self._publishing:  # whoever finds that another thread is at it waits until it is done
            with self._lock:
                group = dict(self._waiting)
            if not group:
                return
            try:
                _sync(group.values())
            except OSError:
                self._lose(group)  # what a second sync says of the same pages is no proof
                raise
            for key, staged in group.items():
                self._name(key, staged)
            self._stop_waiting()

    def settle(self) -> None:
        """Publish, for a pointer that may name any blob put so far. StoreUnavailable while one of them is lost."""
        self.publish()
        if self._lost:
            raise StoreUnavailable(f"{len(self._lost)} blobs could not be made durable: {min(self._lost)} and others")

    def _name(self, key: str, staged: Path) -> None:
        try:
            self._staging.publish(staged, key)
        except FileNotFoundError:
            if self._waiting.get(key) is not staged:
                return  # put anew meanwhile, which took the older file away
            self._lose({key: staged})
            raise
        self._forget(key, staged)

    def _lose(self, group: Mapping[str, Path]) -> None:
        for key, staged in group.items():
            with self._lock:
                self._lost.add(key)
            self._forget(key, staged)
            with suppress(OSError):
                staged.unlink()

    def _forget(self, key: str, staged: Path) -> None:
        with self._lock:
            if self._waiting.get(key) is staged:
                del self._waiting[key]

    def _publish_later(self) -> None:
        self._timer = threading.Timer(self._longest, self._publish_quietly)
        self._timer.start()  # no daemon: a process that ends waits for it, so that only a kill loses a group

    def _stop_waiting(self) -> None:
        with self._lock:
            if self._timer is not None and not self._waiting:
                self._timer.cancel()
                self._timer = None

    def _publish_quietly(self) -> None:
        """What fails here is told to whoever puts or asks next."""
        with suppress(OSError, StoreUnavailable):
            self.publish()


def _sync(staged: Collection[Path]) -> None:
    """Make the bytes of files, all of one folder, survive a power cut."""
    fd = os.open(next(iter(staged)).parent, os.O_RDONLY)
    try:
        if not _syncs_at_once(fd):
            for path in staged:
                sync_file(path)
        elif _KERNEL.syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)


def _syncs_at_once(fd: int) -> bool:
    """Whether syncfs(2) does here what fsync does: local file systems, and kernels that tell when it failed (5.8).

    A file system in user space is told nothing by it.
    """
    found = (ctypes.c_long * 32)()  # a struct statfs and room to spare; its type comes first
    return _TELLS and not _KERNEL.fstatfs(fd, found) and found[0] in _MAGIC


def _tells(release: str) -> bool:
    found = re.match(r"(\d+)\.(\d+)", release)
    return found is not None and (int(found[1]), int(found[2])) >= (5, 8)


_TELLS = sys.platform == "linux" and _tells(os.uname().release)
