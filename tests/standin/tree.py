"""Files and the git-like trees they stand in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .content import Content, Disk, Memory

Raw = bytes | str | Path | Content
"""What a test may give as a file's content."""


def as_content(raw: Raw) -> Content:
    """Return ``raw`` as content: text as UTF-8, a path as the file on disk."""
    if isinstance(raw, Content):
        return raw
    if isinstance(raw, Path):
        return Disk(raw)
    return Memory(raw.encode() if isinstance(raw, str) else raw)


@dataclass(frozen=True)
class LFS:
    """Asks for ``raw`` to be stored as an LFS file (SHA-256 known before the download)."""

    raw: Raw
    xet_hash: str | None = None


@dataclass(frozen=True)
class Small:
    """Asks for ``raw`` to be stored in git itself (only the git blob id known); the default."""

    raw: Raw


@dataclass(frozen=True)
class File:
    """One file of a tree."""

    content: Content
    lfs: bool = False
    xet_hash: str | None = None

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.content.size

    @cached_property
    def pointer(self) -> bytes:
        """The stub git keeps of an LFS file; https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md."""
        version = "version https://git-lfs.github.com/spec/v1"
        return f"{version}\noid sha256:{self.content.sha256}\nsize {self.size}\n".encode()

    @cached_property
    def oid(self) -> str:
        """Git blob id: of the content, or of the pointer when the file is LFS."""
        return Memory(self.pointer).git_oid if self.lfs else self.content.git_oid

    @property
    def etag(self) -> str:
        """What the Hub calls the file's ETag, unquoted: SHA-256 for LFS, else the git blob id."""
        return self.content.sha256 if self.lfs else self.oid

    @property
    def identity(self) -> str:
        """What tells this file from others without hashing a huge one."""
        return f"{self.content.identity}:{self.lfs}:{self.xet_hash}"


FileLike = Raw | LFS | Small | File


def as_file(value: FileLike) -> File:
    """Return ``value`` as a file; anything unmarked is a small one."""
    match value:
        case File():
            return value
        case LFS():
            return File(as_content(value.raw), lfs=True, xet_hash=value.xet_hash)
        case Small():
            return File(as_content(value.raw))
        case _:
            return File(as_content(value))


@dataclass(frozen=True)
class Node:
    """A file or a folder of a tree; ``file`` is None for a folder."""

    path: str
    oid: str
    file: File | None


@dataclass(frozen=True)
class _Folder:
    folders: dict[str, _Folder]
    files: dict[str, File]


class Tree:
    """The files of one commit, by path. Listings and git ids are worked out once, when asked for."""

    def __init__(self, files: Mapping[str, File]) -> None:
        self.files = dict(files)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All files and folders, sorted by path, the root left out."""
        root = _Folder({}, {})
        for path, file in self.files.items():
            _place(root, path, file)
        found: list[Node] = []
        _collect(root, "", found)
        return tuple(sorted(found, key=lambda node: node.path))

    @cached_property
    def by_path(self) -> dict[str, Node]:
        """The nodes by their path."""
        return {node.path: node for node in self.nodes}

    def below(self, folder: str, *, recursive: bool) -> Sequence[Node]:
        """Return what stands in ``folder`` ("" for the root), sorted by path.

        Raises KeyError when there is no such folder.
        """
        if folder and self.by_path[folder].file is not None:
            raise KeyError(folder)
        if not folder and recursive:
            return self.nodes
        prefix = f"{folder}/" if folder else ""
        inside = (node for node in self.nodes if node.path.startswith(prefix))
        return [node for node in inside if recursive or "/" not in node.path[len(prefix) :]]

    def identities(self) -> Iterator[str]:
        """Yield one line per file that together tell this tree from others."""
        for path in sorted(self.files):
            yield f"{path}\0{self.files[path].identity}\n"


def _place(root: _Folder, path: str, file: File) -> None:
    *parents, name = path.split("/")
    folder = root
    for part in parents:
        folder = folder.folders.setdefault(part, _Folder({}, {}))
    folder.files[name] = file


def _collect(folder: _Folder, prefix: str, found: list[Node]) -> str:
    """Add every node below ``folder`` to ``found`` and return the folder's git tree id."""
    entries: list[tuple[bytes, bytes]] = []
    for name, file in folder.files.items():
        found.append(Node(prefix + name, file.oid, file))
        entries.append((name.encode(), b"100644 %s\0" % name.encode() + bytes.fromhex(file.oid)))
    for name, inner in folder.folders.items():
        oid = _collect(inner, f"{prefix}{name}/", found)
        found.append(Node(prefix + name, oid, None))
        # git sorts a folder as if its name ended in a slash.
        entries.append((name.encode() + b"/", b"40000 %s\0" % name.encode() + bytes.fromhex(oid)))
    body = b"".join(line for _, line in sorted(entries))
    return hashlib.sha1(b"tree %d\0" % len(body) + body, usedforsecurity=False).hexdigest()
