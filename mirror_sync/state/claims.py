"""Claims on names between the threads and processes of one machine, which end with whoever holds them.

One file, never written: a name is claimed by locking the one byte of it whose number is the name's hash. Such locks of
an open file description hold between threads too, vanish with the process, and leave no files to clean up:
https://man7.org/linux/man-pages/man2/F_OFD_SETLK.2const.html
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from mirror_sync.errors import StoreUnavailable
from mirror_sync.owners import with_hindrance

_HELD = (errno.EAGAIN, errno.EACCES)
_NUMBER = 7  # bytes of a hash: offsets are below 2^63; two names that share a byte only wait on each other
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, process id


@contextmanager
def claimed(path: Path, name: str) -> Iterator[bool]:
    """Whether the block holds the name. StoreUnavailable when the file cannot be made or locked."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreUnavailable(with_hindrance(f"{path}: {error.strerror}", path)) from error
    try:
        yield _try_lock(fd, path, name)
    finally:
        os.close(fd)  # ends the claim


def _try_lock(fd: int, path: Path, name: str) -> bool:
    number = int.from_bytes(sha256(name.encode()).digest()[:_NUMBER], "big")
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0))
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    return True
