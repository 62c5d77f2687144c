"""Values of documents that others wrote, within bounds that every reader of them can hold."""

from __future__ import annotations

from collections.abc import Mapping

LARGEST = 2**63 - 1  # of a count, or a size in bytes
_CUT = "…"


def whole(value: object) -> int:
    """A count or a size. TypeError for what is no whole number, ValueError for one below 0 or beyond LARGEST."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a whole number expected, got {type(value).__name__}")
    if not 0 <= value <= LARGEST:
        raise ValueError("a number out of bounds")
    return value


def text(value: object) -> str:
    """TypeError for what is none."""
    if not isinstance(value, str):
        raise TypeError(f"text expected, got {type(value).__name__}")
    return value


def texts(value: object) -> tuple[str, ...]:
    """TypeError for what is no list of texts."""
    if not isinstance(value, list):
        raise TypeError(f"a list expected, got {type(value).__name__}")
    return tuple(map(text, value))


def words(value: object) -> Mapping[str, str]:
    """TypeError for what is no object of texts."""
    if not isinstance(value, dict):
        raise TypeError(f"an object expected, got {type(value).__name__}")
    return {text(name): text(one) for name, one in value.items()}


def short(said: str, most: int) -> str:
    """At most so many characters, the last one an ellipsis where some are left out."""
    return said if len(said) <= most else said[: most - 1] + _CUT


def plain(said: str) -> str:
    """The same text where it is printable in one line; else with `\\n`, `\\x9b` and the like for what is not.

    A name or a message of others may hold line feeds, and characters that rule a terminal or turn the direction of
    what follows.
    """
    return said if said.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in said)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()
