"""Locks in the state folder: one writer of a repo, one publication of a catalogue, on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

_POLL = 0.2  # seconds between two calls of `go_on`


def locks_of(state_dir: Path, place: str) -> Path:
    """The folder of a target's locks: the same one for the same place, however the target is named."""
    return state_dir / "locks" / sha256(place.encode()).hexdigest()[:12]


def acquired(path: Path, go_on: Callable[[], None]) -> AbstractContextManager[object]:
    """The lock, held until the block's end. While it is waited for `go_on` is called, and ends that by raising.

    Safe for many threads. OSError when the folder cannot be written.
    """
    lock = FileLock(path, thread_local=False, is_singleton=False)
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return lock.acquire(timeout=_POLL)
        except Timeout:
            go_on()
