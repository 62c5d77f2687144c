"""``python -m bench.many_files 50000 200000``: what one repo of so many tiny files costs, from a folder into a folder.

For each number it makes a folder of that many files, all different, mirrors it, changes one file and mirrors it again.
It needs nothing but the program and a disk: some 9 KiB a file, for the folder and its mirror. With ``--hub`` the repo
is a Hub's, of few different contents, so that the listing is what costs: see `bench.paged_hub`. ``--with`` names what
is published beside the files, and ``--against`` an older build, in turns with this one. Prints a table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.builds import HERE, OURS, Build, older, ours
from bench.competitors import jobs, sync
from bench.figures import MIB
from bench.measure import Command, Cost, measured
from bench.paged_hub import paged_hub
from bench.places import ROOT
from bench.setting import say

REPO = "bench/many"
A_FOLDER = 1000  # files
CARD = "---\nlicense: mit\n---\n"
BESIDE: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "oci": {"front": {"oci": True}},
    "images": {"front": {"oci": {"images": True}}},
    "torrents": {"front": {"url": "https://models.example.org", "torrents": True}},
    "boms": {"trust": {"bom": ["cyclonedx", "spdx3"]}},
    "signatures": {"trust": {"key": "key"}},
    "model-signatures": {"trust": {"model_signing": {"key": "oms.pem"}}},
    "no-catalogue": {"site": {"enabled": False}},
}
"""What jobs.yaml says for what is published beside the files, or is not, by its name here."""
LIMIT = 3600  # seconds of one run
HEAD = f"{'files':>9}  {'run':<26} {'peak MiB':>8} {'CPU s':>7} {'s':>7} {'ms CPU/file':>11} {'objects':>8}"


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
            f"{self.files:>9,}  {self.run:<26} {cost.peak_rss / MIB:>8.0f} {cost.cpu_seconds:>7.1f} "
            f"{cost.seconds:>7.1f} {each:>11.3f} {self.objects:>8,}"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure each number of files, and print what was found as it comes."""
    parser = argparse.ArgumentParser(prog="python -m bench.many_files", description=__doc__)
    parser.add_argument("files", type=int, nargs="+")
    parser.add_argument("--work", type=Path, default=ROOT / "var" / "many-files", help="a folder that may be removed")
    parser.add_argument("--hub", action="store_true", help="from a Hub's paged listing, in place of a folder")
    parser.add_argument("--with", dest="beside", action="append", choices=sorted(BESIDE), default=[])
    parser.add_argument("--against", help="an older build, a wheel or a revision, in turns with this one")
    options = parser.parse_args(argv)
    folder = options.work / "builds"
    builds = [HERE] if options.against is None else [ours(folder), older(options.against, folder)]
    say(HEAD)
    for files in options.files:
        work = options.work / str(files)
        for row in (rows_of_hub if options.hub else rows)(files, work, options.beside, builds):
            say(str(row))
        shutil.rmtree(work)


def rows(files: int, work: Path, beside: Sequence[str] = (), builds: Sequence[Build] = (HERE,)) -> Iterator[Row]:
    """A first publication, then a run after one file has changed."""
    shutil.rmtree(work, ignore_errors=True)
    folder = make(files, work / "upstream")
    changing = folder / "folder-0000" / "file-0000000.txt"
    yield from _both(files, work, work / "upstream", beside, builds, lambda: changing.write_text("changed\n", "utf-8"))


def rows_of_hub(files: int, work: Path, beside: Sequence[str] = (), builds: Sequence[Build] = (HERE,)) -> Iterator[Row]:
    """The same from a Hub: what it costs to read its listing, and to lay it beside what is published."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with paged_hub(files, work / "hub.log") as hub:

        def change() -> None:
            with urllib.request.urlopen(f"{hub}/__change__/{files // 2}") as answer:
                answer.read()

        yield from _both(files, work, hub, beside, builds, change)


def _both(
    files: int, work: Path, upstream: str | Path, beside: Sequence[str], builds: Sequence[Build], change: Any
) -> Iterator[Row]:
    """Each build has a mirror of its own."""
    runs = dict[str, tuple[Path, Command]]()
    for build in builds:
        place = work / build.name.replace(" ", "-")
        place.mkdir()
        path = jobs(place, upstream, [REPO], {"url": (place / "mirror").as_uri()}, **_published_beside(beside, place))
        runs[build.name] = place / "mirror", sync(build, path)
    for what in ("first publication", "one changed"):
        for name, (mirror, run) in runs.items():
            before = objects(mirror)
            cost = measured(run, work / "log", LIMIT)
            yield Row(files, f"{name.removeprefix(OURS).strip()} {what}".strip(), cost, objects(mirror) - before)
        change()


def _published_beside(names: Sequence[str], work: Path) -> dict[str, Any]:
    """What jobs.yaml says for it. Keys that sign are made anew."""
    said: dict[str, Any] = {}
    for name in names:
        for key, value in BESIDE[name].items():
            said[key] = {**said.get(key, {}), **value}
    if "signatures" in names:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(work / "key")], check=True)
    if "model-signatures" in names:
        made = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(work / "oms.pem")]
        subprocess.run(made, check=True)
        (work / "oms.pem").chmod(0o600)
    return said


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
