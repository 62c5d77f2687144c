"""A directory as a target: the same keys as in a bucket, as files that a web server reads.

What survives a power cut, in this order: the bytes of an object before its name; the names of blobs before a pointer
(any key that is no blob's) that may refer to them; a pointer's removal before any later removal. So a blob costs a
sync, which it shares with whoever else waits for one (`syncfs`), small ones wait for many (`groups`), and a pointer
costs a few more (`files.Folders`).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from mirror_sync.domain.content.keys import blob_of
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import KeyMissing
from mirror_sync.owners import is_there
from mirror_sync.ports.store import Stat
from mirror_sync.stores.directory.file_system import Folders, StoredFileStream, store_errors, sync_folder, write_all
from mirror_sync.stores.directory.groups import Groups
from mirror_sync.stores.directory.staged import StagedUpload, go_on, start
from mirror_sync.stores.directory.staging import Staging
from mirror_sync.stores.directory.syncfs import SharedSync
from mirror_sync.stores.key_names import check_key, check_prefix, hidden
from mirror_sync.stores.parts import PART_SIZE, Parts

_SMALL = 256 * 1024  # bytes of a blob that may have its name later
_NOTHING_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class DirectoryStore:
    """Implements `ports.Store` on one file system. The root is made at the first write.

    The digest given to `put` is not checked again: nothing lies between the caller's memory and the file.
    """

    confirm = False  # a file that was synced is there
    readers = min(8, max(2, len(os.sched_getaffinity(0))))  # the kernel reads ahead: one for each core that hashes

    def __init__(self, root: Path, *, part_size: int = PART_SIZE) -> None:
        self.root = root.absolute()
        self._text = str(self.root)
        self.part_size = part_size
        self._folders = Folders(self.root)
        self._staging = Staging(self.root, self._folders)
        self._groups = Groups(self._staging)
        self._shared = SharedSync()

    def stat(self, key: str) -> Stat | None:
        path = self._known(key)
        with store_errors(path):
            try:
                found = path.stat()
            except _NOTHING_THERE:
                self._expect_mounted(path)
                return None
        if not stat.S_ISREG(found.st_mode):
            return None
        self._folders.note(str(path.parent))  # another process may have put it just now; a pointer of ours may name it
        return Stat(key, found.st_size, _arrived(found))

    @contextmanager
    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[StoredFileStream]:
        path = self._known(key)
        with store_errors(path):
            try:
                file = FileIO(path)
            except _NOTHING_THERE:
                self._expect_mounted(path)
                raise KeyMissing(key) from None
        with file:
            size = os.fstat(file.fileno()).st_size
            file.seek(start)
            yield StoredFileStream(file, max(0, (size if stop is None else min(stop, size)) - start), path)

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        blob = blob_of(key) is not None  # which is a key, then
        path = f"{self._text}/{key if blob else check_key(key)}"
        with store_errors(path):
            if not blob:
                self._groups.commit(key)
                self._publish(self._stage(body, os.fsync), key)
            elif len(body) > _SMALL:
                self._publish(self._stage(body, self._shared.sync, self._shared.watch), key)
            else:
                self._groups.add(key, self._stage(body, watch=self._groups.watch))

    def begin(self, key: str, size: int, token: str | None = None) -> StagedUpload:
        """The whole file's space is claimed at once. Kept bytes are given back to be proved: a power cut may have cost
        what the page cache held of them.
        """
        path = self._path(key)
        parts = Parts.of(size, self.part_size)
        with store_errors(path):
            kept = None if token is None else go_on(self._staging, key, parts, token)
            return kept or start(self._staging, key, parts)

    def sweep(self, older_than: float) -> int:
        """Staged files of small objects too; their last activity is their last write."""
        with store_errors(self.root):
            self._groups.publish()
            return self._staging.sweep(older_than)

    def free(self) -> int:
        """Bytes that an ordinary user may still write to the file system that the root is, or will be, on."""
        with store_errors(self.root):
            there = self.root
            while not is_there(there) and there != there.parent:
                _expect_end(str(there))
                there = there.parent
            found = os.statvfs(there)
            return found.f_bavail * found.f_frsize

    def touch(self, key: str) -> None:
        path = self._known(key)
        with store_errors(path):
            try:
                os.utime(path)  # the file system's own clock, not ours: they may differ on a network mount
            except _NOTHING_THERE:
                raise KeyMissing(key) from None

    def list(self, prefix: str) -> Iterator[Stat]:
        folder = check_prefix(prefix).rpartition("/")[0]
        with store_errors(self.root):
            self._groups.publish()
        return self._walk(f"{folder}/" if folder else "", prefix)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._known(key)
            with store_errors(path):
                try:
                    path.unlink()
                except _NOTHING_THERE:
                    continue
                if blob_of(key) is None:
                    sync_folder(path.parent)

    def __repr__(self) -> str:
        return f"DirectoryStore({str(self.root)!r})"

    def _stage(
        self,
        body: bytes | bytearray | memoryview,
        sync: Callable[[int], None] = lambda _: None,
        watch: Callable[[str], None] = lambda _: None,
    ) -> str:
        """A staged file of this body; nothing is left of it when that fails."""
        staged, fd = self._staging.create()
        try:
            watch(staged)
            write_all(fd, body)
            sync(fd)
        except BaseException:
            _remove(staged)
            raise
        finally:
            os.close(fd)
        return staged

    def _publish(self, staged: str, key: str) -> None:
        try:
            self._staging.publish(staged, key)
        except BaseException:
            _remove(staged)
            raise

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _known(self, key: str) -> Path:
        """Where an object is, if it is at all: one that waits for its name gets it now."""
        path = self._path(key)
        if key in self._groups:
            with store_errors(path):
                self._groups.publish()
        return path

    def _expect_mounted(self, path: Path) -> None:
        """OSError where what would hold `path`, or itself, is a link that leads nowhere: to a disk, say.

        Also where the root is a file, or below one.
        """
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.stat(self._text).st_mode):  # noqa: PTH116  text, as of what is put: misses are many
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.root))
        beyond = str(path).removeprefix(self._text).lstrip("/").partition("/")[0]
        for place in (self._text, f"{self._text}/{beyond}", str(path)):
            _expect_end(place)

    def _walk(self, folder: str, prefix: str) -> Iterator[Stat]:
        """Depth first, one folder in memory for each level. `folder` is "" or ends in a slash."""
        for name, entry in self._entries(folder):
            key = f"{folder}{name}"
            if hidden(key) or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._walk(key, prefix)
            elif (found := self._found(entry)) is not None and key.startswith(prefix):
                yield Stat(key, found.st_size, _arrived(found))

    def _entries(self, folder: str) -> Iterable[tuple[str, os.DirEntry[str]]]:
        """In the order of keys: folders count with their slash, so that `a-b` comes before `a/b`."""
        path = self.root / folder
        with store_errors(path):
            try:
                with os.scandir(path) as entries:
                    named = [(f"{entry.name}/" if entry.is_dir() else entry.name, entry) for entry in entries]
            except _NOTHING_THERE:
                self._expect_mounted(path)
                return []
        return sorted(named, key=lambda pair: pair[0])

    def _found(self, entry: os.DirEntry[str]) -> os.stat_result | None:
        """None for what was removed since, and for what is no file."""
        with store_errors(Path(entry.path)):
            try:
                found = entry.stat()
            except _NOTHING_THERE:
                _expect_end(entry.path)
                return None
        return found if stat.S_ISREG(found.st_mode) else None


def _remove(staged: str) -> None:
    Path(staged).unlink(missing_ok=True)


def _expect_end(place: str) -> None:
    """FileNotFoundError where a link leads nowhere."""
    try:
        linked = stat.S_ISLNK(os.lstat(place).st_mode)
    except _NOTHING_THERE:
        return
    if linked and not is_there(Path(place)):
        raise FileNotFoundError(errno.ENOENT, f"{place} is a link to what is not there; is its disk mounted?", place)


def _arrived(found: os.stat_result) -> float:
    """When an object came to where it is: `cp -a`, `rsync -a` and a restored backup bring an old `st_mtime` along."""
    return max(found.st_mtime, found.st_ctime)
