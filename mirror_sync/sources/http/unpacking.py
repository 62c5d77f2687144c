"""An API answer's body, plain or packed by gzip, that cannot grow beyond a bound however small it came."""

from __future__ import annotations

import zlib

ENCODINGS = "gzip"
"""What we ask for: listings shrink tenfold. One layer of one format, so that the bound is easily kept."""
_FREE = 1024 * 1024  # bytes that any packed answer may unfold to
_FOLDS = 100  # to one: beyond those bytes, more is what no listing shrinks by
_GZIP = 31  # zlib's number for gzip's header and the largest window


class Unpacked:
    """Collects a body of at most `limit` bytes, and of a packed one no more than what came can have meant.

    ValueError says what was sent instead of one.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise ValueError(f"an answer encoded as {encoding[:40]!r}, which we did not ask for")
        self._packed = zlib.decompressobj(_GZIP) if encoding.endswith("gzip") else None
        self._body, self._limit, self._came = bytearray(), limit, 0

    def add(self, chunk: memoryview) -> None:
        """Take in the next bytes as they came."""
        if self._packed is None:
            self._take(chunk)
            return
        self._came += len(chunk)
        most = min(self._limit, max(_FREE, _FOLDS * self._came))
        room = most - len(self._body) + 1  # a byte too many is what tells that there are too many; 0 would be no bound
        try:
            self._take(self._packed.decompress(chunk, room))
        except zlib.error as error:
            raise ValueError("an answer that is not the gzip it claims to be") from error
        if len(self._body) > most or self._packed.unconsumed_tail:
            raise ValueError(f"a packed answer that unfolds to more than {_FOLDS} times what came")

    def end(self) -> bytes:
        """The whole."""
        if self._packed is not None and self._body and not self._packed.eof:
            raise ValueError("an answer whose gzip ends early")
        return bytes(self._body)

    def _take(self, chunk: bytes | memoryview) -> None:
        self._body += chunk
        if len(self._body) > self._limit:
            raise ValueError(f"an answer of more than {self._limit} bytes")
