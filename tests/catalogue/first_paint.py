"""`python -m tests.catalogue.first_paint [REPOS]`: how soon Chromium paints each kind of page, over a loopback server.

Chromium's own figure (`performance.getEntriesByType("paint")`), with nothing in its cache; the server packs nothing.
Rounds go over all pages in turn. `slow` is by how much Chromium holds its own processor back.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from tests.catalogue import examples
from tests.catalogue.browser import chromium
from tests.catalogue.reader import Reader
from tests.catalogue.server import served

_ROUNDS = 7
_PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


def main(repos: int) -> None:
    made = examples.site(repos)
    first = {kind: min(key for key in made if key.startswith(f"site/{kind}/")) for kind in ("list", "datasets")}
    pages = {"home": "site/index.html", "list": first["list"], "repo": first["datasets"], "status": "site/mirror.html"}
    with served(made) as site, tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as browser:
        reader = Reader(browser)
        for slow in (1, 4):
            reader.command("Emulation.setCPUThrottlingRate", rate=slow)
            took: defaultdict[str, list[float]] = defaultdict(list)
            for _ in range(_ROUNDS):
                for name, key in pages.items():
                    reader.command("Network.clearBrowserCache")
                    reader.open(site.url + key.removeprefix("site/"))
                    reader.wait(lambda: reader.run(_PAINTED))
                    took[name].append(reader.run(_PAINTED))
            for name, times in took.items():
                least, middle, most = min(times), median(times), max(times)
                said = f"least {least:.0f} ms, median {middle:.0f} ms, most {most:.0f} ms"
                print(f"{repos:,} repos, slow {slow}, {name} ({len(made[pages[name]]):,} bytes): {said}")  # noqa: T201
            print(f"load {os.getloadavg()[0]:.0f}")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
