"""``python -m bench.replica 20000 200000``: what a replica takes of memory, from a folder into a folder.

For each number: a repo of so many tiny files, all different, is published and copied by `replicate`; then one file of
it changes, and is copied. At last the same of one file of ``--large`` GiB. Prints a table.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.builds import HERE
from bench.competitors import jobs, sync
from bench.figures import MIB
from bench.many_files import CARD, LIMIT, REPO, make, objects
from bench.measure import Command, Cost, measured
from bench.places import ROOT
from bench.setting import say

HEAD = f"{'repo':<16}  {'run':<13} {'peak MiB':>8} {'CPU s':>7} {'s':>7} {'objects':>8}"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure each number of files and a large one, and print what was found as it comes."""
    parser = argparse.ArgumentParser(prog="python -m bench.replica", description=__doc__)
    parser.add_argument("files", type=int, nargs="+")
    parser.add_argument("--large", type=int, default=2, help="GiB of the large file")
    parser.add_argument("--work", type=Path, default=ROOT / "var" / "replica", help="a folder that may be removed")
    options = parser.parse_args(argv)
    say(HEAD)
    for files in options.files:
        shutil.rmtree(options.work, ignore_errors=True)
        folder = make(files, options.work / "upstream")
        for row in rows(f"{files:,} files", options.work, folder / "folder-0000" / "file-0000000.txt"):
            say(row)
    shutil.rmtree(options.work, ignore_errors=True)
    folder = options.work / "upstream" / REPO
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(options.large << 30)
    for row in rows(f"1 of {options.large} GiB", options.work, folder / "small.txt"):
        say(row)
    shutil.rmtree(options.work)


def rows(repo: str, work: Path, changed: Path) -> Iterator[str]:
    """A first copy, and one after this file has changed."""
    upstream, far, target = work / "upstream", work / "far", {"url": (work / "mirror").as_uri()}
    replicas = [{"name": "far", "url": far.as_uri()}]
    for run in ("first copy", "one changed"):
        path = jobs(work, upstream, [REPO], target)  # as long as a replica is named, a run copies to it
        measured(sync(HERE, path), work / "log", LIMIT)
        path = jobs(work, upstream, [REPO], {**target, "replicas": replicas})
        before = objects(far)
        cost = measured(Command([HERE.program, "-c", path, "-q", "replicate"]), work / "log", LIMIT)
        yield _line(repo, run, cost, objects(far) - before)
        changed.write_text("changed\n", encoding="utf-8")


def _line(repo: str, run: str, cost: Cost, more: int) -> str:
    peak = cost.peak_rss / MIB
    return f"{repo:<16}  {run:<13} {peak:>8.0f} {cost.cpu_seconds:>7.1f} {cost.seconds:>7.1f} {more:>8,}"


if __name__ == "__main__":
    main()
