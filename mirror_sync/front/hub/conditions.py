"""Conditional and partial requests. Source: RFC 9110, sections 13 and 14."""

from __future__ import annotations

import re
from collections.abc import Callable

from mirror_sync.front.hub.answers import NO_RANGE, Answer, BlobSlice, JoinedSlices, Refusal
from mirror_sync.front.hub.front_request import FrontRequest

_TAG = re.compile(r'(?:W/)?("[^"]*")')
_SPAN = re.compile(r"\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*")  # no file has more bytes than such a figure can say


def is_current(if_none_match: str | None, etag: str) -> bool:
    """Whether a client that sent If-None-Match holds what `etag` (quoted) names."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)


def content(
    asked: FrontRequest,
    size: int,
    headers: dict[str, str],
    body: Callable[[int, int], bytes | BlobSlice | JoinedSlices],
) -> Answer:
    """As much of `size` bytes as the client wants; `body` gives those from a start to a stop."""
    if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
        return Answer(304, headers)
    headers = {**headers, "Accept-Ranges": "bytes"}
    wanted = asked.headers.get("range") if asked.method == "GET" else None
    span = byte_range(wanted, asked.headers.get("if-range"), headers["ETag"], size)
    if span is None:
        return Answer(200, headers, body(0, size))
    return Answer(206, {**headers, "Content-Range": f"bytes {span[0]}-{span[1] - 1}/{size}"}, body(*span))


def byte_range(wanted: str | None, if_range: str | None, etag: str, size: int) -> tuple[int, int] | None:
    """The bytes [start, stop) that a Range header asks for, None for all of them.

    Several ranges at once, and a range of nothing, are answered with the whole, which a server may do (and nginx does).
    Refusal 416 for what cannot be had.
    """
    if wanted is None or size == 0 or not wanted.lower().startswith("bytes=") or "," in wanted:
        return None
    if if_range is not None and if_range.strip() != etag:
        return None
    found = _span(wanted.partition("=")[2], size)
    if found is None:
        raise Refusal(416, NO_RANGE, Content_Range=f"bytes */{size}")
    return found


def _span(text: str, size: int) -> tuple[int, int] | None:
    found = _SPAN.fullmatch(text)
    if found is None or not (found[1] or found[2]):
        return None
    if found[1]:
        start, stop = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
    else:
        start, stop = max(size - int(found[2]), 0), size
    return (start, stop) if start < stop else None
