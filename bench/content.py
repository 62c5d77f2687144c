"""What is mirrored: repos of random bytes on a disk, as plain files and as the CDN's objects named by their SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
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
    card = Batch(1, len(CARD), "README.md")
    files = {path: _make(root, path, card.size, card=True) for path in card.paths()}
    files |= {path: _make(root, path, batch.size) for batch in batches for path in batch.paths()}
    return Repo(name, root, files)


def _make(root: Path, path: str, size: int, *, card: bool = False) -> Made:
    file = root / "plain" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with file.open("wb") as sink:
        for start in range(0, size, MIB):
            piece = CARD if card else os.urandom(min(MIB, size - start))
            digest.update(piece)
            sink.write(piece)
    return _offered(root, file, Made(size, digest.hexdigest()))


def _offered(root: Path, file: Path, made: Made) -> Made:
    """Gives a file its second name: the one that signed URLs lead to."""
    name = root / "repos" / made.sha256[:2] / made.sha256[2:4] / made.sha256
    name.parent.mkdir(parents=True, exist_ok=True)
    if not name.exists():
        name.hardlink_to(file)
    return made
