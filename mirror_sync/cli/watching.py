"""`status --watch`: the same page again and again: on a terminal full-screen, else one after the other."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, zip_longest
from typing import Any
from unicodedata import east_asian_width

import typer.core

from mirror_sync.cli.interrupts import restoring
from mirror_sync.cli.invocation import Invocation
from mirror_sync.errors import UsageError
from mirror_sync.observe.redaction import lines_shown

OPTION = "--watch"
FIRST = "mirror-sync: looking at what is mirrored ..."
EVERY = "2"  # seconds, where the option does not say
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_LEAST, _MOST = 0.2, 86400.0
_RESIZED = 0.2  # seconds between two looks whether the terminal has another size
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"  # ECMA-48: CUP, EL, ED
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# xterm's private modes: the alternate screen, which leaves what stood there before as it was; the cursor
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


class Watching(typer.core.TyperCommand):
    """A command whose --watch may stand without a figure, also before other arguments."""

    def parse_args(self, context: Any, args: list[str]) -> list[str]:
        return super().parse_args(context, with_figure(args))


def with_figure(args: Sequence[str]) -> list[str]:
    """Every --watch followed by a figure: its own or the usual one."""
    given: list[str] = []
    for arg, after in zip_longest(args, args[1:], fillvalue=""):
        given.append(arg)
        if arg == OPTION and _SECONDS.fullmatch(after) is None:
            given.append(EVERY)
    return given


def seconds_of(figure: float) -> float:
    """UsageError for a figure that would redraw too often, or never."""
    if not _LEAST <= figure <= _MOST:
        raise UsageError(f"{OPTION} takes seconds from {_LEAST} to {_MOST:.0f}, not {figure:g}")
    return figure


def repeat(invocation: Invocation, page: Callable[[], str], every: float, stop: threading.Event) -> None:
    """Show what `page` gives every so many seconds, and whenever the terminal has another size, until the stop."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        while True:
            invocation.print(page())
            if stop.wait(every):
                return
    with _full_screen(invocation.draw) as screen:
        while not stop.is_set():
            size = invocation.size
            screen.show(on_screen(lines_shown(page()), size.lines, size.columns))
            until = time.monotonic() + every
            while invocation.size == size and (left := until - time.monotonic()) > 0:
                if stop.wait(min(left, _RESIZED)):
                    break


class _Screen:
    """What is drawn on it; before the first page, which a slow target makes long, a line that says so."""

    def __init__(self, draw: Callable[[str], None]) -> None:
        self._draw = draw
        self._shown = f"{_HOME}{FIRST}{_REST_OF_LINE}\n{_REST_OF_SCREEN}"

    def begin(self) -> None:
        self._draw(_ENTER + self._shown)

    def show(self, drawn: str) -> None:
        self._shown = drawn
        self._draw(drawn)


@contextmanager
def _full_screen(draw: Callable[[str], None]) -> Iterator[_Screen]:
    """The terminal is as it was before, however the block ends, and while the program is stopped by Ctrl-Z."""
    screen = _Screen(draw)

    def stopped(_number: int, _frame: object) -> None:
        draw(_LEAVE)
        os.kill(os.getpid(), signal.SIGSTOP)
        screen.begin()  # somebody has sent SIGCONT

    before = signal.signal(signal.SIGTSTP, stopped)
    with restoring(_LEAVE):
        screen.begin()
        try:
            yield screen
        finally:
            draw(_LEAVE)
            signal.signal(signal.SIGTSTP, before)


def on_screen(text: str, height: int, width: int) -> str:
    """What draws a page over the one before without flicker: cut to the screen, its last line always there.

    A line that is wider than the screen takes several of its rows: else the first lines would be pushed out.
    """
    *lines, last = text.splitlines()
    room = max(height - 1 - _rows(last, width), 1)  # the last line, and the one that the cursor stands in
    if sum(_rows(line, width) for line in lines) > room:
        ends = list(accumulate(_rows(line, width) for line in lines))
        kept = bisect_right(ends, room - 1)
        lines = [*lines[:kept], f"... {len(lines) - kept:,} more lines"]
    body = "".join(f"{line}{_REST_OF_LINE}\n" for line in [*lines, last])
    return f"{_HOME}{body}{_REST_OF_SCREEN}"


def _rows(line: str, width: int) -> int:
    """Of the screen, for a line with colours."""
    columns = sum(2 if east_asian_width(char) in "WF" else 1 for char in _COLOR.sub("", line))
    return max(-(-columns // max(width, 1)), 1)
