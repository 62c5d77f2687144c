"""The folder of a bundle, as a source of blobs: which parts are there, which are sound, and the bytes in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path

from mirror_sync.domain.content.keys import blob_of, refs_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import MOST_ATTACHMENTS, Refs
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.places.bundle_format import (
    BLOCK,
    BUNDLE_SIGNATURE,
    BUNDLE_SUMS,
    INDEX,
    BundleIndex,
    BundlePart,
    CutBlob,
    members_of,
    part_name,
    piece_key,
    read_bundle_sums,
    tar_header,
)
from mirror_sync.errors import DocumentError, StoreError, UsageError
from mirror_sync.owners import is_there
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Bytes
from mirror_sync.ports.store import MAX_REFS

_LARGEST_SUMS = 32 * 1024 * 1024  # bytes
_LARGEST_SIGNATURE = 64 * 1024

SignatureOfSums = Callable[[bytes, bytes | None], str]
"""Of SHA256SUMS and its signature, if there is one: who has signed. SigningError where nobody did who may."""


class PartMissing(StoreError):
    """A part is not in the folder, or not all of it: what it holds cannot be had now."""

    code = "part-missing"


@dataclass(frozen=True)
class BundledRefs:
    """A refs.json as the bundle has it; `beside` are the documents of one that was taken down, by their digests."""

    repo: Repo
    body: bytes
    beside: Mapping[Sha256, bytes]

    @cached_property
    def refs(self) -> Refs:
        """DocumentError where it is none."""
        return Refs.decode(self.body)

    @property
    def is_tombstone(self) -> bool:
        """Whether the repo was taken down, where the bundle comes from."""
        with suppress(DocumentError):
            return self.refs.tombstone is not None
        return False


class BundleFiles(Bytes):
    """A bundle whose index is the one that its sums name. `signer` is empty where nobody looked at its signature.

    UsageError for a folder that has none; DocumentError, SigningError, OSError. Nothing of a part was read yet.
    """

    def __init__(self, folder: Path, check: SignatureOfSums | None) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder with a bundle")
        sums = self._small(BUNDLE_SUMS, _LARGEST_SUMS)
        if sums is None:
            raise UsageError(f"{folder} has no {BUNDLE_SUMS}: no bundle, or one whose export has not ended")
        self.signer = "" if check is None else check(sums, self._small(BUNDLE_SIGNATURE, _LARGEST_SIGNATURE))
        self.digest, self._sums = Sha256.of(sums), read_bundle_sums(sums)
        index = folder / INDEX
        if not is_there(index):
            raise UsageError(f"{folder} has no {INDEX}: copy it beside {BUNDLE_SUMS}")
        if _digest_of(index) != self._sums[INDEX]:
            raise DocumentError(f"{index} is not the one that {BUNDLE_SUMS} names; copy it again")
        self.index = BundleIndex.read(index)
        if self.index.digest != self._sums[INDEX]:
            raise DocumentError(f"{index} was changed while it was read")
        listed = {part.name: part.sha256 for part in self.index.parts}
        if listed != {name: digest for name, digest in self._sums.items() if name != INDEX}:
            raise DocumentError(f"{INDEX} names other parts than {BUNDLE_SUMS}")
        self._known = {part.name: part for part in self.index.parts}
        self.cut = {one.digest: one for one in self.index.cut}

    def lack(self, part: BundlePart) -> str:
        """Why a part cannot be read, and what to bring; empty where it is there in its size. OSError."""
        path = self.folder / part.name
        if not is_there(path):
            return f"{part.name} ({part.bytes:,} bytes) is not in {self.folder}: bring it"
        size = path.stat().st_size
        if size != part.bytes:
            return f"{part.name} in {self.folder} has {size:,} bytes, not {part.bytes:,}: copy it again"
        return ""

    def documents(self, part: BundlePart) -> Iterator[BundledRefs]:
        """The refs.json objects of a part, which is hashed first: nothing else proves them. DocumentError, OSError."""
        path = self.folder / part.name
        if _digest_of(path) != part.sha256:
            raise DocumentError(f"{part.name} holds other bytes than {BUNDLE_SUMS} says: copy it again")
        mine = {refs_key(one.repo): one for one in self.index.repos if one.part == part.name}
        beside: dict[Sha256, bytes] = {}
        with path.open("rb") as file:
            for member in members_of(path):
                file.seek(member.offset)
                body = file.read(min(member.size, MAX_REFS + 1))
                blob, named = blob_of(member.key), mine.pop(member.key, None)
                digest = Sha256.of(body)
                kept = sum(map(len, beside.values())) + len(body)
                if blob == digest and len(beside) < MOST_ATTACHMENTS and kept <= MAX_REFS:
                    beside[digest] = body
                elif named is not None and named.refs == digest:
                    yield BundledRefs(named.repo, body, beside)
                    beside = {}
                else:
                    raise DocumentError(f"{part.name} has {member.key}, of which {INDEX} says something else")
        if mine:
            raise DocumentError(f"{part.name} lacks {next(iter(mine))}")

    @contextmanager
    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> Iterator[ByteStream]:
        """The bytes of a blob, by its digest: `file.path` is the part that has it, and where there."""
        part, _, at = file.path.rpartition("@")
        cut = self.cut.get(Sha256(file.promise)) if not part else None
        end = file.size if stop is None else stop
        if cut is None:
            yield _Spans([(self.folder / part, int(at) + start, end - start)])
        else:
            yield _Spans(list(self._spans(cut, start, end)))

    def _spans(self, cut: CutBlob, start: int, end: int) -> Iterator[tuple[Path, int, int]]:
        """Where the pieces of a range are. PartMissing, DocumentError."""
        size = cut.piece
        for number in range(start // size, -(-end // size)):
            length = min(size, cut.bytes - number * size)
            name = part_name("blobs", cut.first + number)
            part = self._known.get(name)
            if part is None:
                raise DocumentError(f"{INDEX} names {cut.digest} in {name}, which is no part of it")
            if why := self.lack(part):
                raise PartMissing(f"{why}; it holds a piece of {cut.digest}")
            path, first = self.folder / name, max(start - number * size, 0)
            with path.open("rb") as file:
                if file.read(BLOCK) != tar_header(piece_key(cut.digest, number + 1), length):
                    raise DocumentError(f"{name} does not begin with piece {number + 1} of {cut.digest}: copy it again")
            yield path, BLOCK + first, min(end - number * size, length) - first

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """There is no other copy."""
        return

    def _small(self, name: str, most: int) -> bytes | None:
        path = self.folder / name
        try:
            with path.open("rb") as file:
                body = file.read(most + 1)
        except FileNotFoundError:
            return None
        if len(body) > most:
            raise DocumentError(f"{path} is larger than any is")
        return body


class _Spans(ByteStream):
    """Stretches of files, one after the other: path, where it begins, and its bytes."""

    def __init__(self, spans: list[tuple[Path, int, int]]) -> None:
        self._spans = spans

    def readinto(self, buffer: memoryview) -> int:
        while self._spans:
            path, at, left = self._spans[0]
            if left:
                with FileIO(path) as file:
                    file.seek(at)
                    count = file.readinto(buffer[: min(left, len(buffer))])
                if not count:
                    raise PartMissing(f"{path.name} is cut short: copy it again")
                self._spans[0] = path, at + count, left - count
                return count
            del self._spans[0]
        return 0


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
