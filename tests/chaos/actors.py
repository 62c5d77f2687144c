"""The program as its users run it: real processes, with machines of their own, ended by their ids."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.chaos.tally import Meter

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "mirror_sync")
PATIENCE = 90.0
"""Seconds that a run without faults may take."""
_LOOK = 0.01


@dataclass(frozen=True)
class Ending:
    """How a run is to end: by itself, or by a signal after so many seconds or bytes of files."""

    sign: signal.Signals | None = None
    seconds: float = 8.0
    """When the signal comes; where there is none, when SIGTERM comes all the same, for the round must end."""
    sent: int | None = None
    """Bytes after which the signal comes, if that is earlier."""

    def __str__(self) -> str:
        when = f"{self.seconds:.2f} s" + (f" or {self.sent / (1 << 20):.1f} MiB" if self.sent is not None else "")
        return f"{self.sign.name} after {when}" if self.sign else "left alone"


@dataclass(frozen=True)
class Machine:
    """A place where the program runs: a configuration, with a state folder of its own."""

    name: str
    config: Path

    def command(self, *words: str) -> list[str]:
        """The command line of the program on this machine."""
        return [*PROGRAM, "-c", str(self.config), *words]


@dataclass
class Outcome:
    """How a run ended."""

    machine: str
    words: tuple[str, ...]
    began: float
    """In monotonic seconds."""
    code: int | None
    signalled: bool
    out: Path
    seconds: float

    @property
    def report(self) -> dict[str, Any] | None:
        """What the run printed as JSON; None when it printed none."""
        try:
            found = json.loads(self.out.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def __str__(self) -> str:
        report = self.report or {}
        figures = {name: report[name] for name in ("blobs", "young", "spared") if isinstance(report.get(name), int)}
        return f"{self.machine} {' '.join(self.words)}: {self.code} in {self.seconds:.1f} s {figures or ''}".rstrip()


@dataclass
class Run:
    """A running program."""

    machine: Machine
    words: tuple[str, ...]
    ending: Ending
    running: subprocess.Popen[bytes]
    out: Path
    began: float = field(default_factory=time.monotonic)
    signalled: bool = False

    def tend(self, meter: Meter) -> bool:
        """Send what is due; whether it has ended."""
        if self.running.poll() is not None:
            return True
        since = time.monotonic() - self.began
        due = since >= self.ending.seconds or (self.ending.sent is not None and meter.reached.is_set())
        if due and not self.signalled:
            self.signalled = True
            self.running.send_signal(self.ending.sign or signal.SIGTERM)
        if since >= self.ending.seconds + 12:
            self.running.kill()
        return False

    def outcome(self) -> Outcome:
        """How it ended; waits for that."""
        code = self.running.wait()
        took = time.monotonic() - self.began
        return Outcome(self.machine.name, self.words, self.began, code, self.signalled, self.out, took)


def start(machine: Machine, number: int, words: tuple[str, ...], ending: Ending) -> Run:
    """Start the program; its two streams go to files beside the configuration, named by the round."""
    base = machine.config.parent / f"{number:03}-{machine.name}-{words[0]}-{time.monotonic_ns()}"
    out = base.with_suffix(".out")
    with out.open("wb") as stdout, base.with_suffix(".err").open("wb") as stderr:
        running = subprocess.Popen(machine.command(*words), cwd=ROOT, env=_environ(), stdout=stdout, stderr=stderr)
    return Run(machine, words, ending, running, out)


def finish(runs: list[Run], meter: Meter) -> list[Outcome]:
    """Tend to several runs until all have ended; nothing outlives a harness that fails."""
    try:
        while sum(not run.tend(meter) for run in runs):
            time.sleep(_LOOK)
    finally:
        for run in runs:
            if run.running.poll() is None:
                run.running.kill()
    return [run.outcome() for run in runs]


@contextmanager
def beside(run: Run) -> Iterator[None]:
    """A run that lasts as long as the block."""
    try:
        yield
    finally:
        run.running.terminate()
        try:
            run.running.wait(10)
        except subprocess.TimeoutExpired:
            run.running.kill()
            run.running.wait()


@cache
def commands() -> frozenset[str]:
    """The commands that the program has: some actions are only taken where it knows them."""
    text = _said("--help").partition("Commands:")[2]
    return frozenset(line.split()[0] for line in text.splitlines() if line.startswith("  ") and line.strip())


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema of jobs.yaml: some keys are only written where it knows them."""
    found: dict[str, Any] = json.loads(_said("check", "--schema"))
    return found


def knows(entry: str, key: str) -> bool:
    """Whether an object of jobs.yaml has a key; `entry` is its name in the schema, empty for the file itself."""
    place = schema()["$defs"].get(entry, {}) if entry else schema()
    return key in place.get("properties", {})


def _said(*words: str) -> str:
    return subprocess.run(
        [*PROGRAM, *words], cwd=ROOT, env=_environ(), capture_output=True, text=True, check=True
    ).stdout


def _environ() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_PROXY": "127.0.0.1,localhost"}
