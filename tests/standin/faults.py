"""Faults on request: what an answer, or its way to the client, can suffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .answer import Answer, Body, Headers, Request, as_json
from .content import Memory

Fault = Callable[[Request, Answer], Answer]
"""Takes the answer that would have been given and returns the one that is."""
Match = str | Callable[[Request], bool]
"""``"METHOD /path/*"``, ``"/path/*"``, or any test of the request."""


@dataclass(frozen=True)
class Cut:
    """The first bytes of a body."""

    whole: Body
    size: int

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes up to where the body was cut."""
        return self.whole.chunks(start, min(stop, self.size))


@dataclass(frozen=True)
class Patched:
    """A body with other bytes from ``offset`` on, or with bytes behind its end."""

    whole: Body
    offset: int
    patch: bytes | None
    """None: the one byte there, every bit turned."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return max(self.whole.size, self.offset + len(self.patch or b""))

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes with the patch laid over them."""
        patch = self.patch if self.patch is not None else self._turned()
        position = start
        for chunk in self.whole.chunks(start, min(stop, self.whole.size)):
            yield _overlay(chunk, patch, self.offset - position)
            position += len(chunk)
        yield patch[max(0, position - self.offset) : max(0, stop - self.offset)] if stop > self.whole.size else b""

    def _turned(self) -> bytes:
        return bytes(byte ^ 0xFF for byte in b"".join(self.whole.chunks(self.offset, self.offset + 1)))


def _overlay(chunk: bytes, patch: bytes, at: int) -> bytes:
    first, last = max(at, 0), min(at + len(patch), len(chunk))
    return chunk if first >= last else chunk[:first] + patch[first - at : last - at] + chunk[last:]


def status(code: int, headers: Headers | None = None, body: bytes = b"") -> Fault:
    """Answer with this status, these headers and this body instead."""
    return lambda _, answer: Answer(code, {**_limit_headers(answer), **(headers or {})}, Memory(body))


def busy(retry_after: int = 1) -> Fault:
    """Answer 429 for one action only: the window's budget is not spent, ``Retry-After`` in seconds."""
    return status(429, {"Retry-After": str(retry_after)}, b'{"error":"Too many requests"}')


def cut(after: int = 0) -> Fault:
    """End the connection after this many body bytes."""
    return lambda _, answer: replace(answer, delivery=replace(answer.delivery, cut_after=after))


def stall(seconds: float, after: int = 0) -> Fault:
    """Send nothing for a while after this many body bytes, then go on."""
    return lambda _, answer: replace(answer, delivery=replace(answer.delivery, stall=seconds, stall_after=after))


def delay(seconds: float) -> Fault:
    """Wait before the answer's first byte."""
    return lambda _, answer: replace(answer, delivery=replace(answer.delivery, delay=seconds))


def trickle(rate: int) -> Fault:
    """Send ``rate`` body bytes a second."""
    return lambda _, answer: replace(answer, delivery=replace(answer.delivery, rate=rate))


def refuse() -> Fault:
    """Reset the connection once the request came; see `Faults.refuse_connections` for before that."""
    return lambda _, answer: replace(answer, delivery=replace(answer.delivery, drop=True))


def wrong_bytes(offset: int, patch: bytes | None = None) -> Fault:
    """Replace the file's bytes at ``offset`` (of the file, in a range answer too); None: turn one byte's bits."""

    def change(_: Request, answer: Answer) -> Answer:
        at, size = offset - answer.start, answer.body.size
        inside = 0 <= at < size
        fits = patch[: size - at] if patch is not None else None
        return replace(answer, body=Patched(answer.body, at, fits)) if inside else answer

    return change


def truncated(size: int) -> Fault:
    """Send only the body's first bytes, with a Content-Length that agrees."""
    return lambda _, answer: replace(answer, body=Cut(answer.body, min(size, answer.body.size)))


def longer(extra: int = 1, *, honest: bool = False) -> Fault:
    """Send more bytes than promised; ``honest``: with a Content-Length that counts them."""

    def change(_: Request, answer: Answer) -> Answer:
        size = answer.body.size
        promised = None if honest else size
        delivery = replace(answer.delivery, promised=promised)
        return replace(answer, body=Patched(answer.body, size, b"x" * extra), delivery=delivery)

    return change


def html() -> Fault:
    """Answer 200 with a web page, as captive portals and proxies do."""
    page = b"<!doctype html><html><body>Please sign in to the network.</body></html>"
    return status(200, {"Content-Type": "text/html"}, page)


def garbage() -> Fault:
    """Answer 200 with JSON that ends in the middle."""
    return status(200, {"Content-Type": "application/json"}, b'[{"path":"config.json","si')


def empty_list() -> Fault:
    """Answer 200 with an empty list and no next page."""
    return lambda _, answer: as_json([], _limit_headers(answer))


def chain(*parts: Fault) -> Fault:
    """Apply several faults to one answer, in this order."""

    def change(request: Request, answer: Answer) -> Answer:
        for part in parts:
            answer = part(request, answer)
        return answer

    return change


KINDS: Mapping[str, Callable[..., Fault]] = {
    made.__name__: made
    for made in (
        status,
        busy,
        cut,
        stall,
        delay,
        trickle,
        refuse,
        wrong_bytes,
        truncated,
        longer,
        html,
        garbage,
        empty_list,
    )
}
"""The faults by name."""


def named(kind: str, arguments: Mapping[str, Any]) -> Fault:
    """Return a fault from plain JSON values; ``body`` and ``patch`` are UTF-8 text."""
    as_bytes = {name: arguments[name].encode() for name in ("body", "patch") if isinstance(arguments.get(name), str)}
    return KINDS[kind](**{**arguments, **as_bytes})


def _limit_headers(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("RateLimit")}
