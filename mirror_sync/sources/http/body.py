"""The body of an answer, held to what was asked: no byte fewer, none more, none encoded."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mirror_sync.errors import BadAnswer, Unreachable
from mirror_sync.sources.http.arrivals import Arrivals
from mirror_sync.sources.http.lean import Answer
from mirror_sync.sources.http.network import spoken_origin
from mirror_sync.sources.http.transport import discard

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

    def __init__(self, answer: Answer, arrivals: Arrivals, url: str, wanted: WantedRange) -> None:
        """ValueError, saying what was sent instead, for an answer that cannot hold these bytes."""
        self._answer, self._arrivals, self._url = answer, arrivals, url
        self._left = wanted.stop - wanted.start
        self._skip = wanted.start
        promised = wanted.size
        if answer.status == _PARTIAL:
            _check_range(answer.headers.get("Content-Range", ""), wanted)
            self._skip, promised = 0, self._left
        _check_plain(answer)
        stated = answer.headers.get("Content-Length")
        if stated is not None and stated != str(promised):
            raise ValueError(f"{stated[:40]} bytes where {promised} were promised")
        # whether the answer ends where we do
        self._ends = answer.status == _PARTIAL or wanted.stop == wanted.size

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
            self._answer.release_conn()
        else:
            discard(self._answer)

    def _read(self, buffer: memoryview) -> int:
        count = self._receive(buffer)
        if not count:
            raise Unreachable(f"{spoken_origin(self._url)} ended the transfer {self._left} bytes early")
        return count

    def _receive(self, buffer: memoryview) -> int:
        try:
            return self._arrivals.readinto(buffer)
        except Unreachable:
            self._ends = False
            raise

    def _expect_end(self) -> None:
        if self._receive(memoryview(bytearray(1))):
            self._ends = False
            raise BadAnswer(f"{spoken_origin(self._url)} sent more bytes than the file has")


def _check_plain(answer: Answer) -> None:
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
