"""A large object on its way into a directory: one staged file that many threads write into, and that may be kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Self

from mirror_sync.errors import StoreError
from mirror_sync.owners import is_there
from mirror_sync.stores.directory.file_system import (
    StoredFileStream,
    store_errors,
    sync_file,
    where_supported,
    write_all,
)
from mirror_sync.stores.directory.staging import Staging
from mirror_sync.stores.parts import Parts
from mirror_sync.stores.tokens import Token, read_token


class StagedUpload:
    """Implements `ports.Upload`, and removes the file on the way out unless it was completed or is to be kept."""

    in_order = False

    def __init__(self, staging: Staging, key: str, parts: Parts, path: Path, kept: int = 0) -> None:
        self.part_size, self.kept = parts.part_size, kept
        self._staging, self._key, self._parts, self._path = staging, key, parts, path
        self._put = set(range(kept))
        self._lock = threading.Lock()
        self._stays = False

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

    def token(self, parts: int) -> str:
        return str(Token(self._path.name, self._parts.size, self.part_size, parts))

    def read_kept(self) -> AbstractContextManager[StoredFileStream]:
        return self._read(min(self.kept * self.part_size, self._parts.size))

    def keep(self) -> None:
        self._stays = True

    def complete(self) -> None:
        self._parts.check_all(self._key, self._put)
        with store_errors(self._path):
            if not is_there(self._path):
                raise StoreError(f"{self._key}: the upload was aborted or completed before")
            sync_file(self._path)
            self._staging.publish(str(self._path), self._key)

    def abort(self) -> None:
        with suppress(OSError):
            self._path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._stays:
            self.abort()  # finds nothing after `complete`, which has renamed the file

    @contextmanager
    def _read(self, length: int) -> Iterator[StoredFileStream]:
        with store_errors(self._path):
            file = FileIO(self._path)
        with file:
            yield StoredFileStream(file, length, self._path)


def start(staging: Staging, key: str, parts: Parts) -> StagedUpload:
    """A new upload. OSError when there is no room for the whole: found now, not after hours of download."""
    path, fd = staging.create()
    upload = StagedUpload(staging, key, parts, Path(path))
    try:
        _claim_space(fd, parts.size)
    except OSError:
        upload.abort()
        raise
    finally:
        os.close(fd)
    return upload


def go_on(staging: Staging, key: str, parts: Parts, text: str) -> StagedUpload | None:
    """The upload that gave this token; None when its file is gone or was another object's, which is removed."""
    token = read_token(text)
    path = token and staging.find(token.upload)
    if not token or not path:
        return None
    upload = StagedUpload(staging, key, parts, path, token.kept)
    try:
        os.utime(path)  # from now on it is in use
        if token.fits(parts) and path.stat().st_size == parts.size:
            return upload
    except FileNotFoundError:
        return None
    upload.abort()
    return None


def _claim_space(fd: int, size: int) -> None:
    if not size:
        return
    with where_supported():
        os.posix_fallocate(fd, 0, size)
    os.ftruncate(fd, size)  # where no space can be claimed, the size at least: by it a kept file is known
