"""``python -m bench.many_files 50000 200000``: what one repo of so many tiny files costs, from a folder into a folder.

For each number it makes a folder of that many files, all different, mirrors it, changes one file and mirrors it again.
It needs nothing but the program and a disk: some 9 KiB a file, for the folder and its mirror. With ``--hub`` the repo
is a Hub's, of few different contents, so that the listing is what costs: see `bench.paged_hub`. Prints a table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.builds import HERE
from bench.competitors import jobs, sync
from bench.figures import MIB
from bench.measure import Cost, measured
from bench.paged_hub import paged_hub
from bench.places import ROOT
from bench.setting import say

REPO = "bench/many"
A_FOLDER = 1000  # files
CARD = "---\nlicense: mit\n---\n"
LIMIT = 3600  # seconds of one run
HEAD = f"{'files':>9}  {'run':<17} {'peak MiB':>8} {'CPU s':>7} {'s':>7} {'ms CPU/file':>11} {'objects':>8}"


@dataclass(frozen=True)
class Row:
    """What one run cost; `objects` is how many there are more in the target than before."""

    files: int
    run: str
    cost: Cost
    objects: int

    def __str__(self) -> str:
        """As a line below HEAD."""
        cost = self.cost
        each = 1000 * cost.cpu_seconds / self.files
        return (
            f"{self.files:>9,}  {self.run:<17} {cost.peak_rss / MIB:>8.0f} {cost.cpu_seconds:>7.1f} "
            f"{cost.seconds:>7.1f} {each:>11.3f} {self.objects:>8,}"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure each number of files, and print what was found as it comes."""
    parser = argparse.ArgumentParser(prog="python -m bench.many_files", description=__doc__)
    parser.add_argument("files", type=int, nargs="+")
    parser.add_argument("--work", type=Path, default=ROOT / "var" / "many-files", help="a folder that may be removed")
    parser.add_argument("--hub", action="store_true", help="from a Hub's paged listing, in place of a folder")
    options = parser.parse_args(argv)
    say(HEAD)
    for files in options.files:
        for row in (rows_of_hub if options.hub else rows)(files, options.work / str(files)):
            say(str(row))
        shutil.rmtree(options.work / str(files))


def rows(files: int, work: Path) -> Iterator[Row]:
    """A first publication, then a run after one file has changed."""
    shutil.rmtree(work, ignore_errors=True)
    folder, mirror = make(files, work / "upstream"), work / "mirror"
    path = jobs(work, work / "upstream", [REPO], {"url": mirror.as_uri()})
    cost = measured(sync(HERE, path), work / "log", LIMIT)
    before = objects(mirror)
    yield Row(files, "first publication", cost, before)
    (folder / "folder-0000" / "file-0000000.txt").write_text("changed\n", encoding="utf-8")
    cost = measured(sync(HERE, path), work / "log", LIMIT)
    yield Row(files, "one changed", cost, objects(mirror) - before)


def rows_of_hub(files: int, work: Path) -> Iterator[Row]:
    """The same from a Hub: what it costs to read its listing, and to lay it beside what is published."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    mirror = work / "mirror"
    with paged_hub(files, work / "hub.log") as hub:
        run = sync(HERE, jobs(work, hub, [REPO], {"url": mirror.as_uri()}))
        cost = measured(run, work / "log", LIMIT)
        before = objects(mirror)
        yield Row(files, "first publication", cost, before)
        with urllib.request.urlopen(f"{hub}/__change__/{files // 2}") as answer:
            answer.read()
        cost = measured(run, work / "log", LIMIT)
        yield Row(files, "one changed", cost, objects(mirror) - before)


def make(files: int, root: Path) -> Path:
    """The folder of a repo with so many files."""
    folder = root / REPO
    for number in range(files):
        if number % A_FOLDER == 0:
            (folder / f"folder-{number // A_FOLDER:04}").mkdir(parents=True)
        place = folder / f"folder-{number // A_FOLDER:04}" / f"file-{number:07}.txt"
        place.write_text(f"file {number}\n", encoding="utf-8")
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return folder


def objects(mirror: Path) -> int:
    """How many objects are in a directory target."""
    return sum(len(names) for _, _, names in os.walk(mirror))


if __name__ == "__main__":
    main()
