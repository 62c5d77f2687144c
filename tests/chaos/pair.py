"""A scene of two daemons with one lease: who works is killed, stopped for a while, or ended; one works at a time."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.chaos.actors import Ending, Machine, Run, beside, start
from tests.chaos.tally import TWICE
from tests.chaos.world import LEASE, World

NAME = "two daemons"
_DAEMON = ("daemon",)
_FOR_GOOD = Ending(None, 1e9)
_LINE = re.compile(r"timestamp=(\S+) level=\w+ event=(lease\.taken|lease\.lost|run\.started|run\.finished)\b(.*)")
_RUN = re.compile(r"\brun=(\S+)")


class Line(NamedTuple):
    """Of a daemon's log; `who` is its machine, `at` in seconds by the clock that both have."""

    at: float
    who: str
    event: str
    run: str
    interrupted: bool


def two_daemons(one: World, number: int, tell: Callable[[str], None]) -> None:
    """Both run for some seconds, and twice the one that works has something done to it; nobody does anything twice."""
    logs: list[tuple[str, Path]] = []
    with ExitStack() as stack:

        def begin(machine: Machine) -> Run:
            run = start(machine, number, _DAEMON, _FOR_GOOD)
            stack.enter_context(beside(run))
            logs.append((machine.name, run.out.with_suffix(".err")))
            return run

        running = {machine.name: begin(machine) for machine in one.pair}
        machines = {machine.name: machine for machine in one.pair}
        for _ in range(2):
            time.sleep(one.dice.uniform(1.5, 4))
            who = _leader(logs) or one.dice.choice(list(running))
            done = _disturb(one, running[who], one.dice)
            tell(f"{NAME}: {who} is {done}")
            if running[who].running.poll() is not None:
                running[who] = begin(machines[who])
        time.sleep(2 * LEASE)
        tell(f"{NAME}: {_leader(logs) or 'nobody'} works at the end")
    for what in doubled(logs):
        one.ledger.say(TWICE, what)


def _disturb(one: World, run: Run, dice: Random) -> str:
    """Returns in words what was done; whoever was stopped goes on."""
    how = dice.choice(("killed", "stopped", "stopped", "ended"))
    if how == "killed":
        one.tally.kills += 1
        run.running.kill()
        run.running.wait()
    elif how == "ended":
        run.running.terminate()
        try:
            run.running.wait(15)
        except subprocess.TimeoutExpired:
            run.running.kill()
            run.running.wait()
    else:
        seconds = dice.uniform(0.5, 3 * LEASE)
        run.running.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        run.running.send_signal(signal.SIGCONT)
        how = f"stopped for {seconds:.1f} s"
    return how


def doubled(logs: list[tuple[str, Path]]) -> Iterator[str]:
    """What was run by who did not have the lease: a run that began after another daemon had taken it, and went on."""
    lines = sorted(line for who, path in logs for line in _lines(who, path))
    cut = {line.run for line in lines if line.event == "run.finished" and line.interrupted}
    holder = ""
    for line in lines:
        if line.event == "lease.taken":
            holder = line.who
        elif line.event == "run.started" and line.who != holder and line.run not in cut:
            yield f"{line.who} began run {line.run} while {holder or 'nobody'} had the lease"


def _leader(logs: list[tuple[str, Path]]) -> str:
    taken = [line for who, path in logs for line in _lines(who, path) if line.event.startswith("lease.")]
    last = max(taken, default=None)
    return last.who if last is not None and last.event == "lease.taken" else ""


def _lines(who: str, path: Path) -> Iterator[Line]:
    for at, event, rest in _LINE.findall(path.read_text(encoding="utf-8", errors="replace")):
        run = _RUN.search(rest)
        cut = event == "run.finished" and "interrupted=0" not in rest
        yield Line(datetime.fromisoformat(at).timestamp(), who, event, run[1] if run else "", cut)
