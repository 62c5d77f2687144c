"""``python -m tests.chaos [--rounds 300] [--seed n]``: ends with the sentence that counts, and 1 unless it is zeros."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

from tests.chaos.game import WORLD, Game, say
from tests.chaos.pair import NAME
from tests.chaos.tally import Tally
from tests.parts import absent
from tests.servers.bucket import S3Server
from tests.servers.radosgw import radosgw


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Faults, kills, and a reader.")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None, help="default: any; it is printed")
    parser.add_argument("--world", type=int, default=None, help="play this world alone, as a failure named it")
    parser.add_argument("--target", choices=("both", "directory", "radosgw"), default="both")
    parser.add_argument(
        "--scene", default="", metavar="WORDS", help='only scenes whose name has these words, say "prune"'
    )
    parser.add_argument(
        "--daemons", type=int, choices=(1, 2), default=1, help="2: nothing but two daemons of which one works at a time"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say what every round does")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Play, and return the exit code."""
    options = arguments(argv)
    seed = SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    say(f"seed {seed}")
    # As Ctrl-C does: every server and every run is ended before this one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    game = Game(seed, folder, Tally(), verbose=options.verbose, only=NAME if options.daemons > 1 else options.scene)
    began = time.monotonic()
    with _server(options.target) as server:
        for number in range(-(-options.rounds // WORLD)):
            if options.world in (None, number):
                bucket = server if options.target == "radosgw" or number % 2 else None
                game.play(number, min(WORLD, options.rounds - number * WORLD), bucket)
    game.end(time.monotonic() - began)
    return 0 if game.tally.ok else 1


@contextmanager
def _server(target: str) -> Iterator[S3Server | None]:
    """radosgw, unless it is not wanted or not installed."""
    if target == "directory":
        yield None
        return
    missing = absent(["radosgw"])
    if missing:
        say(f"radosgw is not installed ({', '.join(missing[0].packages)}): only directories are played")
        yield None
        return
    with radosgw() as server:
        yield server


if __name__ == "__main__":
    sys.exit(main())
