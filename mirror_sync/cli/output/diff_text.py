"""`diff`: its report as a person reads it."""

from __future__ import annotations

from mirror_sync.cli.output.reports import SHORT
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.content.difference import ChangeKind, Difference, FileChange
from mirror_sync.observe.figures import counted, in_bytes


def diff_text(found: Difference, page: TextLayout) -> str:
    rows = [Row((change.turn, *_sizes(change), change.path)) for change in found.changes]
    parts = [page.table(("STATE", "BEFORE", "AFTER", "FILE"), rows)] if rows else []
    turns = ", ".join(f"{found.count(turn):,} {turn}" for turn in ChangeKind)
    words = (
        f"{found.repo} from {found.before[:SHORT]} to {found.after[:SHORT]}: {turns}, "
        f"{counted(found.same, 'file')} as before; {_signed(found.growth)}."
    )
    parts.append(page.sentence(words))
    return "\n".join(parts)


def _sizes(change: FileChange) -> tuple[str, str]:
    before, after = ("-" if side is None else in_bytes(side.size) for side in (change.before, change.after))
    return before, after


def _signed(growth: int) -> str:
    return f"{in_bytes(abs(growth))} {'less' if growth < 0 else 'more'}"
