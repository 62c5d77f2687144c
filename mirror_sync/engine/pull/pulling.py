"""A pull: one revision of a repo, from a mirror into a place. Every file is proved by the digest that its listing says,
the listing by the digest that the root says of it; what stands for the root is another's word, as a signature.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Protocol

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.content.manifest import MirroredFile, check_path
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.content.snapshot import Root, Shard, read_shard
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.pull.places import Destination, gathering
from mirror_sync.errors import DocumentError, IntegrityError, Interrupted, MirrorError, StoreFull
from mirror_sync.ports.source import Bytes

if TYPE_CHECKING:
    from hashlib import _Hash

_CHUNK = 1024 * 1024
_AHEAD = 4  # files for each worker that wait for one
_NAMED = 20  # files that failed, told one by one
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Documents(Protocol):
    """Gives the documents of a snapshot, unproved. Raises UpstreamError."""

    def root(self, repo: Repo, revision: str) -> bytes:
        """The root that a revision leads to."""
        ...

    def shard(self, repo: Repo, commit: CommitId, digest: Sha256) -> bytes:
        """A shard that the root of a commit names."""
        ...


@dataclass(frozen=True, slots=True)
class OpenedSnapshot:
    """A snapshot by its root, read once: whatever a name leads to meanwhile, this is what is pulled."""

    repo: Repo
    revision: str
    root: Root
    digest: Sha256

    @classmethod
    def read(cls, documents: Documents, repo: Repo, revision: str) -> OpenedSnapshot:
        """UpstreamError; DocumentError for what is no root, or another commit's."""
        body = documents.root(repo, revision)
        root = Root.decode(body)
        if CommitId.matches(revision) and root.commit != revision:
            raise DocumentError(f"asked for commit {revision}, the mirror gave the root of {root.commit}")
        return cls(repo, revision, root, Sha256.of(body))

    def files(self, documents: Documents) -> Iterator[MirroredFile]:
        """All of its files, shard by shard. DocumentError for a listing that is not the root's; UnsafePath."""
        files = size = 0
        for shard in self.root.shards:
            for file in read_shard(self._proved(documents, shard)):
                check_path(file.path)
                files, size = files + 1, size + file.size
                yield file
        if (files, size) != (self.root.files, self.root.size):
            raise DocumentError(f"the listing has {files:,} files of {size:,} bytes, its root says otherwise")

    def _proved(self, documents: Documents, shard: Shard) -> bytes:
        body = documents.shard(self.repo, self.root.commit, shard.digest)
        if Sha256.of(body) != shard.digest:
            raise DocumentError(f"the listing of {self.root.commit} is not the one that its root names")
        return body


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of it: `files` of `bytes` are in place and proved, `kept` of them were there before."""

    opened: OpenedSnapshot
    place: Path
    files: int = 0
    bytes: int = 0
    kept: int = 0
    failed: int = 0
    problems: tuple[str, ...] = ()
    signer: str = ""

    @property
    def ok(self) -> bool:
        """Whether all that was wanted is here."""
        return not self.failed

    def encode(self) -> dict[str, Any]:
        """The document of `pull --json`."""
        return {
            "repo": str(self.opened.repo),
            "revision": self.opened.revision,
            "commit": self.opened.root.commit,
            "root": self.opened.digest,
            "place": str(self.place),
            "complete": self.ok,
            "signer": self.signer or None,
            "files": self.files,
            "of_files": self.opened.root.files,
            "bytes": self.bytes,
            "kept": self.kept,
            "failed": self.failed,
            "problems": list(self.problems),
        }


@dataclass
class Pull:
    """Brings files, `workers` at once, until `stop`; `tell` is told how many files and bytes are proved so far."""

    documents: Documents
    source: Bytes
    place: Destination
    stop: Event
    workers: int = 8
    tell: Callable[[int, int], None] = lambda _files, _bytes: None
    _lock: Lock = field(default_factory=Lock, init=False)

    def run(self, opened: OpenedSnapshot, selection: Selection) -> Pulled:
        """Bring what a selection wants. A file that fails hinders no other one; a full disk ends it all.

        Raises Interrupted, StoreFull, OSError; and what the documents raise, where they cannot be read.
        """
        found = Pulled(opened, self.place.root)
        waiting: set[Future[Pulled]] = set()

        def bring(file: MirroredFile) -> Pulled:
            return self._bring(opened, file)

        with ThreadPoolExecutor(self.workers, "pull") as pool:
            try:
                for file in opened.files(self.documents):
                    if not selection.wants(file.path):
                        continue
                    waiting.add(pool.submit(bring, file))
                    if len(waiting) >= self.workers * (1 + _AHEAD):
                        found, waiting = self._gather(found, waiting)
                while waiting:
                    found, waiting = self._gather(found, waiting)
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        if found.ok and found.files:
            self.place.finish(opened.revision)
        return found

    def _gather(self, found: Pulled, waiting: set[Future[Pulled]]) -> tuple[Pulled, set[Future[Pulled]]]:
        done, left = wait(waiting, return_when=FIRST_COMPLETED)
        for one in done:
            came = one.result()
            problems = (*found.problems, *came.problems)[:_NAMED]
            found = replace(
                found,
                files=found.files + came.files,
                bytes=found.bytes + came.bytes,
                kept=found.kept + came.kept,
                failed=found.failed + came.failed,
                problems=problems,
            )
        self.tell(found.files, found.bytes)
        return found, left

    def _bring(self, opened: OpenedSnapshot, file: MirroredFile) -> Pulled:
        """One file, as what came of it."""
        one = Pulled(opened, self.place.root)
        try:
            kept = self._place(opened, file)
        except (Interrupted, StoreFull):
            raise
        except MirrorError as error:
            said = str(error) if isinstance(error, IntegrityError) else f"{file.path}: {error}"
            return replace(one, failed=1, problems=(plain(said),))
        except OSError as error:
            if error.errno in _FULL:
                raise StoreFull(
                    f"{self.place.root}: the disk is full; what came stays, and the same pull goes on from there"
                ) from error
            return replace(one, failed=1, problems=(plain(f"{file.path}: {error.strerror or error}"),))
        return replace(one, files=1, bytes=file.size, kept=int(kept))

    def _place(self, opened: OpenedSnapshot, file: MirroredFile) -> bool:
        """Whether it was there before."""
        if self._is_there(file):
            return True
        with gathering(self.place, file) as part:
            if self._is_there(file):  # by now, for somebody else
                self.place.part(file).unlink()
                return True
            for again in (True, False):
                actual = self._gathered(opened, file, part)
                if actual == file.sha256:
                    self.place.keep(file, self.place.part(file))
                    return False
                part.truncate(0)
                self.source.distrust(opened.repo, opened.root.commit, file.promised)
                if not again:
                    self.place.part(file).unlink()
                    raise IntegrityError(file.path, file.sha256, actual)
        raise AssertionError(file.path)

    def _is_there(self, file: MirroredFile) -> bool:
        path = self.place.find(file)
        if path is None or path.stat().st_size != file.size:
            return False
        with path.open("rb", buffering=0) as there:
            if self._hash(there, hashlib.sha256()).hexdigest() != file.sha256:
                return False
        self.place.keep(file, None)
        return True

    def _gathered(self, opened: OpenedSnapshot, file: MirroredFile, part: FileIO) -> str:
        """The digest of a part, once all of its bytes have come behind those that were there."""
        if os.fstat(part.fileno()).st_size > file.size:
            part.truncate(0)
        part.seek(0)
        digest = self._hash(part, hashlib.sha256())
        start, chunk = part.tell(), memoryview(bytearray(_CHUNK))
        with self.source.fetch(opened.repo, opened.root.commit, file.promised, start) as stream:
            while count := stream.readinto(chunk):
                self._expect_going_on()
                digest.update(chunk[:count])
                written = 0
                while written < count:
                    written += part.write(chunk[written:count])
        return digest.hexdigest()

    def _hash(self, file: FileIO, digest: _Hash) -> _Hash:
        chunk = memoryview(bytearray(_CHUNK))
        while count := file.readinto(chunk):
            self._expect_going_on()
            digest.update(chunk[:count])
        return digest

    def _expect_going_on(self) -> None:
        if self.stop.is_set():
            raise Interrupted("stopped: what came stays, and the same pull goes on from there")
