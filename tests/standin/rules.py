"""When a fault strikes: rules that match requests, for a number of times or by a seeded chance."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from .answer import Answer, Origin, Request
from .faults import Fault, Match

Hook = Callable[[Request], object]
"""Runs before a request is answered."""


@dataclass
class Rule:
    """One fault or hook, and which requests it meets."""

    match: Match
    origin: Origin | None = None
    times: int | None = None
    """How often it strikes; None: always."""
    skip: int = 0
    """How many matching requests go unharmed first."""
    probability: float = 1.0
    seed: int = 0
    met: int = field(default=0, init=False)
    """Matching requests so far."""
    fired: int = field(default=0, init=False)
    """How often it struck."""

    def strikes(self, request: Request) -> bool:
        """Count the request if it matches, and return whether the rule strikes it."""
        if self.origin not in {None, request.origin} or self.times == self.fired or not self._matches(request):
            return False
        self.met += 1
        struck = self.met > self.skip and _chance(self.seed, self.met) < self.probability
        self.fired += struck
        return struck

    def _matches(self, request: Request) -> bool:
        return request.fits(self.match) if isinstance(self.match, str) else self.match(request)


class Faults:
    """The rules in force. The first rule that strikes a request decides; hooks all run."""

    def __init__(self) -> None:
        self._faults: list[tuple[Rule, Fault]] = []
        self._hooks: list[tuple[Rule, Hook]] = []
        self._refusals: dict[Origin, int] = {}
        self._lock = threading.Lock()

    def add(
        self,
        do: Fault,
        match: Match = "*",
        *,
        origin: Origin | None = None,
        times: int | None = None,
        skip: int = 0,
        probability: float = 1.0,
        seed: int = 0,
    ) -> Rule:
        """Put a fault in force and return its rule, whose ``fired`` counts."""
        rule = Rule(match, origin, times, skip, probability, seed)
        with self._lock:
            self._faults.append((rule, do))
        return rule

    def before(self, run: Hook, match: Match = "*", *, origin: Origin | None = None, times: int | None = 1) -> Rule:
        """Run something before matching requests are answered, say a commit in the middle of a listing."""
        rule = Rule(match, origin, times)
        with self._lock:
            self._hooks.append((rule, run))
        return rule

    def refuse_connections(self, origin: Origin, times: int) -> None:
        """Reset the next ``times`` new connections as soon as they are made."""
        with self._lock:
            self._refusals[origin] = times

    def clear(self) -> None:
        """End all faults and hooks."""
        with self._lock:
            self._faults.clear()
            self._hooks.clear()
            self._refusals.clear()

    def refuses(self, origin: Origin) -> bool:
        """Count a new connection and return whether it is to be reset."""
        with self._lock:
            left = self._refusals.get(origin, 0)
            self._refusals[origin] = max(0, left - 1)
        return left > 0

    def prepare(self, request: Request) -> None:
        """Run the hooks of a request."""
        with self._lock:
            due = [run for rule, run in self._hooks if rule.strikes(request)]
        for run in due:
            run(request)

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Return the answer as the first fault that strikes leaves it."""
        with self._lock:
            struck = next((do for rule, do in self._faults if rule.strikes(request)), None)
        return struck(request, answer) if struck else answer


def _chance(seed: int, number: int) -> float:
    """Return a number from 0 to 1 that depends on nothing but the seed and the count."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
