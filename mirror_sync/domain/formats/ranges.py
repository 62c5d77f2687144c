"""Reads a file in ranges, and no more of it than a bound, whatever the file asks for."""

from __future__ import annotations

import io
from collections.abc import Callable

MOST_BYTES = 24 * 1024 * 1024  # of any one file, for a zip with a large directory; others take some kilobytes
MOST_READS = 1100
FIRST = 4 * 1024  # bytes, which are enough for most
HEAD = 64 * 1024  # bytes: all that is looked at of what has no directory

Read = Callable[[int, int], bytes]
"""Gives `length` bytes from `start` on; what it raises is raised."""


class Unclear(ValueError):
    """A file is not what it seemed, or asks for more than is read of any; it is of no known format then."""


class Ranges:
    """A file of `size` bytes. Raises Unclear for what lies outside, and beyond the bounds; and what `read` raises.

    `most`: how many bytes, and in how many reads.
    """

    def __init__(self, size: int, read: Read, most: tuple[int, int] = (MOST_BYTES, MOST_READS)) -> None:
        self.size, self._read = size, read
        self._most_bytes, self._most_reads = most
        self.failed: BaseException | None = None
        """What `read` raised: never the file's fault."""
        self._bytes = self._reads = 0
        self._head = b""

    def at(self, start: int, length: int) -> bytes:
        """So many bytes from there on; the head is read once."""
        if start < 0 or length < 0 or start + length > self.size:
            raise Unclear(f"{length} bytes at {start} of {self.size}")
        if start + length <= len(self._head):
            return self._head[start : start + length]
        return self._fetch(start, length)

    def head(self, length: int = HEAD) -> bytes:
        """The first bytes, as many as there are."""
        wanted = min(length, self.size)
        if len(self._head) < wanted:
            self._head = self._fetch(0, wanted)
        return self._head[:wanted]

    def tail(self, length: int) -> bytes:
        """The last bytes, as many as there are."""
        wanted = min(length, self.size)
        return self.at(self.size - wanted, wanted)

    def _fetch(self, start: int, length: int) -> bytes:
        self._bytes, self._reads = self._bytes + length, self._reads + 1
        if self._bytes > self._most_bytes or self._reads > self._most_reads:
            raise Unclear("it would take too many reads to know")
        try:
            body = bytes(self._read(start, length)) if length else b""
        except BaseException as error:
            self.failed = error
            raise
        if len(body) != length:
            raise Unclear(f"{len(body)} bytes at {start} in the place of {length}")
        return body


class _BeforeTheBeginning(Unclear, OSError):
    """What a file of an operating system raises as well: `zipfile` tries it on whatever is shorter than its end."""


class RangeFile(io.RawIOBase):
    """A file for those who want one that seeks: `tarfile`, picklescan. What is small is read ahead."""

    def __init__(self, ranges: Ranges, ahead: int = FIRST) -> None:
        super().__init__()
        self._ranges, self._ahead, self._place = ranges, ahead, 0
        self._kept, self._kept_at = b"", 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As files do; before the beginning is an error of the file that is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._ranges.size}[whence]
        if base + offset < 0:
            raise _BeforeTheBeginning(f"a seek to {base + offset}")
        self._place = base + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """At most so many bytes; Unclear beyond the bounds."""
        left = max(self._ranges.size - self._place, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        start = self._place - self._kept_at
        if not 0 <= start <= len(self._kept) - wanted:
            self._kept_at, start = self._place, 0
            self._kept = self._ranges.at(self._place, min(max(wanted, self._ahead), left))
        self._place += wanted
        return self._kept[start : start + wanted]
