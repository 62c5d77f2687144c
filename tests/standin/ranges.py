"""Serving a file's bytes: whole, one range of them, or only their headers. RFC 9110 sections 13 and 14."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .answer import Answer, Body, Headers, Request

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Part:
    """The bytes of ``whole`` from ``first`` on, ``size`` of them."""

    whole: Body
    first: int
    size: int

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the part's bytes ``start`` to ``stop`` (exclusive)."""
        return self.whole.chunks(self.first + start, self.first + min(stop, self.size))


def file_answer(request: Request, body: Body, headers: Headers) -> Answer:
    """Answer 200, 206, 304 or 416 as the request's headers ask; ``headers`` must hold an ETag."""
    common = {"Accept-Ranges": "bytes", **headers}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Answer(304, common)
    wanted = _wanted(request, body.size, headers["ETag"])
    if wanted is None:
        return Answer(200, common, body)
    first, last = wanted
    if first > last:
        return Answer(416, {"Content-Range": f"bytes */{body.size}"})
    ranged = common | {"Content-Range": f"bytes {first}-{last}/{body.size}"}
    return Answer(206, ranged, Part(body, first, last - first + 1), start=first)


def _wanted(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """Return the first and last byte asked for; first > last when there are none; None for all."""
    found = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if found is None or request.headers.get("if-range", etag) != etag or found[0] == "bytes=-":
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size - 1
    last = int(found[2]) if found[2] else size - 1
    return int(found[1]), min(last, size - 1)
