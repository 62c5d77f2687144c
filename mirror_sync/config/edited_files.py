"""What people keep and commands change, jobs.yaml, decisions.yaml, tokens.yaml: one change at a time, each whole."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror_sync.errors import UsageError
from mirror_sync.owners import cause, whose

_MODE = 0o644  # of a new decisions.yaml or tokens.yaml: they hold no secret, and fronts of other users read tokens


@contextmanager
def alone_at(path: Path) -> Iterator[None]:
    """One changes a file of this folder at a time, in any process. OSError where the folder is not there."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_file(path: Path, body: bytes) -> None:
    """In one step, once its bytes are on the disk; owner and mode stay. UsageError where that cannot be."""
    young = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(young, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            _take_after(path, descriptor)
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(body)
                file.flush()
                os.fsync(descriptor)
            young.replace(path)
        except BaseException:
            young.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {cause(error, path.parent)}") from error


def _take_after(path: Path, descriptor: int) -> None:
    try:
        old = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, _MODE)
        return
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except PermissionError:
            raise UsageError(f"{whose(path)}, and would not be any more; do this as its owner") from None
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
