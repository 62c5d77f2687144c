"""What the directory store asks of a file system: plain answers, errors of ours, and an order of durability."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import FileIO
from pathlib import Path

from mirror_sync.errors import StoreDenied, StoreError, StoreFull, StoreUnavailable
from mirror_sync.owners import with_hindrance

FILE_MODE = 0o644  # a web server of another user reads what we write,
FOLDER_MODE = 0o755  # whatever our umask is

# bytes; for larger ones the kernel looks for larger pages, which cost a virtual machine ten times the CPU
_SLICE = 128 * 1024
_LARGE = 1024 * 1024  # bytes of a body that is worth the way past the page cache
_BLOCK = 4096  # bytes; of so many, lengths of direct writes are multiples on any usual disk

_ERRORS: dict[int | None, type[StoreError]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EFBIG: StoreFull,
    errno.EACCES: StoreDenied,
    errno.EPERM: StoreDenied,
    errno.EROFS: StoreDenied,
    errno.EISDIR: StoreError,  # one key is the folder of another: it stays so
    errno.ENOTDIR: StoreError,
    errno.ENOTEMPTY: StoreError,
    errno.ENAMETOOLONG: StoreError,
}


class SystemErrors(AbstractContextManager[None]):
    """Turns an OSError into the StoreError that it means, with the path, in one line.

    A class, since every small file passes here: a generator costs twice as much.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path | str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            means = _ERRORS.get(error.errno, StoreUnavailable)
            said = f"{ascii(os.fspath(self._path))[1:-1]}: {error.strerror or error}"
            paths = (*_named(error), Path(self._path))
            raise means(with_hindrance(said, *paths) if means is StoreDenied else said) from error


store_errors = SystemErrors


def _named(error: OSError) -> Iterator[Path]:
    """The paths that the system was asked for, which may be others than the one that is meant in the end."""
    for name in (error.filename, error.filename2):
        if isinstance(name, str | os.PathLike):
            yield Path(name)


def write_all(fd: int, body: bytes | bytearray | memoryview, offset: int = 0) -> None:
    """Writes the whole body at `offset`; a file system may take less at a time.

    A large one that begins on a page goes past the page cache where that can be done: it is to be synced in any case,
    the copy costs more CPU than all else that is done with it, and it would drive out what readers read.
    """
    view = memoryview(body).cast("B")
    if len(view) >= _LARGE and isinstance(view.obj, mmap.mmap):
        count = _write_directly(fd, view[: len(view) // _BLOCK * _BLOCK], offset)
        view, offset = view[count:], offset + count
    while view:
        count = os.pwrite(fd, view[:_SLICE], offset)
        view, offset = view[count:], offset + count


def _write_directly(fd: int, blocks: memoryview, offset: int) -> int:
    """How many bytes could be written past the page cache: fewer than all, or none, where the file system or the place
    of the bytes does not allow it. Source: open(2), O_DIRECT.
    """
    flags, count = fcntl.fcntl(fd, fcntl.F_GETFL), 0
    try:
        with where_supported():
            fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
            while count < len(blocks):
                count += os.pwrite(fd, blocks[count:], offset + count)
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    return count


def sync_file(path: Path | str) -> None:
    """Makes the bytes of a file survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: Path | str) -> None:
    """Makes the names in a folder survive a power cut, where the file system can do that; a folder may be gone."""
    with suppress(FileNotFoundError), where_supported():
        sync_file(path)


@contextmanager
def where_supported() -> Iterator[None]:
    """Passes over what some file systems do not offer: syncing a folder, claiming space, direct writes."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise


class StoredFileStream:
    """Implements `ports.FileStream` over an open file: a replaced object is read to its end."""

    def __init__(self, file: FileIO, length: int, path: Path) -> None:
        self._file, self._left, self._path = file, length, path

    def readinto(self, buffer: memoryview) -> int:
        if not self._left:
            return 0
        with store_errors(self._path):
            count = self._file.readinto(buffer[: self._left])
        if not count and len(buffer):
            raise StoreUnavailable(f"{self._path}: ends {self._left} bytes too early")
        self._left -= count or 0
        return count or 0

    @property
    def unread(self) -> tuple[FileIO, int, int]:
        with store_errors(self._path):
            return self._file, self._file.tell(), self._left


class Folders:
    """The folders of a store: made when needed, synced when something is about to rely on their names.

    A blob's bytes are synced before it gets its name, so that no crash ever shows half of one. That the *name* survives
    a power cut matters only when a pointer is about to say so: until then the blob is merely fetched again. So the
    folders that were written or read by name are noted, and synced together, once, before the next pointer is written
    (`flush`). Thousands of small files share at most 256 folders.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unsettled: set[str] = set()
        self._lock = threading.Lock()
        self._settling = threading.Lock()

    def make(self, folder: Path) -> None:
        """Makes a folder and its parents, readable for everybody, the root included."""
        if folder.is_dir():
            return
        self.make(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(FOLDER_MODE)
        if self._root in folder.parents:
            self.note(str(folder.parent))

    def note(self, folder: str) -> None:
        """A name in this folder is new, or was seen: a pointer may come to rely on it."""
        with self._lock:
            self._unsettled.add(folder)

    def flush(self) -> None:
        """Returns when every name that was noted before the call survives a power cut."""
        with self._settling:  # whoever finds that another thread took the folders over waits until they are synced
            with self._lock:
                taken, self._unsettled = self._unsettled, set()
            try:
                while taken:
                    folder = taken.pop()
                    sync_folder(folder)
            except OSError:
                with self._lock:
                    self._unsettled |= {folder, *taken}
                raise
