"""HTTP/1.1 as it stands on the wire (RFC 9112): heads of requests and of answers, and the bodies behind them.

http.client reads the headers of an answer by the parser for e-mail, which alone costs more than a small file. Here a
head is read in one go, and a body comes straight into its reader's buffer.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from mirror_sync import __version__

USER_AGENT = f"mirror-sync/{__version__}"
FINAL = 200  # below are what only announces an answer
_SWITCHING = 101
_ONE_READ = 16 * 1024  # bytes; and of a plain answer's headers, at most
_LONGEST = 64 * 1024  # bytes of the headers of any answer, of a line between two chunks, of trailers
_END = re.compile(rb"\n\r?\n")  # of a head; with a bare line feed too, so that nobody waits for more of it
_FOLD = re.compile(rb"\r?\n[ \t]+")  # RFC 9112, 5.2: a header that goes on in the next line
_UNSAFE = re.compile(r"[^\w.~:/?@!$&'()*+,;=%-]", re.ASCII)  # printable, but nothing that a request line should hold
_LONGEST_LENGTH = len(str(2**63))  # figures
_USUAL = (
    *("Accept-Ranges", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Range"),
    *("Content-Type", "Date", "ETag", "Last-Modified", "Link", "Location", "Server", "Transfer-Encoding", "Vary"),
    *("X-Linked-Etag", "X-Linked-Size", "X-Repo-Commit", "RateLimit", "RateLimit-Policy", "Retry-After"),
    *("x-amz-request-id", "x-amz-id-2", "x-amz-version-id", "x-amz-storage-class", "x-amz-server-side-encryption"),
)
_SPELLED = {spelled: name.lower() for name in _USUAL for spelled in (name, name.lower())}
"""Names of headers as servers write them: to look one up takes a third of proving it and writing it small."""
_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")  # of a chunk
_BODILESS = {204, 304}
_ENOUGH = 1024 * 1024  # bytes of one read that are worth the way up
_LINGER = 0.01  # seconds that a read may stay for more than the first bytes
_WORTH = 64 * 1024  # bytes of room for which it stays


class Fields(dict[str, str]):
    """Headers, kept by their names in small letters and found by `get` in any; what comes twice is joined."""

    @classmethod
    def of(cls, lines: list[str]) -> Fields:
        """ValueError for a line that is none, or that goes on from the one before."""
        found = cls()
        for line in lines:
            name, colon, value = line.partition(":")
            key = _SPELLED.get(name) or _lowered(name)
            if not colon:
                raise ValueError("a line that is no header")
            found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
        return found

    def get(self, name: str, default: str | None = None) -> Any:  # type: ignore[override]  # as of any dict
        return super().get(_SPELLED.get(name) or name.lower(), default)


def _lowered(name: str) -> str:
    if not name or name[-1] in " \t" or name[0] in " \t":
        raise ValueError("a line that is no header")
    return name.lower()


class Head(NamedTuple):
    """`stays`: the server keeps the connection open. `length` of the body in bytes, None where it is not plain."""

    status: int
    fields: Fields
    stays: bool
    length: int | None


def request_head(method: str, target: str, *headers: Mapping[str, str]) -> bytes:
    """The head of a request, in which every header stands once whatever letters its name came in: strict servers refuse
    a second one. The last one counts, so that a caller's replaces ours. ValueError for what would not be one line each.
    """
    once = {name.lower(): value for some in headers for name, value in some.items()}
    lines = "".join([f"{name}: {value}\r\n" for name, value in once.items()])
    if lines.count("\n") != len(once) or lines.count("\r") != len(once):
        raise ValueError("a header of more than one line")
    if _UNSAFE.search(target) is not None:
        target = _UNSAFE.sub(lambda odd: f"%{ord(odd[0]):02X}", target)
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def read_head(receive: Callable[[int], bytes], got: bytes = b"", *, plain: bool = True) -> tuple[Head, bytes]:
    """The head of an answer, and what came of its body with it; `got` is what came before. ConnectionResetError when
    nothing comes at all, ValueError when it is none of HTTP/1.1, what `receive` raises.

    A `plain` one has at most 16 KiB and no bare line feeds: who reads only those has somebody else to ask.
    """
    got = got or receive(_ONE_READ)
    if not got:
        raise ConnectionResetError("the connection was closed")
    most = _ONE_READ if plain else _LONGEST
    while (end := _end_of(got)) is None:
        more = receive(_ONE_READ)
        if not more or len(got) > most:
            raise ValueError("an answer whose headers do not end")
        got += more
    head, rest = got[:end], got[end:]
    if head.count(b"\n") != head.count(b"\r\n"):
        if plain:
            raise ValueError("a line that ends in a bare line feed")
        head = head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if not plain and (b"\n " in head or b"\n\t" in head):
        head = _FOLD.sub(b" ", head)
    return _parsed(head), rest


def _end_of(got: bytes) -> int | None:
    """Where a head ends; None where it goes on. Most have no bare line feeds, and need no expression."""
    if (last := got.find(b"\r\n\r\n")) >= 0:
        end = last + 4
        if got.count(b"\n", 0, end) == got.count(b"\r\n", 0, end):
            return end
    found = _END.search(got)
    return None if found is None else found.end()


def read_final_head(receive: Callable[[int], bytes]) -> tuple[Head, bytes]:
    """The head of an answer of any shape, past those that only announce it. Errors as of `read_head`."""
    head, rest = read_head(receive, plain=False)
    while head.status < FINAL:
        if head.status == _SWITCHING:
            raise ValueError("an answer in another protocol, which nobody asked for")
        head, rest = read_head(receive, rest, plain=False)
    return head, rest


def _parsed(head: bytes) -> Head:
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not status[:3].isdecimal() or status[3:4] not in ("", " "):
        raise ValueError("an answer that is not HTTP")
    fields = Fields.of(lines)
    kept = dict.get(fields, "connection", "keep-alive")  # of every answer: without the detour of `Fields.get`
    stays = version == "HTTP/1.1" and kept in ("keep-alive", "Keep-Alive")
    return Head(int(status[:3]), fields, stays, _length(fields))


def _length(fields: Fields) -> int | None:
    stated = dict.get(fields, "content-length", "")
    if "transfer-encoding" in fields or not stated.isdecimal() or len(stated) > _LONGEST_LENGTH:
        return None
    return int(stated) if stated.isascii() else None


class BodyReader:
    """The body behind a final head, as it arrives: of a length, in chunks, or to the end of its connection.

    No read takes longer than `patience` seconds, and neither does all that stands between two bytes of the body: the
    sizes of chunks, what is written behind them, and trailers. `clock` in seconds, from any start.
    """

    def __init__(
        self, head: Head, rest: bytes, sock: socket.socket, patience: float, clock: Callable[[], float]
    ) -> None:
        """ValueError for a head that does not say where its body ends, though it tries to."""
        self._sock, self._clock, self._patience = sock, clock, patience
        self._ahead, self._at = rest, 0
        self._chunked = self._between = False
        self._left: int | None = 0 if head.status in _BODILESS else head.length
        if self._left is None:
            coding = head.fields.get("transfer-encoding")
            self._chunked = coding is not None
            if self._chunked:
                if coding.strip().lower() != "chunked":
                    raise ValueError("a body that is coded for its transfer in an unknown way")
                self._left = 0
            else:
                self._left = _agreed(head.fields.get("content-length"))
        self.ended = self._left == 0 and not self._chunked
        """Whether the body came to the end that was promised."""

    @property
    def is_clean(self) -> bool:
        """Whether the connection could serve again: no byte of the body is still to come, and nothing follows it."""
        ahead = len(self._ahead) - self._at
        return ahead == self._left if not self._chunked else self.ended and not ahead

    def hurry(self, seconds: float) -> None:
        """From now on, wait only so long for bytes."""
        self._patience = seconds

    def receive(self, buffer: memoryview) -> int:
        """What has arrived, at least a byte; 0 at the end of the body, promised or not: see `ended`.

        OSError; ValueError for what is no body in chunks.
        """
        if self.ended or not buffer:
            return 0
        until = self._clock() + self._patience if self._chunked else None
        if self._chunked and not self._left and not self._begin_chunk(until):
            return 0
        count = self._take(buffer if self._left is None else buffer[: self._left], until)
        if self._left is None:
            self.ended = not count
        else:
            self._left -= count
            self._between = self._chunked and not self._left
            self.ended = not self._left and not self._chunked
        return count

    def _begin_chunk(self, until: float | None) -> bool:
        """False at the last one, or where the connection ends before it."""
        try:
            if self._between and self._line(until):
                raise ValueError("a chunk that is longer than its size")
            self._between = False
            size = _SIZE.fullmatch(self._line(until).partition(b";")[0].strip())
            if size is None:
                raise ValueError("a chunk without a size")
            self._left = int(size[0], 16)
            if self._left:
                return True
            room = _LONGEST
            while trailer := self._line(until):
                room -= len(trailer)
                if room < 0:
                    raise ValueError("trailers that do not end")
        except EOFError:
            return False
        self.ended = True
        return False

    def _line(self, until: float | None) -> bytes:
        """Up to a line feed, without it. EOFError where the connection ends."""
        while (end := self._ahead.find(b"\n", self._at)) < 0:
            if len(self._ahead) - self._at > _LONGEST:
                raise ValueError("a line between chunks that does not end")
            self._wait(until)
            more = self._sock.recv(_ONE_READ)
            if not more:
                raise EOFError
            self._ahead, self._at = self._ahead[self._at :] + more, 0
        line = self._ahead[self._at : end].rstrip(b"\r")
        self._at = end + 1
        return line

    def _take(self, room: memoryview, until: float | None) -> int:
        count = min(len(self._ahead) - self._at, len(room))
        if count:
            room[:count] = memoryview(self._ahead)[self._at : self._at + count]
            self._at += count
            return count
        self._wait(until)
        count = self._sock.recv_into(room)
        return count + self._gather(room[count:_ENOUGH]) if count and len(room) - count >= _WORTH else count

    def _gather(self, rest: memoryview) -> int:
        """What comes hard on the heels of the first bytes: TLS gives 16 KiB at a time, and each way up costs.

        What breaks here breaks again at the next read.
        """
        count, until = 0, self._clock() + _LINGER
        self._sock.settimeout(_LINGER)
        with suppress(OSError):
            while count < len(rest) and (more := self._sock.recv_into(rest[count:])):
                count += more
                if self._clock() > until:
                    break
        return count

    def _wait(self, until: float | None) -> None:
        """Before a read: how long it may take. TimeoutError."""
        left = self._patience if until is None else until - self._clock()
        if left <= 0:
            raise TimeoutError("what stands between the bytes of a body did not end")
        if self._sock.gettimeout() != left:  # each change is a system call, and gives Python's lock away
            self._sock.settimeout(left)


def _agreed(stated: str | None) -> int | None:
    """A length that was said several times alike (RFC 9110, 8.6), None where nothing is said. ValueError."""
    if stated is None:
        return None
    lengths = {length.strip() for length in stated.split(",")}
    found = None if len(lengths) != 1 else _length(Fields({"content-length": lengths.pop()}))
    if found is None:
        raise ValueError("a length that is none")
    return found


class HeadDeadline:
    """Reads of a head, which has so many seconds as a whole. Most come in one piece, for which nothing is set anew."""

    def __init__(self, sock: socket.socket, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._sock, self._clock, self._until = sock, clock, clock() + seconds
        self._begun = False
        if sock.gettimeout() != seconds:
            sock.settimeout(seconds)

    def __call__(self, count: int) -> bytes:
        """OSError; TimeoutError when the time is over."""
        if self._begun:
            if (left := self._until - self._clock()) <= 0:
                raise TimeoutError("the headers did not end")
            self._sock.settimeout(left)
        self._begun = True
        return self._sock.recv(count)
