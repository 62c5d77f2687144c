"""JSON with an item for each file of a snapshot, written as the files are read: never all of it is in memory."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

_AT_ONCE = 1000  # items that are encoded in one go


@dataclass(frozen=True, slots=True)
class Items:
    """Stands in a list of a document for all items that `made` gives, of which there is at least one."""

    made: Callable[[], Iterable[Any]]


def json_pieces(document: Any, *, ensure_ascii: bool) -> Iterator[bytes]:
    """The compact JSON of a document, a piece at a time: what `json.dumps` gives where `Items` are a list's own.

    Half characters, which no UTF-8 can hold, come as question marks.
    """
    mark, items = secrets.token_hex(16), list[Items]()  # that nobody can guess: what a card says may stand around it

    def stand_in(value: object) -> str:
        if not isinstance(value, Items):
            raise TypeError(f"{type(value).__name__} is no JSON")
        items.append(value)
        return mark

    encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, separators=(",", ":"), default=stand_in)
    first, *rest = encoder.encode(document).split(f'"{mark}"')
    yield first.encode(errors="replace")
    for each, text in zip(items, rest, strict=True):
        left, comma = iter(each.made()), ""
        while some := [*islice(left, _AT_ONCE)]:
            yield f"{comma}{encoder.encode(some)[1:-1]}".encode(errors="replace")
            comma = ","
        yield text.encode(errors="replace")
