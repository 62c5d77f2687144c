"""Writes a bundle: what a target publishes, as plain tar files that can be carried to where no network leads.

Repo by repo, and down each tree, blobs that the receiver does not have are written into parts, each proved on its way;
a part is never opened again when it is full. Beside them grow the parts of refs.json objects. The index, the sums and
their signature come last, so that a folder with sums is a whole bundle. Whoever was interrupted goes on with the part
that was not whole: see `bundle_journal`.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import LEFT_BEHIND, Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.bundle_reports import ExportReport, WrittenPart
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.places.bundle_format import (
    BLOCK,
    BUNDLE_SIGNATURE,
    BUNDLE_SUMS,
    END,
    INDEX,
    LARGEST_MEMBER,
    MOST_PARTS,
    BundledRepo,
    BundlePart,
    held_by,
    padded,
    part_name,
    piece_key,
    sum_lines_of,
    tar_header,
    write_index,
)
from mirror_sync.engine.places.bundle_journal import ExportJournal
from mirror_sync.engine.upkeep.marks import batches
from mirror_sync.engine.walk import Node, Place, Walk
from mirror_sync.errors import DocumentError, IntegrityError, MirrorError, StoreFull, StoreUnavailable, UsageError
from mirror_sync.logger import Logger
from mirror_sync.owners import is_there, with_hindrance
from mirror_sync.ports.store import read_document, read_refs_json
from mirror_sync.scratch.spilled_map import SpilledMap

LEAST_PART = 1024 * 1024  # bytes
_READERS = 16
_SMALL = 256 * 1024  # bytes of a blob that is read ahead, by one call
_AHEAD = 64  # blobs that are read ahead
_CHUNK = 1024 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_log = Logger()


@dataclass(frozen=True, slots=True)
class WantedBundle:
    """What shall be in a bundle: `repos` of a target, without what a receiver has: see `held_by`. `part_size` in bytes.

    `patterns` are the repos as they were asked for.
    """

    folder: Path
    repos: Sequence[Repo]
    patterns: Sequence[str]
    part_size: int
    base: Path | None = None
    inventory: Path | None = None


@dataclass(frozen=True, slots=True)
class BundleKey:
    """What signs a bundle, and the fingerprint by which it is known."""

    sign: Callable[[bytes], bytes]
    fingerprint: str


def export(context: RunContext, target: Target, wanted: WantedBundle, key: BundleKey | None) -> ExportReport:
    """Write a bundle, or go on where an earlier call was interrupted.

    UsageError for a folder that has a bundle already, or an unfinished one of other words. Raises StoreError and
    DocumentError where the target cannot be read, or has not what it publishes; StoreFull where the folder's disk is
    full: it names the part. Interrupted.
    """
    with ThreadPoolExecutor(_READERS, "export") as readers, ExitStack() as stack:
        with _written(wanted.folder):
            wanted.folder.mkdir(parents=True, exist_ok=True)
        work = _Export(context, target, wanted, readers)
        stack.callback(work.close)
        return work.run(key)


class _Export:
    def __init__(self, context: RunContext, target: Target, wanted: WantedBundle, readers: ThreadPoolExecutor) -> None:
        if wanted.part_size < LEAST_PART:
            raise UsageError(f"--part-size: {LEAST_PART:,} bytes are the least")
        self._context, self._target, self._wanted, self._readers = context, target, wanted, readers
        self._held, self._needs, bases = SpilledMap(), SpilledMap(), hashlib.sha256()
        for digest in held_by(wanted.base, wanted.inventory):
            self._held.put(bytes.fromhex(digest))
        for held in self._held.all_keys():
            bases.update(held)
        self._journal = _journal_of(
            wanted.folder,
            {"repos": sorted(wanted.patterns), "part size": wanted.part_size, "without": bases.hexdigest()[:16]},
        )
        self._parts = self._journal.parts()
        self._resumed = len(self._parts)
        self._expect_parts()
        self._blobs = _Parts(wanted.folder, "blobs", wanted.part_size, self._resumed)
        self._refs = _Parts(wanted.folder, "refs", wanted.part_size)
        self._repos: list[BundledRepo] = []

    def close(self) -> None:
        self._blobs.drop()
        self._refs.drop()
        self._journal.close()

    def run(self, key: BundleKey | None) -> ExportReport:
        for repo in self._wanted.repos:
            self._context.go_on()
            body = read_refs_json(self._target.store, repo)
            refs = Refs.decode(body)
            if refs.tombstone is None:
                self._add_all(repo, refs)
            else:
                self._add_tombstone(repo, refs)
            self._add_refs(repo, body)
        self._end_blobs()
        self._refs.end()
        return self._seal([*self._parts, *self._refs.ended], key)

    def _expect_parts(self) -> None:
        """A part that is there is as it was written; one that is not was carried away."""
        for part in self._parts:
            path = self._wanted.folder / part.name
            with _written(path):
                if is_there(path) and path.stat().st_size != part.bytes:
                    raise UsageError(
                        f"{path} was changed since it was written; remove {self._wanted.folder}, or bring it back"
                    )

    def _add_all(self, repo: Repo, refs: Refs) -> None:
        walk = Walk(partial(read_document, self._target.store), _stop, self._readers.map)
        for batch in batches((node for node in walk.repo(repo, refs) if self._is_wanted(node)), _AHEAD):
            self._context.go_on()
            for node, (size, body) in zip(batch, self._readers.map(self._looked_at, batch), strict=True):
                self._add(node, size, body)

    def _is_wanted(self, node: Node) -> bool:
        """Not what the receiver has, nor what a part has already; what has pieces there may lack some."""
        if bytes.fromhex(node.digest) in self._held:
            self._needs.put(bytes.fromhex(node.digest))
            return False
        written = self._journal.written(node.digest)
        return written is None or bool(written.pieces)

    def _looked_at(self, node: Node) -> tuple[int, bytes | None]:
        """The size of a blob, and of a small one the bytes."""
        store, key = self._target.store, blob_key(node.digest)
        if node.file is not None:
            size = node.file.size
        else:
            stat = store.stat(key)
            if stat is None:
                raise DocumentError(f"{_named(node.place, node.digest)} is missing: {_VERIFY}")
            size = stat.size
        if size > _SMALL:
            return size, None
        body = read_document(store, node.digest, _SMALL)
        if len(body) != size:
            raise DocumentError(f"{_named(node.place, node.digest)} has {len(body)} bytes, not {size}: {_VERIFY}")
        return size, body

    def _add(self, node: Node, size: int, body: bytes | None) -> None:
        written = self._journal.written(node.digest)  # anew: it may be twice in a batch, or have come since
        if written is not None and not written.pieces:
            return
        if not self._blobs.takes(size):
            self._add_pieces(node, size, 0 if written is None else written.pieces)
            return
        self._make_room(size)
        self._blobs.begin(blob_key(node.digest), size)
        for chunk in [body] if body is not None else self._proved(node, size):
            self._blobs.write(chunk)
        self._blobs.fill(size)
        self._journal.add(node.digest, size, self._blobs.number)

    def _add_pieces(self, node: Node, size: int, done: int) -> None:
        """Those that are not written yet. All of the blob is read: else nobody had proved the first ones."""
        piece, number, left = self._blobs.largest, done, 0
        if -(-size // piece) == done:
            return
        skip = done * piece
        try:
            for chunk in self._proved(node, size):
                at = min(skip, len(chunk))
                skip -= at
                while at < len(chunk):
                    if not left:
                        self._end_blobs()
                        number += 1
                        left = length = min(piece, size - (number - 1) * piece)
                        self._make_room(length)
                        self._blobs.begin(piece_key(node.digest, number), length)
                    some = chunk[at : at + left]
                    self._blobs.write(some)
                    at, left = at + len(some), left - len(some)
                    if not left:
                        self._blobs.fill(length)
                        self._journal.add_piece(node.digest, size, self._blobs.number, number)
        except IntegrityError:
            self._take_back(node.digest)
            raise

    def _take_back(self, digest: Sha256) -> None:
        """Pieces of what turned out to be other bytes are in no part."""
        for name in self._journal.take_back(digest):
            with _written(self._wanted.folder / name):
                (self._wanted.folder / name).unlink(missing_ok=True)

    def _proved(self, node: Node, size: int) -> Iterator[memoryview]:
        """The bytes of a blob; IntegrityError at their end where they are others."""
        proved, count, chunk = hashlib.sha256(), 0, memoryview(bytearray(_CHUNK))
        with self._target.store.read(blob_key(node.digest)) as stream:
            while got := stream.readinto(chunk):
                self._context.go_on()
                proved.update(chunk[:got])
                count += got
                if count > size:
                    break
                yield chunk[:got]
        if (actual := proved.hexdigest()) != node.digest or count != size:
            found = actual if count == size else f"{count} bytes"
            raise IntegrityError(f"{_named(node.place, node.digest)} ({_VERIFY})", node.digest, found)

    def _make_room(self, size: int) -> None:
        """The part that is open takes so many bytes, or a new one does."""
        if not self._blobs.fits(size):
            self._end_blobs()
        if self._blobs.number > MOST_PARTS:
            raise UsageError(f"--part-size: a bundle would have more than {MOST_PARTS:,} parts; write more")

    def _end_blobs(self) -> None:
        part = self._blobs.end()
        if part is not None:
            self._journal.end_part(part)
            self._parts.append(part)
            _log.info("export.part", name=part.name, bytes=part.bytes)

    def _add_tombstone(self, repo: Repo, refs: Refs) -> None:
        """Its documents go with the refs.json: a take-down counts whatever of the other parts is lost."""
        if LEFT_BEHIND in refs.attachments:
            raise DocumentError(f"the take-down of {repo} has not ended: run mirror-sync withdraw {repo} again")
        bodies = {one: read_document(self._target.store, one) for one in refs.attachments.values()}
        if not self._refs.fits(sum(BLOCK + padded(len(one)) for one in bodies.values())):
            self._refs.end()
        for digest, body in bodies.items():
            self._write_refs(blob_key(digest), body)

    def _add_refs(self, repo: Repo, body: bytes) -> None:
        """Whole, as it was read before its tree was walked."""
        if not self._refs.takes(len(body)):
            raise UsageError(
                f"--part-size: the refs.json of {repo} has {len(body):,} bytes, and is not cut; write more"
            )
        if not self._refs.fits(len(body)):
            self._refs.end()
        self._write_refs(refs_key(repo), body)
        self._repos.append(BundledRepo(repo, Sha256.of(body), part_name("refs", self._refs.number)))

    def _write_refs(self, key: str, body: bytes) -> None:
        self._refs.begin(key, len(body))
        self._refs.write(body)
        self._refs.fill(len(body))

    def _clear(self, parts: Collection[str]) -> None:
        """Remove what an earlier try left: the shell takes all files of these names for parts."""
        folder = self._wanted.folder
        with _written(folder):
            for path in (*folder.glob("blobs-*.tar"), *folder.glob("refs-*.tar")):
                if path.name not in parts:
                    path.unlink()

    def _seal(self, parts: Sequence[BundlePart], key: BundleKey | None) -> ExportReport:
        folder = self._wanted.folder
        with _written(folder):
            carried = sum(not is_there(folder / part.name) for part in parts)

        def index(file: BinaryIO) -> None:
            sections: dict[str, Iterable[object]] = {
                "parts": (part.encode() for part in parts),
                "repos": (repo.encode() for repo in self._repos),
                "cut": (one.encode() for one in self._journal.cut(self._blobs.largest)),
                "needs": (one.hex() for one in self._needs.all_keys()),
                "blobs": self._journal.blobs(),
            }
            write_index(file, sections)

        self._clear({part.name for part in parts})
        digest = _put(folder / INDEX, index)
        sums = sum_lines_of({INDEX: digest, **{part.name: part.sha256 for part in parts}})
        if key is not None:
            _put(folder / BUNDLE_SIGNATURE, lambda file: file.write(key.sign(sums)))
        _put(folder / BUNDLE_SUMS, lambda file: file.write(sums))  # last: who sees it has a whole bundle
        blobs, size = self._journal.count()
        with _written(folder):
            self._journal.remove()
        return ExportReport(
            str(folder),
            self._target.name,
            tuple(str(one.repo) for one in self._repos),
            tuple(WrittenPart(part.name, part.bytes, part.sha256) for part in parts),
            *(blobs, size, len(self._needs)),
            signer=None if key is None else key.fingerprint,
            resumed=self._resumed,
            carried=carried,
        )


_VERIFY = "run mirror-sync verify --repair, then this again"


def _journal_of(folder: Path, asked: dict[str, object]) -> ExportJournal:
    with _written(folder):
        if is_there(folder / BUNDLE_SUMS):
            raise UsageError(f"{folder} has a bundle already; choose another folder")
    return ExportJournal(folder, asked)


def _named(place: Place, digest: Sha256) -> str:
    what = place.path or "a document"
    return (
        f"{what} of {place.repo} at {place.commit} ({digest})" if place.commit else f"{what} of {place.repo} ({digest})"
    )


def _stop(place: Place, digest: Sha256, error: MirrorError) -> None:
    if isinstance(error, StoreUnavailable):
        raise error
    raise DocumentError(f"{_named(place, digest)} cannot be read: {error}; {_VERIFY}") from error


class _Parts:
    """Parts of one kind: at the most one is open. StoreFull and StoreUnavailable, each with the name of the part."""

    def __init__(self, folder: Path, kind: str, part_size: int, number: int = 0) -> None:
        self._folder, self._kind, self.number = folder, kind, number
        self._room = part_size - BLOCK - len(END)  # a block less: FAT32 ends a byte before 4 GiB
        self.largest = min(padded(self._room - BLOCK + 1) - BLOCK, LARGEST_MEMBER)
        """Bytes of the largest file that a part takes."""
        self.ended: list[BundlePart] = []
        self._file: BinaryIO | None = None
        self._size, self._digest = 0, hashlib.sha256()

    @property
    def _path(self) -> Path:
        return self._folder / part_name(self._kind, self.number)

    def takes(self, size: int) -> bool:
        """Whether a file of so many bytes may be in one part."""
        return size <= self.largest

    def fits(self, size: int) -> bool:
        """Whether it may be in the part that is open, or in a new one where none is."""
        return self._file is None or self._size + BLOCK + padded(size) <= self._room

    def begin(self, key: str, size: int) -> None:
        """Write the header of a file, into a new part where none is open."""
        if self._file is None:
            self.number += 1
            with _written(self._path):
                self._file = self._path.open("wb")
            self._size, self._digest = 0, hashlib.sha256()
        self.write(tar_header(key, size))

    def write(self, chunk: bytes | memoryview) -> None:
        """Bytes of the file that was begun."""
        assert self._file is not None  # noqa: S101  for the type checker: `begin` comes before
        with _written(self._path):
            self._file.write(chunk)
        self._digest.update(chunk)
        self._size += len(chunk)

    def fill(self, size: int) -> None:
        """All `size` bytes of it are written."""
        self.write(bytes(padded(size) - size))

    def end(self) -> BundlePart | None:
        """End the part that is open: it is on the disk then. None where none is."""
        if self._file is None:
            return None
        self.write(END)
        with _written(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        self._file = None
        part = BundlePart(self._path.name, self._size, Sha256(self._digest.hexdigest()))
        self.ended.append(part)
        return part

    def drop(self) -> None:
        """Close without an end."""
        if self._file is not None:
            with suppress(OSError):  # of a disk that was full already
                self._file.close()


def _put(path: Path, write: Callable[[BinaryIO], object]) -> Sha256:
    """Write a file whole or not at all; its digest."""
    part = path.with_name(f".{path.name}.part")
    with _written(path):
        with part.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        with part.open("rb") as file:
            digest = Sha256(hashlib.file_digest(file, "sha256").hexdigest())
        part.replace(path)
        return digest


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Says which file an OSError is about, and what to do where its disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFull(
                f"{path}: {error.strerror}: what was whole before it is kept; make room, or carry whole parts away, "
                f"and run the same command again"
            ) from error
        raise StoreUnavailable(with_hindrance(f"{path}: {error.strerror or error}", path)) from error
