"""`status --watch` on a terminal: full-screen, with what the daemon does, and the terminal is as it was afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.daemon.control import controlled, progress_of_daemon, told_progress
from mirror_sync.domain.audit_record import Actor
from mirror_sync.observe.tally import InFlight, Progress
from tests.cli.program import PATIENCE, Program

ENTERED, LEFT = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"
FILES = tuple(InFlight("acme/one", f"weights-{n}", 10_000_000, 5_000_000, 1_000_000.0) for n in range(30))
RUNNING = Progress(1, 4, 1, 30, 0, 300_000_000, 150_000_000, 30_000_000.0, 5.0, FILES, None, 0.5, "good", 1, 2)


class Terminal:
    """Whoever sits before it: what was drawn so far, and a wait for more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self.seen = descriptor, b""

    def await_(self, said: Callable[[bytes], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not said(self.seen):
            assert time.monotonic() < until, self.seen[-2000:]
            try:
                self.seen += os.read(self._descriptor, 65536)
            except OSError:  # EIO: nobody writes any more
                assert said(self.seen), self.seen[-2000:]

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def watching(program: Program, *arguments: str) -> Iterator[tuple[Terminal, Callable[[int], int]]]:
    """The program on a terminal of 30 lines; the second sends it a signal and gives how it ended."""
    ours, theirs = pty.openpty()
    terminal = Terminal(ours)
    terminal.resize(30, 100)
    with program.started("status", "--watch", *arguments, streams=theirs) as child:
        os.close(theirs)

        def send(number: int) -> int:
            child.send_signal(number)
            terminal.await_(lambda seen: seen.count(LEFT) == seen.count(ENTERED))
            with suppress(OSError):
                while read := os.read(ours, 65536):
                    terminal.seen += read
            return child.wait(PATIENCE)

        yield terminal, send
    os.close(ours)


@pytest.fixture
def daemon(program: Program) -> Iterator[Program]:
    """A program beside whose state folder a daemon answers, in the midst of a run."""

    def refuse(_text: str, _actor: Actor) -> tuple[()]:
        raise AssertionError

    state = program.folder / "state"
    with controlled(state, refuse, {"progress": lambda: told_progress(RUNNING)}):
        yield program


def test_a_terminal_shows_runs_files_and_jobs_and_is_given_back(daemon: Program) -> None:
    with watching(daemon, "0.2") as (terminal, send):
        terminal.await_(lambda seen: seen.count(b"complete: ") >= 2)
        terminal.resize(12, 60)
        terminal.await_(lambda seen: seen.endswith(b"\x1b[J") and b"more lines" in seen)
        code = send(signal.SIGINT)
    seen = terminal.seen
    assert (code, seen.count(ENTERED), seen.count(LEFT)) == (0, 1, 1)
    for said in (b"daemon: 50% done; job 1 of 2, good, 1 of 4 repos", b"30.0 MB/s", b"weights-0", b"more on their way"):
        assert said in seen, said
    assert seen.index(b"NEXT RUN  MIRRORED  JOB") < seen.index(b"complete: ")


def test_who_is_killed_gives_the_terminal_back_too(program: Program) -> None:
    with watching(program, "60") as (terminal, send):
        terminal.await_(lambda seen: b"no daemon answers here" in seen and b"complete: " in seen)
        assert send(signal.SIGTERM) == 0
    assert terminal.seen.count(LEFT) == 1


def test_progress_of_a_daemon_is_what_it_says_and_none_where_none_answers(tmp_path: Path) -> None:
    assert progress_of_daemon(tmp_path) is None
    many = replace(RUNNING, in_flight=FILES * 20)
    with controlled(tmp_path, lambda _text, _actor: (), {"progress": lambda: told_progress(many)}):
        assert progress_of_daemon(tmp_path) == replace(many, in_flight=many.in_flight[:200])
    with controlled(tmp_path, lambda _text, _actor: ()):  # as one of before
        assert progress_of_daemon(tmp_path) is None
