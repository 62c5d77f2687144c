"""An API answer's body, plain or packed by gzip, that cannot grow beyond a bound however small it came."""

from __future__ import annotations

import zlib

ENCODINGS = "gzip"
"""What we ask for: listings shrink tenfold. One layer of one format, so that the bound is easily kept."""
_GZIP = 31  # zlib's number for gzip's header and the largest window


class Unpacked:
    """Collects a body of at most `limit` bytes. ValueError says what was sent instead of one."""

    def __init__(self, encoding: str, limit: int) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise ValueError(f"an answer encoded as {encoding[:40]!r}, which we did not ask for")
        self._packed = zlib.decompressobj(_GZIP) if encoding.endswith("gzip") else None
        self._body, self._limit = bytearray(), limit

    def add(self, chunk: memoryview) -> None:
        """Take in the next bytes as they came."""
        if self._packed is None:
            self._take(chunk)
            return
        try:
            self._take(self._packed.decompress(chunk, self._room()))
        except zlib.error as error:
            raise ValueError("an answer that is not the gzip it claims to be") from error
        if self._packed.unconsumed_tail:
            raise self._too_much()

    def end(self) -> bytes:
        """The whole."""
        if self._packed is not None and self._body and not self._packed.eof:
            raise ValueError("an answer whose gzip ends early")
        return bytes(self._body)

    def _take(self, chunk: bytes | memoryview) -> None:
        self._body += chunk
        if len(self._body) > self._limit:
            raise self._too_much()

    def _room(self) -> int:
        return self._limit - len(self._body) + 1  # a byte too many is what tells that there are too many

    def _too_much(self) -> ValueError:
        return ValueError(f"an answer of more than {self._limit} bytes")
