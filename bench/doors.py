"""What open doors cost a publication: 2,000 files from a folder into a folder, doors shut and open.

Torrents and images read what was fetched once more, and stand apart. Both take their turns within each round, who is
first changes; what counts is the CPU of the whole program, start and end included.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from bench.builds import Build
from bench.competitors import jobs, sync
from bench.figures import MIB, Target
from bench.many_files import CARD, REPO
from bench.measure import Cost, measured
from bench.setting import Setting, say
from bench.table import Section

FILES, SIZE = 2000, 64 * 1024
BOUND = Target("CPU of a publication with open doors, beside one with all shut", "at most", 1.25, "x")
SHUT, OPEN, IMAGES = "doors shut", "doors open", "doors and images"
FRONTS: Mapping[str, Mapping[str, Any]] = {SHUT: {}, OPEN: {"oci": True}, IMAGES: {"oci": {"images": True}}}


def run(setting: Setting) -> Section:
    """Publish the same repo into an empty folder, again and again."""
    _make(setting)
    costs: dict[str, list[Cost]] = {name: [] for name in FRONTS}
    for number in range(setting.rounds):
        names = list(FRONTS)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            costs[name].append(_published(setting, setting.ours, name))
            say(f"  {name}: {costs[name][-1].cpu_seconds:.2f} CPU s")
    shut = median(cost.cpu_seconds for cost in costs[SHUT])
    rows = [
        {
            "what": name,
            "CPU s": f"{median(cost.cpu_seconds for cost in found):.2f}",
            "s": f"{median(cost.seconds for cost in found):.2f}",
            "peak": f"{max(cost.peak_rss for cost in found) / MIB:.0f} MiB",
            "CPU beside doors shut": f"{median(cost.cpu_seconds for cost in found) / shut:.2f}x",
        }
        for name, found in costs.items()
    ]
    verdict = BOUND.judge(median(cost.cpu_seconds for cost in costs[OPEN]) / shut)
    notes = (
        f"{FILES:,} files of {SIZE // 1024} KiB, from a folder into an empty folder; medians of {setting.rounds}.",
    )
    return Section("doors", "Publishing with open doors", rows, (verdict,), notes, setting.rounds, list(_raw(costs)))


def _raw(costs: Mapping[str, list[Cost]]) -> Iterator[dict[str, Any]]:
    for name, found in costs.items():
        for cost in found:
            yield {"what": name, "cpu_seconds": cost.cpu_seconds, "seconds": cost.seconds, "peak_rss": cost.peak_rss}


def _make(setting: Setting) -> None:
    folder = setting.fresh("upstream") / REPO
    for number in range(FILES):
        place = folder / f"folder-{number // 100:03}" / f"part-{number:05}.bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((b"%08d" % number) * (SIZE // 8))
    (folder / "README.md").write_text(CARD, encoding="utf-8")


def _published(setting: Setting, build: Build, name: str) -> Cost:
    work = setting.fresh("publication")
    target = {"url": (work / "mirror").as_uri()}
    path = jobs(work, setting.work / "upstream", [REPO], target, front=dict(FRONTS[name]))
    cost = measured(sync(build, path), work / "log")
    shutil.rmtree(work)
    return cost
