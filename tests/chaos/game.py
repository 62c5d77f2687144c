"""Worlds, one after the other, and the last words."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.chaos.rounds import OUTAGE, play
from tests.chaos.tally import MOST_AGAIN, Tally
from tests.chaos.world import World, world
from tests.servers.bucket import S3Server

WORLD = 15
"""Rounds of a world: with some 25 MiB new in each, it stays below half a GiB."""


@dataclass
class Game:
    """Worlds, one after the other; a world in which something was found stays on disk."""

    seed: int
    folder: Path
    tally: Tally
    verbose: bool = False
    only: str = ""
    """Words in the names of the scenes that are played; empty: all."""
    outage: float = OUTAGE
    """Seconds that the upstream is away in every third round."""

    def play(self, number: int, rounds: int, server: S3Server | None) -> None:
        """Play a world of so many rounds."""
        before = len(self.tally.findings)
        place = self.folder / f"world-{number}"
        with world(number, self.seed, place, server, self.tally) as one:
            for at in range(rounds):
                self._play_round(one, at, last=at == rounds - 1)
            for words in one.traffic.worst():
                self._tell(number, rounds, words)
        for found in self.tally.findings[before:]:
            say(f"--seed {self.seed} --world {number}, round {found.round}: {found.kind}: {found.seen}")
        if len(self.tally.findings) == before:
            shutil.rmtree(place)

    def _play_round(self, one: World, at: int, *, last: bool) -> None:
        began = time.monotonic()
        tell = partial(self._tell, one.number, at)
        play(one, at, last=last, tell=tell, only=self.only, outage=self.outage)
        self.tally.rounds += 1
        self._tell(one.number, at, f"{time.monotonic() - began:.1f} s")

    def end(self, seconds: float) -> None:
        """Say the last words."""
        if self.tally.findings:
            say(f"seed {self.seed}: {len(self.tally.findings)} findings; everything is in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.tally.percent > MOST_AGAIN:
            say(f"more than {MOST_AGAIN:g} % was fetched again")
        first, *rest = self.tally.lines(self.seed)
        say(f"{seconds / max(1, self.tally.rounds):.1f} s a round; {first}")
        say(*rest)

    def _tell(self, number: int, at: int, words: str) -> None:
        if self.verbose:
            say(f"world {number} round {at}: {words}")


def say(*lines: str) -> None:
    """Print lines at once."""
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
