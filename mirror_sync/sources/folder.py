"""The files of one folder: found, refused when they lead elsewhere, hashed once, read in ranges."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from stat import S_ISDIR

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.manifest import RemoteFile, check_path
from mirror_sync.errors import Unreachable, UnsafePath

LARGE = 10 * 1024 * 1024  # bytes; above it the Hub, too, keeps every file in LFS
_CHUNK = 1024 * 1024  # bytes
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n"
_SKIPPED = frozenset({".git", ".cache", ".huggingface", ".DS_Store"})  # traces of tools, no content


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file and its digest; `modified` in seconds since the epoch."""

    remote: RemoteFile
    sha256: Sha256
    modified: float


def walk(folder: Path, root: Path) -> Iterator[tuple[str, Path]]:
    """Relative path and place of every file, sorted by path in UTF-8.

    UnsafePath for names that no mirror should publish, and for links that lead out of `root` or to folders. OSError.
    """
    boundary = _real(root)
    if not _real(folder).is_relative_to(boundary):
        raise UnsafePath(str(folder), "is a link that leaves the upstream's folder")
    found: list[tuple[bytes, Path]] = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        for name in (*names, *(name for name in folders if Path(parent, name).is_symlink())):
            place = Path(parent, name)
            if name not in _SKIPPED and _checked(place, folder, boundary):
                found.append((place.relative_to(folder).as_posix().encode(), place))
    return ((path.decode(), place) for path, place in sorted(found))


class Hasher:
    """Digests of files, remembered by place, size, time and inode. Safe for many threads."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], Hashed]] = {}
        self._lock = threading.Lock()

    def read(self, path: str, place: Path) -> Hashed:
        """The file at `place`, known to readers as `path`. OSError."""
        status = place.stat()
        mark = (status.st_size, status.st_mtime_ns, status.st_ino)
        with self._lock:
            known = self._known.get(place)
        if known is not None and known[0] == mark:
            return known[1]
        hashed = _hash(path, place, status.st_size, status.st_mtime)
        with self._lock:
            self._known[place] = (mark, hashed)
        return hashed

    def forget(self, place: Path) -> None:
        """Read the file at `place` again the next time, whatever its size and times say."""
        with self._lock:
            self._known.pop(place, None)


class FileStream:
    """The bytes [start, stop) of an open file. Unreachable when the file has not the promised `size`, or shrinks."""

    def __init__(self, opened: FileIO, place: Path, size: int, start: int, stop: int) -> None:
        actual = os.fstat(opened.fileno()).st_size
        if actual != size:
            raise Unreachable(f"{plain(str(place))} has changed while we read: {actual} bytes, no longer {size}")
        opened.seek(start)
        self._opened, self._place = opened, place
        self._left = max(min(stop, size) - start, 0)

    def readinto(self, buffer: memoryview) -> int:
        if not self._left or not buffer:
            return 0
        with disk(self._place):
            count = self._opened.readinto(buffer[: min(len(buffer), self._left)])
        if not count:
            raise Unreachable(f"{plain(str(self._place))} ended {self._left} bytes early: it has changed while we read")
        self._left -= count
        return count


def _checked(place: Path, folder: Path, boundary: Path) -> bool:
    """Whether a regular file stands there that may be published."""
    path = check_path(place.relative_to(folder).as_posix())
    if place.is_symlink():
        if not _real(place).is_relative_to(boundary):
            raise UnsafePath(path, "is a link that leaves the upstream's folder")
        if place.is_dir():
            raise UnsafePath(path, "is a link to a folder")
        if not place.exists():
            raise UnsafePath(path, "is a link to nothing")
    return place.is_file()


def _real(place: Path) -> Path:
    return Path(os.path.realpath(place))  # Path.resolve raises RuntimeError for links that go round in a circle


def _hash(path: str, place: Path, size: int, modified: float) -> Hashed:
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with place.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            sha256.update(chunk)
            if size <= LARGE:
                git.update(chunk)
    digest = Sha256(sha256.hexdigest())
    if size <= LARGE:
        return Hashed(RemoteFile(path, size, GitOid(git.hexdigest())), digest, modified)
    pointer = _POINTER.format(digest=digest, size=size).encode()
    return Hashed(RemoteFile(path, size, GitOid.of_blob(pointer), digest, len(pointer)), digest, modified)


def is_folder(place: Path) -> bool:
    """Whether a folder stands there. Unreachable where nobody can tell: only what is not there, is not there."""
    with disk(place):
        try:
            return S_ISDIR(place.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False


@contextmanager
def disk(place: Path) -> Iterator[None]:
    """Turns what the operating system says about a place into Unreachable."""
    try:
        yield
    except OSError as error:
        raise Unreachable(f"{plain(str(place))}: cannot be read: {error.strerror or type(error).__name__}") from error


def _raise(error: OSError) -> None:
    raise error
