"""One sync of a file system in place of many of its files, where that does what fsync does for each of them.

Source: syncfs(2). It tells of writes that failed those who had opened something of the file system before, each
descriptor once: so two who rely on the answer share none.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
import weakref
from concurrent.futures import Future
from pathlib import Path

_KERNEL = ctypes.CDLL(None, use_errno=True)
_MAGIC = {0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994}  # ext4, XFS, Btrfs, F2FS, tmpfs: statfs(2)


def sync_system(fd: int) -> bool:
    """Sync the file system that an open file is on; False where that does not do what fsync does. OSError."""
    if not _syncs_at_once(fd):
        return False
    if _KERNEL.syncfs(fd):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True


class SharedSync:
    """Syncs files of one file system, those of all threads that wait for it together."""

    def __init__(self) -> None:
        self._watched: int | None = None
        self._trusted = True
        self._next: Future[bool] | None = None
        self._lock, self._syncing = threading.Lock(), threading.Lock()

    def watch(self, staged: str) -> None:
        """To be called before the first byte of a file is written. OSError."""
        with self._lock:
            if self._watched is None:
                self._watched = os.open(Path(staged).parent, os.O_RDONLY)
                weakref.finalize(self, os.close, self._watched)

    def sync(self, fd: int) -> None:
        """Returns when what was written to a file before the call survives a power cut.

        OSError, to all whom a sync that failed was for; from then on each file is synced by itself, and told of.
        """
        watched = self._watched
        shared = self._trusted and watched is not None and os.fstat(fd).st_dev == os.fstat(watched).st_dev
        if not (shared and watched is not None and self._join(watched)):
            os.fsync(fd)

    def _join(self, watched: int) -> bool:
        """Wait for a sync that begins after the call; whoever comes first makes it when the one before has ended."""
        with self._lock:
            first = self._next is None
            mine = self._next = self._next or Future()
        if first:
            with self._syncing:
                with self._lock:
                    self._next = None
                self._lead(mine, watched)
        return mine.result()

    def _lead(self, mine: Future[bool], watched: int) -> None:
        try:
            # one that failed was told to those whom it was for; it may have been about files of others too
            mine.set_result(self._trusted and sync_system(watched))
        except BaseException as error:
            self._trusted = False
            mine.set_exception(error)


def _syncs_at_once(fd: int) -> bool:
    """Local file systems, and kernels that tell when it failed (5.8). One in user space is told nothing by it."""
    found = (ctypes.c_long * 32)()  # a struct statfs and room to spare; its type comes first
    return _TELLS and not _KERNEL.fstatfs(fd, found) and found[0] in _MAGIC


def _tells(release: str) -> bool:
    found = re.match(r"(\d+)\.(\d+)", release)
    return found is not None and (int(found[1]), int(found[2])) >= (5, 8)


_TELLS = sys.platform == "linux" and _tells(os.uname().release)
