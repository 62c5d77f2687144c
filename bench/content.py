"""What is mirrored: repos of random bytes on a disk, as plain files and as the CDN's objects named by their SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import MIB

CARD = b"---\nlicense: mit\n---\nMade for a benchmark.\n"


@dataclass(frozen=True)
class Batch:
    """Files of one size: ``names`` has a place for the number, as in ``images/{:05}.npy``."""

    count: int
    size: int
    """Bytes of each."""
    names: str
    sparse: bool = False
    """Zeros that take no room, instead of random bytes."""

    def paths(self) -> Iterator[str]:
        """Yield the names of all."""
        return (self.names.format(number) for number in range(self.count))


@dataclass(frozen=True)
class Made:
    """A file that was made."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Repo:
    """A repo on disk. All its files lie below `plain`; below `root` also lies ``repos/<2>/<2>/<SHA-256>`` for each."""

    name: str
    root: Path
    files: Mapping[str, Made]

    @property
    def plain(self) -> Path:
        """The folder that has the files by their own names."""
        return self.root / "plain"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(made.size for made in self.files.values())


def make_repo(name: str, batches: Sequence[Batch], root: Path) -> Repo:
    """Write a repo with a card and these batches into an empty folder."""
    files = {"README.md": _made(root, root / "plain" / "README.md", [CARD])}
    for batch in batches:
        for path in batch.paths():
            files[path] = _made(root, root / "plain" / path, _pieces(batch), sparse=batch.sparse)
    return Repo(name, root, files)


def _pieces(batch: Batch) -> Iterator[bytes]:
    for start in range(0, batch.size, MIB):
        length = min(MIB, batch.size - start)
        yield bytes(length) if batch.sparse else os.urandom(length)


def _made(root: Path, file: Path, pieces: Iterable[bytes], *, sparse: bool = False) -> Made:
    """Writes a file, and gives it its second name: the one that signed URLs lead to."""
    file.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with file.open("wb") as sink:
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            if not sparse:
                sink.write(piece)
        sink.truncate(size)
    made = Made(size, digest.hexdigest())
    name = root / "repos" / made.sha256[:2] / made.sha256[2:4] / made.sha256
    name.parent.mkdir(parents=True, exist_ok=True)
    if not name.exists():
        name.hardlink_to(file)
    return made
