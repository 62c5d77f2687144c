"""What a check is, what it says, and how a table of them is gone through: all at once, none for longer than it may.

Whatever a check asks may be dead, and hang: so each row of checks that build on each other has a thread of its own,
which is given up when it takes too long, and ends with the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Generic, TypeVar

from mirror_sync.errors import MirrorError
from mirror_sync.observe.figures import in_time
from mirror_sync.owners import cause

_POLL = 0.05  # seconds between two looks whether a check has taken too long

Patient = TypeVar("Patient")


class Health(StrEnum):
    """What a check came to; what needs a person most comes last."""

    OK = "ok"
    SKIPPED = "skipped"  # it could not be looked at, or there is nothing to look at: why is said
    WARNING = "warning"  # it works, and will not for ever
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class CheckLine:
    """What one check says of one thing, `where`. `advice` is what to do, in words; `command` the next one for a shell,
    after that, or for more about it. Both are empty where there is nothing to do.
    """

    check: str
    where: str
    health: Health
    said: str
    advice: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All lines, in the order of the table."""

    lines: tuple[CheckLine, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no fault; a warning is none."""
        return not self.count(Health.FAULT)

    def count(self, health: Health) -> int:
        """How many lines came to this."""
        return sum(line.health is health for line in self.lines)

    def encode(self) -> dict[str, Any]:
        """The document of `doctor --json`."""
        counts = {str(health): self.count(health) for health in Health}
        return {"ok": self.ok, "counts": counts, "checks": [asdict(line) for line in self.lines]}


Saying = Iterable[tuple[Health, str] | tuple[Health, str, str, str]]
"""What a check says: how it is and what was found; where something is to be done, advice and a command, too."""


@dataclass(frozen=True, slots=True)
class Check(Generic[Patient]):
    """A row of the table. `subjects` are the things of a patient that it looks at, by their names; `look` says how one
    of them is, line by line as it finds out. `after`: another check of the same things without whose success this one
    would find nothing new.
    """

    name: str
    subjects: Callable[[Patient], Iterable[str]]
    look: Callable[[Patient, str], Saying]
    after: str = ""


@dataclass(eq=False)
class _Turn:
    """A check of one subject, and the one `before` it; `began` is None until it has."""

    check: str
    subject: str
    look: Callable[[], Saying]
    before: _Turn | None
    lines: list[CheckLine] = field(default_factory=list)
    began: float | None = None
    done: threading.Event = field(default_factory=threading.Event)
    given_up: bool = False

    @property
    def bad(self) -> str:
        """The check in whose place nothing that builds on it finds anything new; empty for none."""
        if self.before is not None and (said := self.before.bad):
            return said
        return self.check if self.given_up or any(line.health is Health.FAULT for line in self.lines) else ""

    def line(self, health: Health, said: str, advice: str = "", command: str = "") -> CheckLine:
        return CheckLine(self.check, self.subject, health, " ".join(said.split()), advice, command)

    def run(self) -> None:
        """Whatever goes wrong in a check is what it says: the others are not to suffer."""
        try:
            for one in self.look():
                self.lines.append(self.line(*one))
        except (MirrorError, OSError) as error:
            self.lines.append(self.line(Health.FAULT, cause(error)))
        except Exception as error:  # the others go on
            self.lines.append(self.line(Health.FAULT, f"internal error: {type(error).__name__}: {error}"))


@dataclass(frozen=True, slots=True)
class CheckBounds:
    """In seconds: how long one check may take, and how long all of them."""

    each: float = 15.0
    all: float = 60.0


def examine(
    checks: Sequence[Check[Patient]],
    patient: Patient,
    stop: threading.Event,
    patience: CheckBounds = CheckBounds(),
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[CheckLine]:
    """What all checks say, in the order of the table, a line as soon as those before it are there.

    A check that takes too long says so, and no more. A stop ends it early.
    """
    turns: dict[tuple[str, str], _Turn] = {}
    chains: dict[tuple[str, str], list[_Turn]] = {}
    for check in checks:
        for subject in check.subjects(patient):
            before = turns.get((check.after, subject))
            turn = _Turn(check.name, subject, partial(check.look, patient, subject), before)
            chain = chains[check.name, subject] = [] if before is None else chains[check.after, subject]
            chain.append(turn)
            turns[check.name, subject] = turn
    for chain in {id(chain): chain for chain in chains.values()}.values():
        threading.Thread(target=_run, args=(chain, clock), name="doctor", daemon=True).start()
    until = clock() + patience.all
    for turn in turns.values():
        yield from _lines(turn, stop, patience.each, until, clock)
        if stop.is_set():
            return


def _run(chain: Sequence[_Turn], clock: Callable[[], float]) -> None:
    for turn in chain:
        if turn.before is None or not turn.before.bad:
            turn.began = clock()
            turn.run()
        turn.done.set()


def _lines(
    turn: _Turn, stop: threading.Event, each: float, until: float, clock: Callable[[], float]
) -> Iterator[CheckLine]:
    """Once a turn is done, or has taken too long: then a line of its own says so."""
    while not turn.done.wait(_POLL) and not stop.is_set():
        if turn.before is not None and turn.before.given_up:
            break
        now = clock()
        if now >= (until if turn.began is None else min(turn.began + each, until)):
            turn.given_up = True
            yield from tuple(turn.lines)
            yield turn.line(Health.FAULT, f"no answer within {in_time(now - (turn.began or now))}")
            return
    if turn.before is not None and (bad := turn.before.bad):
        yield turn.line(Health.SKIPPED, f"not looked at: see {bad} above")
    else:
        yield from tuple(turn.lines)
