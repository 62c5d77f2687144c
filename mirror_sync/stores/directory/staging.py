"""Unfinished objects of a directory store: files of a hidden folder, until one rename makes each visible, whole.

A crash leaves nothing but files here, which `sweep` removes by their age. No key leads here, no listing shows them, and
the folder is closed to others.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path
from stat import S_ISREG

from mirror_sync.domain.content.keys import blob_of
from mirror_sync.stores.directory.file_system import FILE_MODE, Folders

NAME = ".staging"
_NAME = re.compile(r"[0-9]+-[0-9a-f]{16}")
_PRIVATE = 0o700


class Staging:
    """Makes staged files and publishes them under their keys."""

    def __init__(self, root: Path, folders: Folders) -> None:
        self._root, self._begins = root, f"{root}/".replace("//", "/")
        self._folder = root / NAME
        self._folders = folders

    def create(self) -> tuple[str, int]:
        """A new empty file and its descriptor. The path is text: of very many, each Path costs more than the call."""
        path = f"{self._begins}{NAME}/{os.getpid()}-{secrets.token_hex(8)}"
        try:
            fd = _create(path)
        except FileNotFoundError:
            self._folders.make(self._root)
            self._folder.mkdir(mode=_PRIVATE, exist_ok=True)
            fd = _create(path)
        os.fchmod(fd, FILE_MODE)
        return path, fd

    def find(self, name: str) -> Path | None:
        """The staged file of this name; None for a name that `create` never gave."""
        return self._folder / name if _NAME.fullmatch(name) else None

    def sweep(self, older_than: float) -> int:
        """Remove the files that were last written more than so many seconds ago; return how many."""
        files = self._files()
        limit = self._now() - older_than if files else 0.0
        return sum(_remove_if_older(path, limit) for path in files)

    def publish(self, staged: str, key: str) -> None:
        """Gives a file, whose bytes are synced, its name. A pointer's name is durable on return, after all it names."""
        final = f"{self._begins}{key}"
        folder = final.rpartition("/")[0]
        pointer = blob_of(key) is None
        if pointer:
            self._folders.flush()
        try:
            os.rename(staged, final)  # noqa: PTH104  as above
        except FileNotFoundError:
            self._folders.make(Path(folder))
            os.rename(staged, final)  # noqa: PTH104
        self._folders.note(folder)
        if pointer:
            self._folders.flush()

    def is_published(self, key: str) -> bool:
        """Whether something has this name; a pointer may come to rely on it."""
        final = self._root / key
        try:
            found = final.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not S_ISREG(found.st_mode):
            return False
        self._folders.note(str(final.parent))
        return True

    def _files(self) -> list[Path]:
        try:
            return [*self._folder.iterdir()]
        except FileNotFoundError:
            return []

    def _now(self) -> float:
        """By the file system's clock, which may be a file server's."""
        try:
            path, fd = self.create()
        except OSError:  # full, or not ours to write: what is too old can still be told
            return time.time()
        os.close(fd)
        try:
            return Path(path).stat().st_mtime
        finally:
            Path(path).unlink()


def _remove_if_older(path: Path, limit: float) -> bool:
    try:
        if path.stat().st_mtime > limit:
            return False
        path.unlink()
    except FileNotFoundError:
        return False  # published or removed meanwhile
    return True


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
