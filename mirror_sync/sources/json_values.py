"""Values as JSON has them, which anybody can write down again: into a document, a database, a log."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

_DEEPEST = 100  # levels of a description: enough for any card, and no burden to whoever writes it down again


def check_plain(value: Any) -> None:
    """ValueError for half characters, for numbers beyond all bounds and for nesting without need."""
    left = [iter((value,))]  # of each level that is begun, what comes next: a call for each value would be the dearer
    while left:
        for one in left[-1]:
            match one:
                case str():
                    one.encode()
                case float() if not math.isfinite(one):  # 1e999
                    raise ValueError("a number beyond all bounds")
                case dict() | list() if one:
                    if len(left) > _DEEPEST:
                        raise ValueError(f"a description nested deeper than {_DEEPEST} levels")
                    left.append(_inside(one))
                    break
        else:
            left.pop()


def _inside(container: dict[str, Any] | list[Any]) -> Iterator[Any]:
    if isinstance(container, list):
        return iter(container)
    for key in container:
        key.encode()
    return iter(container.values())
