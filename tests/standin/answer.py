"""A request and its answer, as values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, unquote

from .content import Memory

Origin = Literal["hub", "cdn"]
Headers = Mapping[str, str]


class Body(Protocol):
    """What an answer carries: a size in bytes and the bytes themselves."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes ``start`` to ``stop`` (exclusive)."""


@dataclass(frozen=True)
class Request:
    """One request as it came; header names in lower case, the path still percent-encoded."""

    origin: Origin
    method: str
    path: str
    query_text: str
    headers: Headers
    body: bytes = b""
    names: tuple[str, ...] = ()
    """The names of all headers, in lower case, as often as each came."""

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """The decoded query, every value of every name."""
        return parse_qs(self.query_text, keep_blank_values=True)

    def first(self, name: str, default: str = "") -> str:
        """Return the first value of a query name."""
        return self.query.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        """Return whether a query name says yes; clients send ``true``, ``True`` and ``1``."""
        return self.first(name).lower() in {"true", "1"}

    @property
    def base(self) -> str:
        """Scheme, host and port the client spoke to."""
        return f"http://{self.headers.get('host', '127.0.0.1')}"

    def fits(self, pattern: str) -> bool:
        """Return whether this is the ``"METHOD /path/*"`` or ``"/path/*"`` of ``pattern``.

        ``*`` stands for anything, slashes too; the query takes no part.
        """
        first, space, rest = pattern.partition(" ")
        has_method = bool(space) and not pattern.startswith("/")
        method, glob = (first, rest) if has_method else ("*", pattern)
        if not fnmatchcase(self.method, method):
            return False
        return fnmatchcase(self.path, glob) or fnmatchcase(unquote(self.path), glob)


@dataclass(frozen=True)
class Delivery:
    """How an answer travels; the default is at once and in full."""

    delay: float = 0.0
    """Seconds before the first byte."""
    drop: bool = False
    """Reset the connection instead of answering."""
    cut_after: int | None = None
    """Body bytes after which the connection ends."""
    stall_after: int = 0
    """Body bytes after which the answer stalls."""
    stall: float = 0.0
    """Seconds it stalls."""
    rate: int | None = None
    """Body bytes a second."""
    promised: int | None = None
    """Content-Length to send instead of the body's size."""

    @property
    def breaks(self) -> bool:
        """Whether the connection cannot be used again."""
        return self.drop or self.cut_after is not None or self.promised is not None


@dataclass(frozen=True)
class Answer:
    """Status, headers and body; Content-Length is added when it is sent."""

    status: int
    headers: Headers = field(default_factory=dict)
    body: Body = field(default_factory=lambda: Memory(b""))
    start: int = 0
    """Offset in the file of the body's first byte, in a 206."""
    delivery: Delivery = field(default_factory=Delivery)

    def having(self, headers: Headers) -> Answer:
        """Return this answer with more headers."""
        return replace(self, headers={**self.headers, **headers})


class Refusal(Exception):
    """Ends the work on a request with the answer it carries."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def as_json(value: Any, headers: Headers | None = None, status: int = 200) -> Answer:
    """Return ``value`` as a JSON answer."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, Memory(body))


def error(status: int, message: str, code: str | None = None, headers: Headers | None = None) -> Refusal:
    """Return a refusal the way the Hub words it: JSON, X-Error-Message and, if any, X-Error-Code."""
    coded = {"X-Error-Code": code} if code else {}
    return Refusal(as_json({"error": message}, {**coded, "X-Error-Message": message, **(headers or {})}, status))


def redirect(status: int, location: str, headers: Headers | None = None) -> Answer:
    """Return a redirect to ``location``."""
    text = f"Temporary Redirect. Redirecting to {location}".encode()
    plain = {"Content-Type": "text/plain; charset=utf-8", "Location": location}
    return Answer(status, {**plain, **(headers or {})}, Memory(text))
