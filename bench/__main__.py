"""``python -m bench [--workloads a,b] [--rounds 5]``: measures, and writes what was measured after each workload."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench.builds import BuildError, older, ours
from bench.machine import commit, machine, versions
from bench.places import ROOT
from bench.setting import Setting, say
from bench.table import load, save
from bench.workloads import WORKLOADS
from tests.parts import absent


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ours and others, side by side.")
    parser.add_argument("--workloads", type=_names, default=list(WORKLOADS), help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=ROOT / "var", help="a folder on the disk to measure on")
    parser.add_argument("--against", metavar="BUILD", help="an older build beside ours: a wheel, or a revision in git")
    parser.add_argument("--results", type=Path, default=ROOT / "bench", help="the folder of RESULTS.md")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the workloads one after the other, and return the exit code."""
    options = arguments(argv)
    # As Ctrl-C does: every server is ended before this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for part in absent(["nginx", "radosgw", "aria2"]):
        lacks = f"missing: {', '.join(part.missing())}; on Debian: apt-get install {' '.join(part.packages)}"
        raise SystemExit(f"bench: {lacks}")
    for folder in (options.work, options.results):
        folder.mkdir(parents=True, exist_ok=True)
    results = load(options.results / "results.json", machine(options.work), versions())
    work = options.work.resolve()
    try:
        against = older(options.against, work / "builds") if options.against else None
        now = ours(work / "builds")
    except BuildError as error:
        raise SystemExit(f"bench: {error}") from error
    with Setting(work / "bench", options.rounds, now, against) as setting:
        for name in options.workloads:
            say(f"{name}:")
            began, when = time.monotonic(), datetime.now(UTC)
            section = WORKLOADS[name](setting)
            took = time.monotonic() - began
            measured = {"name": name, "when": f"{when:%Y-%m-%d %H:%M} UTC", "commit": commit(), "took": took}
            results.add(replace(section, **measured))
            save(results, options.results)
            say(f"{name}: {took:.0f} s")
    return 0


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such workload: {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
