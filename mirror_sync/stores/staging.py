"""Unfinished objects of a directory store: files of a hidden folder, until one rename makes each visible, whole.

A crash leaves nothing but files here. No key leads here, no listing shows them, and the folder is closed to others.
"""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from mirror_sync.domain.keys import blob_of
from mirror_sync.errors import StoreError
from mirror_sync.stores.files import FILE_MODE, Folders, store_errors, sync_file, where_supported, write_all
from mirror_sync.stores.parts import Parts

NAME = ".staging"
_PRIVATE = 0o700


class Staging:
    """Makes staged files and publishes them under their keys."""

    def __init__(self, root: Path, folders: Folders) -> None:
        self._root = root
        self._folder = root / NAME
        self._folders = folders

    def create(self) -> tuple[Path, int]:
        """A new empty file and its descriptor."""
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            fd = _create(path)
        except FileNotFoundError:
            self._folders.make(self._root)
            self._folder.mkdir(mode=_PRIVATE, exist_ok=True)
            fd = _create(path)
        os.fchmod(fd, FILE_MODE)
        return path, fd

    def publish(self, staged: Path, key: str) -> None:
        """Gives a file, whose bytes are synced, its name. A pointer's name is durable on return, after all it names."""
        final = self._root / key
        pointer = blob_of(key) is None
        if pointer:
            self._folders.settle()
        try:
            staged.rename(final)
        except FileNotFoundError:
            self._folders.make(final.parent)
            staged.rename(final)
        self._folders.note(final.parent)
        if pointer:
            self._folders.settle()


class StagedUpload:
    """An object on its way in parts, written into place by many threads. Implements `ports.Upload`."""

    def __init__(self, staging: Staging, key: str, parts: Parts) -> None:
        self.part_size = parts.part_size
        self._staging, self._key, self._parts = staging, key, parts
        self._put: set[int] = set()
        self._lock = threading.Lock()
        self._path, fd = staging.create()
        try:
            if parts.size:
                with where_supported():
                    os.posix_fallocate(fd, 0, parts.size)  # a full disk is found now, not after hours of download
        except OSError:
            self.abort()
            raise
        finally:
            os.close(fd)

    def put(self, number: int, body: bytes | bytearray | memoryview) -> None:
        self._parts.check(number, memoryview(body).nbytes)
        with store_errors(self._path):
            # Opened for each part: a descriptor shared by threads might be closed, and its number reused, by an abort.
            fd = os.open(self._path, os.O_WRONLY)
            try:
                write_all(fd, body, number * self.part_size)
            finally:
                os.close(fd)
        with self._lock:
            self._put.add(number)

    def complete(self) -> None:
        self._parts.check_all(self._key, self._put)
        with store_errors(self._path):
            if not self._path.exists():
                raise StoreError(f"{self._key}: the upload was aborted or completed before")
            sync_file(self._path)
            self._staging.publish(self._path, self._key)

    def abort(self) -> None:
        with suppress(OSError):
            self._path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()  # finds nothing after `complete`, which has renamed the file


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
