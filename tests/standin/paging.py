"""Pages with a cursor and a ``Link: <...>; rel="next"`` header (RFC 8288)."""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from .answer import Request, error

Item = TypeVar("Item")


def page_after(
    request: Request, items: Sequence[Item], key: Callable[[Item], Any], size: int
) -> tuple[list[Item], dict[str, str]]:
    """Return one page of ``items``, which are sorted by ``key``, and the headers that name the next.

    The cursor is the key of the last item seen, so that items that come and go between two pages
    neither repeat nor hide others.
    """
    cursor = request.first("cursor")
    seen = _decoded(cursor) if cursor else None
    try:
        first = bisect_right(items, seen, key=lambda item: _plain(key(item))) if cursor else 0
    except TypeError as fault:
        raise error(400, "Invalid cursor") from fault
    page = list(items[first : first + size])
    if first + size >= len(items):
        return page, {}
    return page, next_link(request, {"cursor": _encoded(_plain(key(page[-1])))})


def next_link(request: Request, changed: dict[str, str]) -> dict[str, str]:
    """Return the Link header of the same question with ``changed`` query names."""
    query = {name: values for name, values in request.query.items() if name not in changed}
    text = urlencode([*((name, value) for name, values in query.items() for value in values), *changed.items()])
    return {"Link": f'<{request.base}{request.path}?{text}>; rel="next"'}


def _plain(key: Any) -> Any:
    return list(key) if isinstance(key, tuple) else key


def _encoded(key: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _decoded(cursor: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, binascii.Error) as fault:
        raise error(400, "Invalid cursor") from fault
