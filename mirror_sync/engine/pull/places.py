"""Where pulled files lie: a plain folder, or the cache of huggingface_hub, as its clients look for them.

Source of the cache's layout: huggingface_hub 2.4, file_download.py; `docs/hub/local-cache` of the Hub.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO, Protocol

from mirror_sync.domain.content.manifest import MirroredFile, check_path
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import StoreDenied, UnsafePath

_OURS = ".cache/mirror-sync"  # in a folder; what begins with .cache `prove` passes over, and get.sh has its parts there


class Destination(Protocol):
    """Holds files, each whole or not at all. Safe for many threads and processes. Raises OSError, UnsafePath."""

    root: Path

    def find(self, file: MirroredFile) -> Path | None:
        """Where the bytes of a file may lie already, which nobody has proved; None for nowhere."""
        ...

    def part(self, file: MirroredFile) -> Path:
        """Where they are gathered until they are proved."""
        ...

    def lock(self, file: MirroredFile) -> Path:
        """What is locked meanwhile; as huggingface_hub does, where that brings the same blobs."""
        ...

    def keep(self, file: MirroredFile, part: Path | None) -> None:
        """Show a file that is proved: as the part has it, or, None, as `find` found it."""
        ...

    def finish(self, revision: str) -> None:
        """Leave nothing of ours, and name what is complete."""
        ...


class Folder:
    """A plain folder. What else lies there stays; nothing is written outside of it, whatever paths and links say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._expect_own(root / _OURS)
        (root / _OURS).mkdir(parents=True, exist_ok=True)

    def find(self, file: MirroredFile) -> Path | None:
        path = self._path(file)
        return path if path.is_file() and not path.is_symlink() else None

    def part(self, file: MirroredFile) -> Path:
        return self.root / _OURS / file.sha256

    def lock(self, file: MirroredFile) -> Path:
        return self.part(file)

    def keep(self, file: MirroredFile, part: Path | None) -> None:
        path = self._path(file)
        if part is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)

    def finish(self, revision: str) -> None:
        with suppress(OSError):  # not empty: parts of another pull
            (self.root / _OURS).rmdir()
            (self.root / _OURS).parent.rmdir()

    def _path(self, file: MirroredFile) -> Path:
        path = self.root / check_path(file.path)
        self._expect_own(path.parent)
        return path

    def _expect_own(self, folder: Path) -> None:
        while folder != self.root:
            if folder.is_symlink():
                raise StoreDenied(f"{folder} is a link, which may lead out of {self.root}: refused")
            folder = folder.parent


class HubCache:
    """The cache of the Hub's clients: blobs by their ETags, a link for each file of a commit, and names of commits."""

    def __init__(self, cache: Path, repo: Repo, commit: CommitId) -> None:
        name = f"{repo.kind.plural}--{repo.id.replace('/', '--')}"
        self._repo, self._locks = cache / name, cache / ".locks" / name
        self._blobs, self._commit = self._repo / "blobs", commit
        self.root = self._repo / "snapshots" / commit
        for folder in (self._blobs, self.root, self._locks):
            folder.mkdir(parents=True, exist_ok=True)

    def find(self, file: MirroredFile) -> Path | None:
        blob = self._blobs / file.promise
        return blob if blob.is_file() else None

    def part(self, file: MirroredFile) -> Path:
        return self._blobs / f"{file.promise}.mirror-sync.incomplete"

    def keep(self, file: MirroredFile, part: Path | None) -> None:
        """Under the digest, and a link where the snapshot has it. UnsafePath for one that would lead out."""
        blob = self._blobs / file.promise
        if part is not None:
            part.replace(blob)
        link = self.root / check_path(file.path)
        target = os.path.relpath(blob, link.parent)
        if link.is_symlink() and os.readlink(link) == target:  # noqa: PTH115  as it stands there, whatever that means
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.parent.resolve().is_relative_to(self.root.resolve()):
            raise UnsafePath(file.path, "leads out of the cache")
        made = link.with_name(f".{file.promise}.mirror-sync")
        made.unlink(missing_ok=True)
        made.symlink_to(target)
        made.replace(link)

    def finish(self, revision: str) -> None:
        """Offline clients find a branch or a tag by its name."""
        if revision == self._commit or ".." in revision.split("/"):
            return
        name = self._repo / "refs" / revision
        name.parent.mkdir(parents=True, exist_ok=True)
        made = name.with_name(f".{name.name}.mirror-sync")
        made.write_text(self._commit, encoding="ascii")
        made.replace(name)

    def lock(self, file: MirroredFile) -> Path:
        return self._locks / f"{file.promise}.lock"


@contextmanager
def gathering(place: Destination, file: MirroredFile) -> Iterator[FileIO]:
    """The part of a file, open to be read and written, and of nobody else meanwhile: here or in another process.

    Who waited for it looks again whether the file is there. What is left in it stays, for the next pull.
    """
    path = place.lock(file)
    while True:
        with path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_at(path, lock):
                continue  # who held it has put it in place, or taken it away
            with place.part(file).open("a+b", buffering=0) as part:
                yield part
            return


def _is_at(path: Path, opened: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(opened.fileno()))
    except FileNotFoundError:
        return False
