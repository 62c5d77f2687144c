"""Locks between the threads and processes of one machine: a file of its own each, by flock(2), which ends with whoever
holds it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Self

_POLL = 0.05  # seconds between two tries


class Held(TimeoutError):
    """Somebody else has the lock."""


class FileHold:
    """A lock that is held until the end of its block, or of the process."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._fd)  # which unlocks it: nobody has it twice


def hold(path: Path, seconds: float | None = None) -> FileHold:
    """Lock a file, which is made where it is not there and stays; wait for it for ever, or so many seconds.

    Held when that is not enough; OSError when it cannot be made or locked.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    until = None if seconds is None else time.monotonic() + seconds
    try:
        while not _locks(fd):
            if until is not None and time.monotonic() >= until:
                raise Held(f"{path} is locked")  # noqa: TRY301  what closes it is below
            time.sleep(_POLL)
    except BaseException:
        os.close(fd)
        raise
    return FileHold(fd)


def _locks(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
