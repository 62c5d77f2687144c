"""The files of one folder: found, refused when they lead elsewhere, hashed once, read in ranges.

What lies there is not always what an upstream promised. An LFS pointer (https://github.com/git-lfs/git-lfs,
docs/spec.md), as a clone without LFS leaves it, is listed as the file that it stands for. What a download leaves behind
that was cut, or goes on, is no content.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from struct import Struct

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.content.manifest import LFS_POINTER, RemoteFile, check_path
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.errors import FolderUnreadable, Unreachable, UnsafePath
from mirror_sync.scratch.spilled_map import SpilledMap

LARGE = 10 * 1024 * 1024  # bytes; above it the Hub, too, keeps every file in LFS
_CHUNK = 1024 * 1024  # bytes
_POINTER_SHAPE = re.compile(
    rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v1\r?\n"
    rb"oid sha256:([0-9a-f]{64})\r?\nsize (\d{1,18})(?:\r?\n)?"
)
_LARGEST_POINTER = 1023  # bytes
_SKIPPED = frozenset({".git", ".cache", ".huggingface", ".DS_Store"})  # traces of tools, no content
_LEAVINGS = frozenset({"._____temp", ".msc", ".mdl", ".mv", ".lock", ".hfd"})  # ModelScope's, and those of hfd.sh
_UNFINISHED = (".incomplete", ".aria2")
_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})  # what a link says of what it stands for
_EACH_TIME = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG})
_MARK, _HASHED = Struct(">QqQ"), Struct(">Qq?20s32s")
_CUT = ".cache/huggingface/download"  # where `hf download --local-dir` keeps what it has not finished


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file and the digest of its content; `modified` in seconds since the epoch."""

    remote: RemoteFile
    sha256: Sha256
    modified: float


class FolderWalk:
    """Relative path and place of every file of a folder, sorted by path in UTF-8; no more than a folder's is held.

    UnsafePath for names that no mirror should publish, and for links that lead out of `root` or to folders. OSError.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder, self._boundary = folder, _real(root)
        if not _real(folder).is_relative_to(self._boundary):
            raise UnsafePath(str(folder), "is a link that leaves the upstream's folder")
        self._left = _unfinished(folder)

    @property
    def leavings(self) -> tuple[str, ...]:
        """The paths of what downloads left behind, once all files have come."""
        return tuple(place.relative_to(self._folder).as_posix() for place in sorted(self._left, key=_tells_least))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        around = [self._entries(str(self._folder), "")]
        while around:
            found = next(around[-1], None)
            if found is None:
                around.pop()
                continue
            path, entry = found
            if entry.is_dir(follow_symlinks=False):
                around.append(self._entries(entry.path, f"{path}/"))
            elif _is_file(check_path(path), entry, self._boundary):
                yield path, entry.path

    def _entries(self, folder: str, above: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What lies in a folder, in the order in which all that lies below it comes."""
        with os.scandir(folder) as entries:
            found = [*entries]
        left = _leavings({entry.name for entry in found})
        self._left += (Path(folder, name) for name in left)
        found = [entry for entry in found if entry.name not in _SKIPPED and entry.name not in left]
        return ((above + entry.name, entry) for entry in sorted(found, key=_in_order))


def _in_order(entry: os.DirEntry[str]) -> bytes:
    """As git sorts a tree: what lies in a folder has a slash after its name."""
    return os.fsencode(entry.name) + (b"/" if entry.is_dir(follow_symlinks=False) else b"")


def _unfinished(folder: Path) -> list[Path]:
    """What `hf download` keeps of files that it has not finished; none where a link stands on the way. OSError."""
    cut = folder / _CUT
    if _real(cut) != _real(folder) / _CUT:  # it may lead anywhere, and names are told
        return []
    walked = os.walk(cut, onerror=_raise_unless_absent)
    return [Path(parent, name) for parent, _, names in walked for name in names if name.endswith(_UNFINISHED[0])]


def _tells_least(place: Path) -> tuple[bool, Path]:
    """A file that was cut is worth more words than the notes of a tool."""
    return place.name in _LEAVINGS, place


def _leavings(names: Collection[str]) -> frozenset[str]:
    """Those of a folder's names that are no content: also the file of which an `.aria2` says that it is not whole."""
    return frozenset(
        name for name in names if name in _LEAVINGS or name.endswith(_UNFINISHED) or f"{name}.aria2" in names
    )


class FileHasher:
    """Digests of files, remembered by place, size, time and inode. Safe for many threads."""

    def __init__(self) -> None:
        self._known = SpilledMap()
        self._lock = threading.Lock()

    def read(self, path: str, place: str) -> Hashed:
        """The file at `place`, known to readers as `path`. OSError."""
        status, key = os.stat(place), os.fsencode(place)  # noqa: PTH116
        mark = _MARK.pack(status.st_size, status.st_mtime_ns, status.st_ino)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known.startswith(mark):
            return _unpacked(path, known[len(mark) :], status.st_mtime)
        hashed = _hash(path, place, status.st_size, status.st_mtime)
        with self._lock:
            self._known.put(key, mark + _packed(hashed))
        return hashed

    def forget(self, place: Path) -> None:
        """Read the file at `place` again the next time, whatever its size and times say."""
        with self._lock:
            self._known.pop(os.fsencode(place))


def _packed(hashed: Hashed) -> bytes:
    file = hashed.remote
    pointer = -1 if file.pointer_size is None else file.pointer_size
    digests = bytes.fromhex(file.oid), bytes.fromhex(hashed.sha256)
    return _HASHED.pack(file.size, pointer, file.pointer_only, *digests)


def _unpacked(path: str, packed: bytes, modified: float) -> Hashed:
    size, pointer, pointer_only, oid, sha256 = _HASHED.unpack(packed)
    digest, git = Sha256(sha256.hex()), GitOid(oid.hex())
    file = RemoteFile(path, size, git) if pointer < 0 else RemoteFile(path, size, git, digest, pointer, pointer_only)
    return Hashed(file, digest, modified)


class FolderFileStream:
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


def _is_file(path: str, entry: os.DirEntry[str], boundary: Path) -> bool:
    """Whether a regular file stands there that may be published."""
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    if not _real(Path(entry.path)).is_relative_to(boundary):
        raise UnsafePath(path, "is a link that leaves the upstream's folder")
    try:
        found = os.stat(entry.path)  # noqa: PTH116
    except OSError as error:
        if error.errno not in _LEADS_NOWHERE:
            raise
        raise UnsafePath(path, "is a link to nothing") from None
    if S_ISDIR(found.st_mode):
        raise UnsafePath(path, "is a link to a folder")
    return S_ISREG(found.st_mode)


def open_file(place: Path | str) -> FileIO:
    """A file, opened for reading. OSError, which is FileNotFoundError where none stands any more.

    It never waits: whoever opens a pipe for reading waits for somebody who writes into it.
    """
    opened = FileIO(place, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
    if not S_ISREG(os.fstat(opened.fileno()).st_mode):
        opened.close()
        raise FileNotFoundError(errno.ENOENT, "what stands there is no file", str(place))
    return opened


def _real(place: Path) -> Path:
    return Path(os.path.realpath(place))  # Path.resolve raises RuntimeError for links that go round in a circle


def _hash(path: str, place: str, size: int, modified: float) -> Hashed:
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open_file(place) as stream:
        chunk = stream.read(_CHUNK)
        promised = _pointed_at(chunk) if size <= _LARGEST_POINTER else None
        while chunk and promised is None:
            sha256.update(chunk)
            if size <= LARGE:
                git.update(chunk)
            chunk = stream.read(_CHUNK)
    if promised is not None:
        digest, size = promised
        return Hashed(_large(path, size, digest, pointer_only=True), digest, modified)
    digest = Sha256(sha256.hexdigest())
    if size <= LARGE:
        return Hashed(RemoteFile(path, size, GitOid(git.hexdigest())), digest, modified)
    return Hashed(_large(path, size, digest), digest, modified)


def _pointed_at(content: bytes) -> tuple[Sha256, int] | None:
    """What an LFS pointer stands for, and its size in bytes; None for what is no pointer."""
    found = _POINTER_SHAPE.fullmatch(content[: _LARGEST_POINTER + 1])
    return None if found is None else (Sha256(found[1].decode()), int(found[2]))


def _large(path: str, size: int, digest: Sha256, *, pointer_only: bool = False) -> RemoteFile:
    """As the Hub lists a file that is kept in LFS."""
    pointer = LFS_POINTER.format(digest=digest, size=size).encode()
    return RemoteFile(path, size, GitOid.of_blob(pointer), digest, len(pointer), pointer_only)


def is_folder(place: Path) -> bool:
    """Whether a folder stands there. Unreachable where nobody can tell: only what is not there, is not there."""
    with disk(place):
        try:
            return S_ISDIR(place.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False


def is_link(place: Path) -> bool:
    """OSError where nobody can tell: pathlib's own answer is False then, from Python 3.14 on."""
    return S_ISLNK(place.lstat().st_mode)


@contextmanager
def disk(place: Path) -> Iterator[None]:
    """Turns what the system says about a place into Unreachable: FolderUnreadable where it says so each time."""
    try:
        yield
    except OSError as error:
        kind = FolderUnreadable if error.errno in _EACH_TIME else Unreachable
        raise kind(f"{plain(str(place))}: cannot be read: {error.strerror or type(error).__name__}") from error


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
