"""The body of an answer, held to what was asked: of a file no byte fewer, none more, none encoded; of all else a bound.

An answer of the API comes plain or packed by gzip, and cannot grow beyond its bound however small it came.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from mirror_sync.errors import BadAnswer, Unreachable
from mirror_sync.net.network import spoken_origin
from mirror_sync.net.response import Response

WHOLE = 600.0  # seconds for an answer of an API; ten million bytes come in them over 150 kbit/s
ENCODINGS = "gzip"
"""What we ask for: listings shrink tenfold. One layer of one format, so that the bound is easily kept."""
_FREE = 1024 * 1024  # bytes that any packed answer may unfold to
_FOLDS = 100  # to one: beyond those bytes, more is what no listing shrinks by
_GZIP = 31  # zlib's number for gzip's header and the largest window
_CHUNK = 64 * 1024  # bytes
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_PARTIAL = 206


class Empty:
    """No bytes."""

    def readinto(self, buffer: memoryview) -> int:
        del buffer
        return 0


@dataclass(frozen=True, slots=True)
class WantedRange:
    """The bytes [start, stop) of a file of `size` bytes."""

    start: int
    stop: int
    size: int

    @property
    def empty(self) -> bool:
        return self.start >= self.stop

    @property
    def whole(self) -> bool:
        return (self.start, self.stop) == (0, self.size)


class Body:
    """The wanted bytes out of an answer of 200 or 206, each part as soon as it arrives."""

    def __init__(self, answer: Response, wanted: WantedRange) -> None:
        """ValueError, saying what was sent instead, for an answer that cannot hold these bytes."""
        self._answer = answer
        self._left = wanted.stop - wanted.start
        self._skip = wanted.start
        promised = wanted.size
        # ModelScope is seen to answer a range with 200 and to say in Content-Range that it is one
        parted = answer.status == _PARTIAL or (answer.headers.get("Content-Range") is not None and not wanted.whole)
        if parted:
            _check_range(answer.headers.get("Content-Range", ""), wanted)
            self._skip, promised = 0, self._left
        _check_plain(answer)
        stated = answer.headers.get("Content-Length")
        if stated is not None and stated != str(promised):
            raise ValueError(f"{stated[:40]} bytes where {promised} were promised")
        # whether the answer ends where we do
        self._ends = parted or wanted.stop == wanted.size

    def readinto(self, buffer: memoryview) -> int:
        """Unreachable when the body ends early, stalls or trickles, BadAnswer when it goes on beyond its end."""
        while self._skip:  # a server without ranges sends the file from its beginning
            self._skip -= self._read(buffer[: min(len(buffer), self._skip)])
        if not self._left or not buffer:
            return 0
        count = self._read(buffer[: min(len(buffer), self._left)])
        self._left -= count
        if not self._left and self._ends:
            self._expect_end()
        return count

    @property
    def complete(self) -> bool:
        """Whether every wanted byte came, and nothing else."""
        return not (self._left or self._skip) and self._ends

    def close(self) -> None:
        """Give the connection back when nothing is left on it, close it otherwise."""
        if self.complete:
            self._answer.release()
        else:
            self._answer.discard()

    def drop(self) -> None:
        """Close the connection, whatever came: the next request has one of its own."""
        self._answer.discard()

    def _read(self, buffer: memoryview) -> int:
        count = self._receive(buffer)
        if not count:
            raise Unreachable(f"{spoken_origin(self._answer.url)} ended the transfer {self._left} bytes early")
        return count

    def _receive(self, buffer: memoryview) -> int:
        try:
            return self._answer.readinto(buffer)
        except Unreachable:
            self._ends = False
            raise

    def _expect_end(self) -> None:
        if not self._answer.ended and self._receive(memoryview(bytearray(1))):
            self._ends = False
            raise BadAnswer(f"{spoken_origin(self._answer.url)} sent more bytes than the file has")


def _check_plain(answer: Response) -> None:
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ValueError(f"bytes encoded as {encoding[:40]!r}, which we did not ask for")


def _check_range(text: str, wanted: WantedRange) -> None:
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"a part without saying which: Content-Range {text[:80]!r}")
    first, last, whole = found.groups()
    if (int(first), int(last)) != (wanted.start, wanted.stop - 1) or whole not in ("*", str(wanted.size)):
        raise ValueError(f"{text[:80]!r} where bytes {wanted.start}-{wanted.stop - 1}/{wanted.size} were asked for")


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


def read_whole(answer: Response, limit: int) -> bytes:
    """The body of an answer, decoded. BadAnswer when it has more than `limit` bytes, packed or not, Unreachable."""
    buffer = memoryview(bytearray(_CHUNK))
    answer.limit(WHOLE)
    try:
        body = Unpacked(answer.headers.get("Content-Encoding", ""), limit)
        while count := answer.readinto(buffer):
            body.add(buffer[:count])
        found = body.end()
    except ValueError as error:
        answer.discard()
        raise BadAnswer(f"{spoken_origin(answer.url)} sent {error}") from error
    except BaseException:
        answer.discard()
        raise
    answer.release()
    if not answer.ended:
        raise Unreachable(f"{spoken_origin(answer.url)} ended its answer early")
    return found
