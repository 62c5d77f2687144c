"""The head of a request, read as strictly as the strictest servers do: what a doubtful one is refused for here, some
proxy or mirror refuses in the field. RFC 9112, and RFC 9110 for which fields may come once only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BufferedReader

from .answer import Refusal, error

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers."""
ONCE = frozenset(
    {
        *("authorization", "content-length", "content-location", "content-range", "content-type", "cookie", "date"),
        *("etag", "expect", "from", "host", "if-modified-since", "if-range", "if-unmodified-since", "max-forwards"),
        *("proxy-authorization", "range", "referer", "server", "transfer-encoding", "user-agent"),
    }
)
"""Fields that are no lists: a second one means that two parties wrote it."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_TARGET = re.compile(r"/[!-~]*")


@dataclass(frozen=True)
class Bounds:
    """How long a line, and how many headers, a server reads."""

    line: int = MAX_HEAD
    fields: int = 10_000


AIOHTTP = Bounds(8190, 128)
"""As a server of aiohttp 3.14 has them."""


@dataclass(frozen=True)
class Head:
    """A request without its body; `names` are those of all headers, in small letters, as often as each came."""

    method: str
    target: str
    headers: dict[str, str]
    names: tuple[str, ...]


def read_head(stream: BufferedReader, bounds: Bounds) -> Head | None:
    """Read one, or return None when the client ended the connection between two.

    Raises Refusal with 400 for what is not HTTP/1.1 as it should be, with 431 for what is too long.
    """
    first = stream.readline(bounds.line + 2)
    if not first.strip():
        return None
    parts = _text(first).split(" ")
    if len(parts) != 3 or _TARGET.fullmatch(parts[1]) is None or parts[2] not in {"HTTP/1.1", "HTTP/1.0"}:
        raise _malformed("the request line")
    fields = _fields(stream, bounds)
    headers: dict[str, str] = {}
    for name, value in fields:
        if name in headers and name in ONCE:
            raise _malformed(f"a second {name}")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    _check_framing(headers, parts[2])
    return Head(parts[0], parts[1], headers, tuple(name for name, _ in fields))


def _fields(stream: BufferedReader, bounds: Bounds) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    left = MAX_HEAD
    while (line := stream.readline(min(left, bounds.line) + 2)) not in {b"\r\n", b""}:
        left -= len(line)
        if left <= 0 or len(line) > bounds.line + 1 or len(found) == bounds.fields:
            raise error(431, "Bad headers: more than this server reads")
        name, colon, value = _text(line).partition(":")
        value = value.strip(" \t")
        if not colon or _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise _malformed("a header")
        found.append((name.lower(), value))
    return found


def _check_framing(headers: dict[str, str], version: str) -> None:
    """Where the body ends, and for whom the request is, must be said once and clearly."""
    if "host" not in headers and version == "HTTP/1.1":
        raise _malformed("no host")
    if not headers.get("content-length", "0").isdigit():
        raise _malformed("the content-length")
    if "transfer-encoding" in headers and ("content-length" in headers or version == "HTTP/1.0"):
        raise _malformed("a transfer-encoding beside a content-length")


def _text(line: bytes) -> str:
    if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
        raise error(431, "Bad headers: a line too long") if len(line) > MAX_HEAD else _malformed("the end of a line")
    return line[:-2].decode("latin-1")


def _malformed(what: str) -> Refusal:
    return error(400, f"Bad request: {what}")
