"""`status --watch`: the same page again and again: redrawn in place on a terminal, else one after the other."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import typer.core

from mirror_sync.cli.invocation import Invocation
from mirror_sync.errors import UsageError
from mirror_sync.observe.redaction import lines_shown

OPTION = "--watch"
EVERY = "2"  # seconds, where the option does not say
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_LEAST, _MOST = 0.2, 86400.0
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"  # ECMA-48: CUP, EL, ED


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
    """Show what `page` gives every so many seconds, until the stop."""
    redrawn = sys.stdout.isatty()
    if redrawn:
        invocation.draw(_HOME + _REST_OF_SCREEN)
    while True:
        text = page()
        if redrawn:
            invocation.draw(on_screen(lines_shown(text), invocation.height))
        else:
            invocation.print(text)
        if stop.wait(every):
            return


def on_screen(text: str, height: int) -> str:
    """What draws a page over the one before without flicker: cut to the screen, its last line always there."""
    *lines, last = text.splitlines()
    room = max(height - 2, 1)  # the last line, and the one that the cursor stands in
    if len(lines) > room:
        lines = [*lines[: room - 1], f"... {len(lines) - room + 1:,} more lines"]
    body = "".join(f"{line}{_REST_OF_LINE}\n" for line in [*lines, last])
    return f"{_HOME}{body}{_REST_OF_SCREEN}"
