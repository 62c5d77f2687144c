"""HTTP/1.1 as far as small things need it: the head of a plain answer, and connections that are kept open.

http.client reads the headers of an answer by the parser for e-mail, which alone costs more than a small file. Here an
answer is understood if it is plain; every other one is a ValueError, after which somebody else may ask again.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_HEAD = 16 * 1024  # bytes of an answer's headers, at most; what one read may bring
_END = re.compile(rb"\n\r?\n")  # of a head; with a bare line feed too, so that nobody waits for more of it


class Fields(dict[str, str]):
    """Headers, kept by their names in small letters and found by `get` in any; what comes twice is joined."""

    @classmethod
    def of(cls, lines: list[str]) -> Fields:
        """ValueError for a line that is none, or that goes on from the one before."""
        found = cls()
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name[-1] in " \t" or name[0] in " \t":
                raise ValueError("a line that is no header")
            name = name.lower()
            found[name] = f"{found[name]}, {value.strip()}" if name in found else value.strip()
        return found

    def get(self, name: str, default: str | None = None) -> Any:  # type: ignore[override]  # as of any dict
        return super().get(name.lower(), default)


@dataclass(frozen=True, slots=True)
class Head:
    """`stays`: the server keeps the connection open. `length` of the body in bytes, None where it is not plain."""

    status: int
    fields: Fields
    stays: bool
    length: int | None


def read_head(receive: Callable[[int], bytes]) -> tuple[Head, bytes]:
    """The head of an answer, and what came of its body with it. ConnectionResetError when nothing comes at all,
    ValueError when it is none of HTTP/1.1, longer than 16 KiB or has a bare line feed; what `receive` raises.
    """
    got = receive(_HEAD)
    if not got:
        raise ConnectionResetError("the connection was closed")
    while (end := _END.search(got)) is None:
        more = receive(_HEAD)
        if not more or len(got) > _HEAD:
            raise ValueError("an answer whose headers do not end")
        got += more
    head = got[: end.end()]
    if head.count(b"\n") != head.count(b"\r\n"):
        raise ValueError("a line that ends in a bare line feed")
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not status[:3].isdecimal() or status[3:4] not in ("", " "):
        raise ValueError("an answer that is not HTTP")
    fields = Fields.of(lines)
    stays = version == "HTTP/1.1" and fields.get("connection", "keep-alive") in ("keep-alive", "Keep-Alive")
    return Head(int(status[:3]), fields, stays, _length(fields)), got[end.end() :]


class Idle:
    """Keeps at most `most` open connections that wait for work. Safe for many threads."""

    def __init__(self, most: int) -> None:
        self._kept: deque[socket.socket] = deque(maxlen=most)

    def take(self) -> socket.socket | None:
        """The one that worked last, None where there is none. Those on which something came meanwhile, the end or an
        answer that nobody asked for, are closed.
        """
        while (line := self._pop()) is not None:
            if not is_readable(line):
                return line
            line.close()
        return None

    def give_back(self, line: socket.socket) -> None:
        if len(self._kept) == self._kept.maxlen:
            line.close()
        else:
            self._kept.append(line)

    def close(self) -> None:
        """Close those that are idle."""
        while (line := self._pop()) is not None:
            line.close()

    def _pop(self) -> socket.socket | None:
        try:
            return self._kept.pop()
        except IndexError:
            return None


def is_readable(line: socket.socket) -> bool:
    """Whether something has come, the end included."""
    poll = select.poll()  # select itself takes no descriptor beyond 1023
    poll.register(line, select.POLLIN)
    return bool(poll.poll(0)) or (isinstance(line, ssl.SSLSocket) and line.pending() > 0)


def _length(fields: Fields) -> int | None:
    stated = fields.get("content-length", "")
    if "transfer-encoding" in fields or not stated or not stated.isdecimal() or len(stated) > len(str(2**63)):
        return None
    return int(stated)
