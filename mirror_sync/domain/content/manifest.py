"""Files as an upstream promises them, and files as the mirror holds them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.digest import GitOid, Promise, Sha256
from mirror_sync.errors import PointerOnly, UnsafePath

MAX_PATH_BYTES = 4096
_PLAIN = re.compile(r"(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n"
"""What git keeps of a file in LFS; `size` in bytes. Source: git-lfs, docs/spec.md, v1."""
_NO_PARTS = frozenset({"", ".", ".."})
_NAMED = 3  # paths that a message names


def is_plain(path: str) -> bool:
    """Whether a path is of unreserved characters alone (RFC 3986, 2.3), and no part of it begins with a dot: then it is
    safe, unless it is too long, and is written the same in an address and in JSON.
    """
    return _PLAIN.fullmatch(path) is not None


def check_path(path: str) -> str:
    """Return `path`, or raise UnsafePath: only relative POSIX paths without tricks are ever published."""
    if is_plain(path) and len(path) <= MAX_PATH_BYTES:
        return path
    if not path:
        raise UnsafePath(path, "is empty")
    if path.startswith("/"):
        raise UnsafePath(path, "is absolute")
    if not _NO_PARTS.isdisjoint(path.split("/")):
        raise UnsafePath(path, "has an empty, '.' or '..' part")
    if "\0" in path:
        raise UnsafePath(path, "contains a NUL")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise UnsafePath(path, "is not valid Unicode") from None
    if size > MAX_PATH_BYTES:
        raise UnsafePath(path, f"is longer than {MAX_PATH_BYTES} bytes")
    return path


class Content(NamedTuple):
    """What is promised of a file's bytes: files that agree in both hold the same; `size` in bytes."""

    promise: Promise
    size: int

    @property
    def key(self) -> bytes:
        """The same, short: for what remembers very many."""
        return bytes.fromhex(self.promise) + self.size.to_bytes(8, "big")


class OnUnproved(StrEnum):
    """What an upstream's operator does with a file of which it tells no digest: nothing proves its bytes."""

    REFUSE = "refuse"  # the commit is not mirrored
    ACCEPT = "accept"  # two downloads that agree stand for the proof


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that an upstream promises at a commit; `size` in bytes.

    `oid` is the git id of the file, or of the LFS pointer that stands for it; `sha256` is known beforehand for LFS
    files only, and so is `pointer_size`, the pointer's size in bytes. `pointer_only`: the upstream has the pointer, and
    not the bytes that it stands for. `unproved`: no digest of it is told, and what is done then; its `oid` is no git id
    but the last commit that changed it.
    """

    path: str
    size: int
    oid: GitOid
    sha256: Sha256 | None = None
    pointer_size: int | None = None
    pointer_only: bool = False
    unproved: OnUnproved | None = None

    @classmethod
    def of_digest(cls, path: str, size: int, sha256: Sha256) -> RemoteFile:
        """A file of which an upstream tells the SHA-256 and no git id: as one in LFS, whose pointer follows from it."""
        pointer = LFS_POINTER.format(digest=sha256, size=size).encode()
        return cls(path, size, GitOid.of_blob(pointer), sha256, len(pointer))

    def __post_init__(self) -> None:
        check_path(self.path)
        if self.size < 0:
            raise ValueError(f"{plain(self.path)}: a size of {self.size} bytes")

    @property
    def promise(self) -> Promise:
        """The digest by which its bytes are judged: the SHA-256 where it is told, else the git id."""
        return self.oid if self.sha256 is None else self.sha256

    @property
    def content(self) -> Content:
        """Its bytes, whatever the path."""
        return Content(self.promise, self.size)

    def proved(self, sha256: Sha256) -> MirroredFile:
        """The same file once its content is known to have that digest."""
        return MirroredFile(self.path, self.size, self.oid, sha256, self.pointer_size)


@dataclass(frozen=True, slots=True)
class MirroredFile:
    """A file whose bytes were proved; `size` in bytes, `pointer_size` for LFS files only."""

    path: str
    size: int
    oid: GitOid
    sha256: Sha256
    pointer_size: int | None = None

    @property
    def promise(self) -> Promise:
        """The digest that the upstream tells of it: the SHA-256 of an LFS file, else the git id."""
        return self.oid if self.pointer_size is None else self.sha256

    @property
    def content(self) -> Content:
        """Its bytes, as the upstream tells of them, whatever the path."""
        return Content(self.promise, self.size)

    @property
    def promised(self) -> RemoteFile:
        """As the upstream told of it, before it was proved."""
        told = None if self.pointer_size is None else self.sha256
        return RemoteFile(self.path, self.size, self.oid, told, self.pointer_size)


Manifest = Mapping[str, MirroredFile]
"""path -> proved file"""


def expect_bytes(files: Iterable[RemoteFile]) -> None:
    """PointerOnly when the upstream lacks the bytes of a file that must come from it."""
    lacking: list[str] = []
    count = 0
    for file in files:
        if file.pointer_only:
            count += 1
            lacking += [file.path] * (count <= _NAMED)
    if lacking:
        are, stand = ("is an LFS pointer", "it stands") if count == 1 else ("are LFS pointers", "they stand")
        raise PointerOnly(
            f"{spoken_paths(lacking, count)} {are}, and what {stand} for is not there: "
            "get it with `git lfs pull`, or leave it out with exclude"
        )


def spoken_paths(paths: Sequence[str], count: int | None = None) -> str:
    """The first of some paths, for a person; of `count` in all, where not all are given."""
    more = (len(paths) if count is None else count) - _NAMED
    return ", ".join(map(plain, paths[:_NAMED])) + (f" and {more} more" if more > 0 else "")
