"""Values as JSON has them, which anybody can write down again: into a document, a database, a log."""

from __future__ import annotations

import math
from typing import Any

_DEEPEST = 100  # levels of a description: enough for any card, and no burden to whoever writes it down again


def check_plain(value: Any, depth: int = 0) -> None:
    """ValueError for half characters, for numbers beyond all bounds and for nesting without need."""
    if depth > _DEEPEST:
        raise ValueError(f"a description nested deeper than {_DEEPEST} levels")
    match value:
        case str():
            value.encode()
        case float() if not math.isfinite(value):  # 1e999
            raise ValueError("a number beyond all bounds")
        case dict():
            for key, inner in value.items():
                key.encode()
                check_plain(inner, depth + 1)
        case list():
            for inner in value:
                check_plain(inner, depth + 1)
