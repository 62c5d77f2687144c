"""Bytes as both ports give them."""

from __future__ import annotations

from typing import Protocol


class ByteStream(Protocol):
    """Bytes in order, read once, by one thread."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill a prefix of `buffer` and return its length; 0 only at the end.

        An end before the promised length is an error, never a short 0. Raises what the port that opened it raises.
        """
        ...
