"""A server as a child of the test run: started with a log, awaited, stopped by its process id."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

TAIL = 40
"""Lines of a log that are shown when a server fails."""
PATIENCE = 240
"""Seconds until a server counts as one that does not start, on a loaded machine too; one that ends is told at once."""


class ServerError(RuntimeError):
    """A server of the tests did not start, or a command that prepares it failed; the message ends with its log."""


class Child:
    """A running server and the file that takes what it says."""

    def __init__(self, running: subprocess.Popen[bytes], log: Path) -> None:
        self.pid = running.pid
        self.log = log
        self._running = running

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._running.poll()

    def tail(self) -> str:
        """The end of its log."""
        return tail(self.log)

    def wait_until(self, ready: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Returns when `ready()` holds. Raises ServerError with the log's end when it ends first or time is up."""
        limit = time.monotonic() + seconds
        while not ready():
            code = self.ended()
            if code is not None:
                raise ServerError(f"{self._running.args!r} ended with {code}:\n{self.tail()}")
            if time.monotonic() > limit:
                raise ServerError(f"{self._running.args!r} is not ready after {seconds} s:\n{self.tail()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Ends it at once, as a machine that loses its power does."""
        self._running.kill()
        self._running.wait()

    def stop(self, seconds: float = 10) -> int:
        """Ends it, by force after so many seconds; returns the exit code."""
        if self.ended() is None:
            self._running.terminate()
        try:
            return self._running.wait(seconds)
        except subprocess.TimeoutExpired:
            self._running.kill()
            return self._running.wait()


@contextmanager
def child(
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    patience: float = 10,
) -> Iterator[Child]:
    """Runs a command, in a folder, for as long as the block lasts; its output goes to `log`.

    Afterwards it has `patience` seconds to end by itself.
    """
    with log.open("ab") as sink:
        running = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
        )
    one = Child(running, log)
    try:
        yield one
    finally:
        one.stop(patience)


class Revivable:
    """A server that may be killed and started again by the same command, as often as a test wants."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command, self._log, self._ready, self._environment = command, log, ready, environment
        self._life = ExitStack()
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._life.close()

    def start(self) -> None:
        """Returns when it answers. Raises ServerError with the end of its log when it does not."""
        with ExitStack() as life:
            self._child = life.enter_context(child(self._command, self._log, self._environment))
            self._child.wait_until(self._ready)
            self._life = life.pop_all()

    def kill(self) -> None:
        """Ends it without a word; nothing answers in its place."""
        if self._child is not None:
            self._child.kill()
        self._life.close()


def run(command: Sequence[str | Path], seconds: float = 60) -> str:
    """What a preparing command says on stdout. Raises ServerError with everything it said when it fails."""
    words = [str(word) for word in command]
    try:
        outcome = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as late:
        raise ServerError(f"{' '.join(words)}: no answer in {seconds} s") from late
    if outcome.returncode != 0:
        raise ServerError(f"{' '.join(words)} failed ({outcome.returncode}):\n{outcome.stdout}{outcome.stderr}")
    return outcome.stdout


def tail(log: Path, lines: int = TAIL) -> str:
    """The last lines of a file; empty when there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
