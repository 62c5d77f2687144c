"""Bytes as both ports give them."""

from __future__ import annotations

from io import FileIO
from typing import Protocol, runtime_checkable


class ByteStream(Protocol):
    """Bytes in order, read once, by one thread."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill a prefix of `buffer` and return its length; 0 only at the end.

        An end before the promised length is an error, never a short 0. Raises what the port that opened it raises.
        """
        ...


@runtime_checkable
class FileStream(ByteStream, Protocol):
    """One whose bytes lie in an open file of this machine, so that a kernel can send them without us."""

    @property
    def unread(self) -> tuple[FileIO, int, int]:
        """The file, where in it the stream goes on, and how many bytes are left."""
        ...
