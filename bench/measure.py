"""What a command costs: seconds on the clock, CPU seconds of its whole process tree, and the tree's peak memory.

CPU is what the kernel charged to processes that have ended (wait4), children of children included: each is counted
once, whoever reaped it. Memory is sampled, since the kernel keeps no peak for a tree.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.figures import Effect

SAMPLE = 0.05
"""Seconds between two looks at a tree's memory."""
_PR_SET_CHILD_SUBREAPER = 36


class CommandError(RuntimeError):
    """A measured command failed, or took too long; the message ends with what it said."""


@dataclass(frozen=True)
class Cost:
    """What one run of a command cost."""

    seconds: float
    cpu_seconds: float
    """User and system time of all its processes."""
    peak_rss: int
    """Bytes: the highest sum of resident memory over its processes that was seen."""
    effect: Effect | None = None
    """What it asked for and left, where somebody counted."""

    def then(self, other: Cost) -> Cost:
        """The cost of both, one after the other."""
        effect = self.effect and other.effect and replace(other.effect, calls=self.effect.calls + other.effect.calls)
        return Cost(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.peak_rss, other.peak_rss),
            effect,
        )


@dataclass(frozen=True)
class Command:
    """A command line, its environment on top of ours, and where it runs."""

    words: Sequence[str | Path]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None


def measured(command: Command, log: Path, limit: float = 900) -> Cost:
    """Run a command to its end. Raises CommandError when it fails or `limit` seconds have passed."""
    words = [str(word) for word in command.words]
    with log.open("wb") as sink, _adopting_orphans():
        began = time.monotonic()
        running = subprocess.Popen(
            words,
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**_surroundings(), **(command.environment or {})},
            start_new_session=True,  # its process group is its tree
        )
        with _ended_with_us(running.pid), _Watch(running.pid) as watch, _Deadline(running.pid, limit):
            _, status, usage = os.wait4(running.pid, 0)
            seconds = time.monotonic() - began
        cpu = usage.ru_utime + usage.ru_stime + _orphans_cpu(running.pid)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode != 0:
        said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise CommandError(f"{' '.join(words)} ended with {running.returncode} after {seconds:.1f} s:\n{said}")
    return Cost(seconds, cpu, watch.peak)


def _surroundings() -> dict[str, str]:
    """Ours, as a user has them: a Python that may not keep what it compiles compiles anew at every start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class _Watch(threading.Thread):
    """Samples the memory of a tree until the block ends."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._root = root
        self._over = threading.Event()

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(SAMPLE):
            # A process's own high water mark catches what lies between two samples.
            each = [_memory(pid) for pid in tree(self._root)]
            self.peak = max([self.peak, sum(now for now, _ in each), *(highest for _, highest in each)])


class _Deadline:
    """Ends a process group when time is up."""

    def __init__(self, group: int, seconds: float) -> None:
        self._timer = threading.Timer(seconds, _end, (group,))
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


@contextmanager
def _ended_with_us(group: int) -> Iterator[None]:
    """Ends a process group when the block is left by Ctrl-C or the like: it has a session of its own."""
    try:
        yield
    except BaseException:
        _end(group)
        raise


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def tree(root: int) -> Iterator[int]:
    """Yield the id of a process and of everything that descends from it, as far as they still run."""
    yield root
    with suppress(OSError):
        for thread in Path(f"/proc/{root}/task").iterdir():
            with suppress(OSError):
                for child in (thread / "children").read_text().split():
                    yield from tree(int(child))


def _memory(pid: int) -> tuple[int, int]:
    """Bytes resident now, and at most so far; zeros when the process has ended."""
    found = {"VmRSS": 0, "VmHWM": 0}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in found:
                found[name] = int(rest.split()[0]) * 1024
    return found["VmRSS"], found["VmHWM"]


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Makes this process the parent of grandchildren whose parent ends first, so that their time is not lost."""
    kernel = ctypes.CDLL(None)
    kernel.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        kernel.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _orphans_cpu(group: int) -> float:
    seconds = 0.0
    while True:
        try:
            _, _, usage = os.wait4(-group, 0)
        except ChildProcessError:
            return seconds
        seconds += usage.ru_utime + usage.ru_stime
