"""Tables and summaries as text: what needs a person first, a reason under whatever has one, totals at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mirror_sync.domain.bounds import plain

_GAP, _INDENT = "  ", "    "
_COLORS = {
    "failed": 31,
    "gated": 33,
    "gone": 33,
    "elsewhere": 33,
    "never": 36,
    "held": 33,
    "refused": 35,
    "interrupted": 33,
    "dormant": 36,
    "published": 32,
    "unchanged": 2,
    "faulty": 31,
    "unreadable": 33,
    "repaired": 32,
    "added": 32,
    "changed": 33,
    "removed": 31,
    "ok": 32,
    "warning": 33,
    "fault": 31,
    "skipped": 2,
}  # SGR codes of ECMA-48; the words themselves carry the meaning


_STATE = 7  # columns of the state of an item
_NAME = 40  # characters of the last cell that columns make room for


@dataclass(frozen=True, slots=True)
class Row:
    """The first cell is a state, the last one a name and as long as it is; `note` goes on lines of its own."""

    cells: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class TextLayout:
    """`width` in columns, None where lines are not wrapped."""

    width: int | None = None
    colored: bool = False

    def table(
        self, header: Sequence[str], rows: Iterable[Row], *, dispensable: Sequence[str] = (), words: Sequence[str] = ()
    ) -> str:
        """Cells between the first and the last are figures, aligned to the right, but for columns of `words`.

        Where lines would be wider than the page, `dispensable` columns are left out, those named first. One long
        name takes none from the other rows: its own line is then longer than the page.
        """
        rows = [Row(tuple(map(plain, row.cells)), plain(row.note)) for row in rows]
        columns = list(zip(header, *(row.cells for row in rows), strict=True))
        widths = [max(map(len, column)) for column in columns]
        shape = [
            (at, -widths[at] if header[at] in words else widths[at]) for at in self._kept(header, widths, dispensable)
        ]
        lines = [_aligned(header, shape)]
        for row in rows:
            lines.append(self._tinted(row.cells[0], _aligned(row.cells, shape)))
            lines += self._wrapped(row.note) if row.note else []
        return "\n".join(lines)

    def _kept(self, header: Sequence[str], widths: Sequence[int], dispensable: Sequence[str]) -> list[int]:
        """The places of the columns that the page has room for."""
        kept = list(range(len(header)))
        widths = [*widths[:-1], min(widths[-1], _NAME)]
        for name in dispensable:
            if self.width is None or sum(widths[at] + len(_GAP) for at in kept) - len(_GAP) <= self.width:
                break
            kept.remove(header.index(name))
        return kept

    def _tinted(self, state: str, line: str) -> str:
        color = _COLORS.get(state)
        if not self.colored or color is None:
            return line
        return f"\x1b[{color}m{state}\x1b[0m{line[len(state) :]}"

    def sentence(self, text: str) -> str:
        """A line of its own below a table, as many lines as the page needs for it."""
        return "\n".join(self._wrapped(plain(text), ""))

    def item(self, state: str, name: str, text: str) -> str:
        """A line of a list: its state, what it is about, and what there is to say, on as many lines as needed."""
        head = f"{state:<{_STATE}}{_GAP}{name}{_GAP}"
        text = plain(text)
        if self.width is not None:
            text = f"\n{' ' * len(head)}".join(self._wrapped(text, "", self.width - len(head)))
        return self._tinted(state, head + text)

    def hanging(self, text: str, margin: int) -> str:
        """A line whose further lines stand below its column `margin`."""
        text = plain(text)
        if self.width is None:
            return text
        return text[:margin] + f"\n{' ' * margin}".join(self._wrapped(text[margin:], "", self.width - margin))

    def note(self, text: str) -> str:
        """What belongs to the line above."""
        return "\n".join(self._wrapped(plain(text)))

    def _wrapped(self, note: str, indent: str = _INDENT, width: int | None = None) -> list[str]:
        if self.width is None:
            return [indent + note]
        return textwrap.wrap(
            note,
            max(width or self.width, 40),
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _aligned(cells: Sequence[str], shape: Sequence[tuple[int, int]]) -> str:
    """`shape` has the place of each column and its width, negative where it is aligned to the left."""
    (first, width), *middle, (last, _) = shape
    figures = (cells[at].rjust(size) if size > 0 else cells[at].ljust(-size) for at, size in middle)
    return _GAP.join([cells[first].ljust(width), *figures, cells[last]]).rstrip()
