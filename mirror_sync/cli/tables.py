"""Tables and summaries as text: what needs a person first, a reason under whatever has one, totals at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mirror_sync.observers.redaction import harmless

_GAP, _INDENT = "  ", "    "
_COLORS = {
    "failed": 31,
    "held": 33,
    "refused": 35,
    "published": 32,
    "unchanged": 2,
    "faulty": 31,
    "unreadable": 33,
    "repaired": 32,
    "added": 32,
    "changed": 33,
    "removed": 31,
}  # SGR codes of ECMA-48; the words themselves carry the meaning


@dataclass(frozen=True, slots=True)
class Row:
    """The first cell is a state, the last one a name and as long as it is; `note` goes on lines of its own."""

    cells: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """`width` in columns, None where lines are not wrapped."""

    width: int | None = None
    colored: bool = False

    def table(self, header: Sequence[str], rows: Iterable[Row]) -> str:
        """Cells between the first and the last are figures, aligned to the right."""
        rows = [Row(tuple(map(harmless, row.cells)), harmless(row.note)) for row in rows]
        columns = zip(header, *(row.cells for row in rows), strict=True)
        widths = [max(map(len, column)) for column in columns]
        lines = [_aligned(header, widths)]
        for row in rows:
            lines.append(self._tinted(row.cells[0], _aligned(row.cells, widths)))
            lines += self._wrapped(row.note) if row.note else []
        return "\n".join(lines)

    def _tinted(self, state: str, line: str) -> str:
        color = _COLORS.get(state)
        if not self.colored or color is None:
            return line
        return f"\x1b[{color}m{state}\x1b[0m{line[len(state) :]}"

    def _wrapped(self, note: str) -> list[str]:
        if self.width is None:
            return [_INDENT + note]
        return textwrap.wrap(
            note,
            max(self.width, 40),
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *figures, last = cells
    width, *rest = widths[:-1]
    parts = [first.ljust(width), *(cell.rjust(size) for cell, size in zip(figures, rest, strict=True)), last]
    return _GAP.join(parts).rstrip()
