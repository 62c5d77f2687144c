"""Live progress on a terminal: one bar for everything, and one for each large file on its way.

Events only change the tally; the screen is drawn a few times a second however many events come. Small files get no bar
of their own: they come and go faster than an eye can follow.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.outcome.events import Verified
from mirror_sync.observe.figures import counted, in_bytes, in_time
from mirror_sync.observe.log.log import LineWriter, in_color
from mirror_sync.observe.tally import InFlight, Progress, Tally

LOOKING = "looking for changes"
LARGE = 4_000_000  # bytes from which a file gets a bar
MOST_BARS = 8
_DRAWN = 8  # times a second
_KEPT_FREE = 5  # terminal lines for the overall bar, its figures and some log above
_BAR, _SIZE, _RATE, _LEFT = 24, 18, 9, 7  # columns
_FIGURES = _SIZE + _RATE + _LEFT + 4  # with the gaps between columns
_PULSE = 4  # columns that an overall bar of unknown length moves a second


class LiveProgress:
    """A context manager; log lines are printed above the bars meanwhile. `doing` is shown until there are figures."""

    def __init__(self, tally: Tally, lines: LineWriter, console: Console | None = None, doing: str = LOOKING) -> None:
        self._lines = lines
        self._console = console or _console(lines.stream)
        self._live = Live(
            Bars(tally, doing),
            console=self._console,
            refresh_per_second=_DRAWN,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        self._stack.enter_context(self._lines.through(self._print))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._stack.close()

    def _print(self, line: str) -> None:
        self._console.print(Text.from_ansi(line), soft_wrap=True)


class Bars:
    """Draws a tally, never higher than the terminal."""

    def __init__(self, tally: Tally, doing: str = LOOKING) -> None:
        self._tally, self._doing = tally, doing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        progress = self._tally.now()
        room = max(min(MOST_BARS, console.height - _KEPT_FREE), 0)
        large = [file for file in progress.in_flight if file.size >= LARGE]
        # those that will take longest are worth watching; the order on the screen stays that of their start
        shown = {(file.repo, file.path) for file in sorted(large, key=lambda file: file.done - file.size)[:room]}
        bars = [file for file in large if (file.repo, file.path) in shown]
        yield from (_file_line(file, options.max_width) for file in bars)
        yield _overall(progress, options.max_width, self._doing)
        yield Text(_figures(progress, hidden=len(progress.in_flight) - len(bars)), no_wrap=True, overflow="ellipsis")


def _overall(progress: Progress, width: int, doing: str) -> Table:
    known = progress.verified is None and (progress.bytes > 0 or progress.repos > 0)
    bar = ProgressBar(
        total=1.0 if known else None,
        completed=progress.share,
        width=_bar_width(width),
        pulse=not known,
        animation_time=time.monotonic() * _PULSE,
    )
    if not progress.bytes or not known:
        return _line(Text(doing, style="bold"), bar)
    name = Text(f"{100 * progress.share:.0f}% of all", style="bold")
    return _line(name, bar, _size(progress.bytes_done, progress.bytes), progress.rate, progress.left)


def _file_line(file: InFlight, width: int) -> Table:
    done = min(max(file.done, 0), file.size)
    bar = ProgressBar(total=file.size, completed=done, width=_bar_width(width))
    room = max(width - _bar_width(width) - _FIGURES, 8)
    left = (file.size - done) / file.rate if file.rate > 0 else None
    return _line(Text(_tail(f"{file.repo} {file.path}", room)), bar, _size(done, file.size), file.rate, left)


def _line(name: Text, bar: ProgressBar, size: str = "", rate: float = 0.0, left: float | None = None) -> Table:
    """Name, bar and figures, in columns that stand still."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(width=bar.width)
    for width in (_SIZE, _RATE, _LEFT):
        table.add_column(width=width, no_wrap=True, justify="right")
    table.add_row(name, bar, size, f"{in_bytes(rate)}/s" if size else "", "" if left is None else in_time(left))
    return table


def _size(done: int, total: int) -> str:
    return f"{in_bytes(done)} of {in_bytes(total)}"


def _tail(name: str, room: int) -> str:
    """The end of a name says more than its beginning."""
    name = plain(name)
    return name if len(name) <= room else f"\N{HORIZONTAL ELLIPSIS}{name[1 - room :]}"


def _bar_width(width: int) -> int:
    return max(min(_BAR, width // 6), 4)


def _figures(progress: Progress, hidden: int) -> str:
    if progress.verified is not None:
        return _verified(progress.verified, progress.files_done)
    parts = [f"{progress.repos_done:,} of {counted(progress.repos, 'repo')}"]
    if progress.job:
        which = f"{progress.job_number} of {progress.jobs}: " if progress.jobs > 1 else ""
        parts.insert(0, f"job {which}{plain(progress.job)}")
    if progress.files:
        parts.append(f"{progress.files_done:,} of {counted(progress.files, 'file')}")
    if hidden > 0:
        parts.append(f"{hidden} more on their way" if hidden < len(progress.in_flight) else f"{hidden} on their way")
    return ", ".join(parts)


def _verified(verified: Verified, fetched: int) -> str:
    parts = [counted(verified.blobs, "blob"), in_bytes(verified.bytes), counted(verified.faults, "fault")]
    return ", ".join([*parts, f"{counted(fetched, 'file')} fetched again"] if fetched else parts)


def _console(stream: TextIO) -> Console:
    return Console(file=stream, no_color=not in_color(stream), highlight=False, markup=False, emoji=False)
