"""Memory alone: a file of 2 GiB and one of 20 GiB, both of zeros, which cost the source no disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict

from bench.content import Batch, make_repo
from bench.figures import GIB, MIB, Measurement, Target
from bench.setting import Setting
from bench.table import Section
from bench.turns import Ours, Place
from bench.upstream import upstream

SPARE = 2
"""The disk must have room for so many times the bigger file."""
NOTE = (
    "Into a directory, and verified afterwards. The source is a sparse file. Where the disk has no room for twice "
    "20 GiB, 8 GiB are mirrored."
)
SAME = 1.1
"""Two peaks that differ by less are the same."""


def run(setting: Setting, small: int = 2 * GIB, huge: int = 20 * GIB, memory: float = 300) -> Section:
    """Mirror both into a directory, once. Sizes in bytes, memory in MiB."""
    has_room = shutil.disk_usage(setting.work).free > SPARE * huge
    sizes = (small, huge if has_room else huge * 2 // 5)
    found = {size: _mirror(setting, size) for size in sizes}
    setting.clear()
    return section(found, memory)


def section(found: Mapping[int, Measurement], memory: float) -> Section:
    """Say what was measured of each size, and judge it."""
    rows = [
        {
            "file": one.contestant,
            "s": f"{one.seconds:.1f}",
            "MiB/s": f"{size / MIB / one.seconds:.0f}",
            "CPU s/GiB": f"{one.cpu_seconds / (size / GIB):.2f}",
            "peak MiB": f"{one.peak_rss / MIB:.0f}",
        }
        for size, one in found.items()
    ]
    peaks = [found[size].peak_rss for size in sorted(found)]
    verdicts = [
        Target("peak memory", "at most", memory, " MiB").judge(max(peaks) / MIB),
        Target("peak of the biggest / of the smallest", "at most", SAME, "x").judge(peaks[-1] / peaks[0]),
    ]
    return Section("huge", "Memory of huge files", rows, verdicts, [NOTE], raw=[asdict(one) for one in found.values()])


def _mirror(setting: Setting, size: int) -> Measurement:
    batch = Batch(1, size, "model-{:05}.safetensors", sparse=True)
    repo = make_repo("huge", (batch,), setting.fresh("content"))
    with upstream(repo, setting.fresh("upstream")) as offered:
        place = Place(setting, offered, setting.fresh("turn"), check=True)
        (cost,) = Ours("directory", build=setting.ours)(place).values()
    return Measurement(f"{size / GIB:g} GiB", 0, cost.seconds, cost.cpu_seconds, cost.peak_rss)
