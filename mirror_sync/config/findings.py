"""What is found wrong, by its place in the document, until it becomes faults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from yaml.nodes import Node

Trail = tuple[str | int, ...]  # the way to a value: ("jobs", 0, "schedule", "every")

_SHOWN = 60  # characters of a value that a message repeats
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_\-]{1,64}")


class FilePosition(NamedTuple):
    """A line and a column, both from 1."""

    line: int
    column: int

    @classmethod
    def of(cls, node: Node) -> Self:
        """Where a node of the YAML begins; line and column count from 1."""
        return cls(node.start_mark.line + 1, node.start_mark.column + 1)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the value of `trail`, or with its key. `place` None: to be found by the trail."""

    trail: Trail
    message: str
    place: FilePosition | None = None
    key: bool = False


class Findings:
    """Findings in the order they came; the first one at a trail speaks for what later checks say of the same."""

    def __init__(self) -> None:
        self._all: list[Finding] = []
        self._trails: set[Trail] = set()

    def add(self, trail: Trail, message: str, place: FilePosition | None = None) -> None:
        """Add a finding; one with a place of its own says nothing about the value of its trail."""
        self._all.append(Finding(trail, message, place))
        if place is None:
            self._trails.add(trail)

    def mute(self, trail: Trail) -> None:
        """Say nothing more about the value of a trail, of which a finding with a place of its own has said all."""
        self._trails.add(trail)

    def extend(self, later: Iterable[Finding]) -> None:
        """Add what a later check found, except about values that are known to be wrong."""
        known = frozenset(self._trails)
        for finding in later:
            if finding.trail not in known or not finding.trail:
                self._all.append(finding)
                self._trails.add(finding.trail)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def spoken(trail: Trail) -> str:
    """`jobs[0].schedule.every`; a key that is no plain word stands in brackets and quotes."""
    parts = (_part(step) for step in trail)
    return "".join(parts).removeprefix(".")


def _part(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f"[{quoted(step)}]"


def quoted(value: object) -> str:
    """A value as a message repeats it: in quotes, on one line, and short."""
    text = str(value)
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...") if not text.isprintable() else _short(text)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def nearest_word(word: str, known: Iterable[str]) -> str:
    """`; did you mean x?` for the nearest known word, empty when none is near."""
    near = get_close_matches(word.lower()[:_SHOWN], list(known), n=1, cutoff=0.72)
    return f"; did you mean {near[0]}?" if near else ""


def listed(words: Sequence[str], last: str = "or") -> str:
    """`a`, `a or b`, `a, b or c`."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""
