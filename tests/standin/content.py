"""File contents of any size: in memory, on disk, or generated while they are read."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

CHUNK = 1 << 20
"""Bytes read at a time."""


class Content(ABC):
    """Bytes that can be read from any offset, again and again, and never change."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Length in bytes."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """What tells this content from others, cheap even for huge ones."""

    @abstractmethod
    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes ``start`` to ``stop`` (exclusive), at most about 1 MiB at a time."""

    @cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the whole."""
        digest = hashlib.sha256()
        for chunk in self.chunks(0, self.size):
            digest.update(chunk)
        return digest.hexdigest()

    @cached_property
    def git_oid(self) -> str:
        """Hex git blob id, ``sha1(b"blob %d\\0" % size + bytes)``."""
        digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        for chunk in self.chunks(0, self.size):
            digest.update(chunk)
        return digest.hexdigest()

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes ``start`` to ``stop`` (default: the end) at once."""
        return b"".join(self.chunks(start, self.size if stop is None else stop))


@dataclass(frozen=True)
class Memory(Content):
    """Content held in memory."""

    raw: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.raw)

    @property
    def identity(self) -> str:
        """The git blob id."""
        return self.git_oid

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes in slices of at most 1 MiB."""
        stop = min(stop, len(self.raw))
        if start == 0 and stop == len(self.raw) <= CHUNK:
            yield self.raw
            return
        for position in range(start, stop, CHUNK):
            yield self.raw[position : min(position + CHUNK, stop)]


@dataclass(frozen=True)
class Disk(Content):
    """Content of a file that stays as it is while it is served."""

    path: Path

    @cached_property
    def _size(self) -> int:
        return self.path.stat().st_size

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._size

    @property
    def identity(self) -> str:
        """The SHA-256, so that a moved folder keeps its commit ids."""
        return self.sha256

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes, read from the file as they are asked for."""
        with self.path.open("rb") as stream:
            stream.seek(start)
            left = stop - start
            while left > 0 and (chunk := stream.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk


@dataclass(frozen=True)
class Generated(Content):
    """Deterministic noise: costs neither memory nor disk, and no two blocks are equal.

    One block of noise is derived from the seed; each block of the content is that block with its
    own number written over the first bytes.
    """

    length: int
    seed: int = 0

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.length

    @property
    def identity(self) -> str:
        """Seed and length, so that a commit of a huge file need not hash it."""
        return f"generated:{self.seed}:{self.length}"

    @cached_property
    def _noise(self) -> bytes:
        return hashlib.shake_256(str(self.seed).encode()).digest(CHUNK)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes, made while they are read."""
        stop = min(stop, self.length)
        while start < stop:
            number, offset = divmod(start, CHUNK)
            block = number.to_bytes(8, "big") + self._noise[8:]
            piece = block[offset : offset + stop - start]
            start += len(piece)
            yield piece
