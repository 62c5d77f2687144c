"""``python -m tests.chaos.drill [--seed n]``: one site after the other is killed, and comes back.

Hub -> main (a bucket of radosgw) -> far (a replica, in a directory) -> edge (a mirror of far's front, profile edge),
and by bundles, without a network, -> island. A reader looks at each site all the time, at what is stored and through
its front: a wrong byte, a mix, or anything that is named and not there is a fault. At the end main is lost, and far is
promoted. Prints a table, and ends by 1 at any fault; takes two or three minutes.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random, SystemRandom

from tests.chaos.actors import Ending, Run, start
from tests.chaos.game import say
from tests.chaos.sites import EDGE, FAR, ISLAND, MAIN, Sites, furnished
from tests.chaos.tally import LOST, MIXED, STUCK, WRONG, Meter
from tests.chaos.truth import Truth
from tests.chaos.upstream import MIB, Upstream
from tests.parts import absent
from tests.servers.bucket import S3Server
from tests.servers.radosgw import Gateway, radosgw
from tests.standin import Hub

LOOKS = 4
"""Snapshots that the reader of each site that lives checks while another one is dead."""
_PATIENCE = 120.0
"""Seconds that a command, or a wait, may take on a busy machine."""
_LONGEST = 480.0
"""Seconds after which the drill ends itself, whatever it waits for."""


class DrillFault(Exception):
    """A command, or a wait, ended otherwise than it must."""


@dataclass(frozen=True)
class Row:
    """A line of the table: `looks` by site, and how many of these found nobody who answers; `back`: seconds."""

    killed: str
    looks: dict[str, tuple[int, int]]
    back: float
    then: str


class Drill:
    """The story. `server` is what is killed under main; None where main is a directory, which is pulled then."""

    def __init__(self, sites: Sites, hub: Hub, meter: Meter, upstream: Upstream, server: Gateway | None) -> None:
        self.sites, self.hub, self.meter, self.upstream, self.server = sites, hub, meter, upstream, server
        self.rows: list[Row] = []
        self._bundles = 0

    def play(self) -> None:
        """All of it. DrillFault where it cannot go on."""
        self.begin()
        self.kill_hub()
        self.kill_main()
        self.kill_far()
        self.kill_import()
        self.kill_upstream_of_edge()
        self.promote()

    # what is done at the sites

    def run(self, name: str, *words: str, code: int = 0) -> str:
        """A command at a site, to its end; what it said. DrillFault for another exit code."""
        return self.end(self.start(name, *words), code)

    def start(self, name: str, *words: str) -> Run:
        """A command at a site, that goes on."""
        machine = self.sites[name].machine
        return start(machine, self.sites.scene, words, Ending(None, _PATIENCE))

    def end(self, run: Run, *codes: int) -> str:
        """Wait for a command. DrillFault for another exit code."""
        try:
            code = run.running.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            run.running.kill()
            code = run.running.wait()
        said = run.out.read_text(encoding="utf-8") + run.out.with_suffix(".err").read_text(encoding="utf-8")
        if code not in codes:
            raise DrillFault(f"{run.machine.name}: mirror-sync {' '.join(run.words)} ended with {code}:\n{said}")
        return said

    def follow(self) -> None:
        """What is new upstream comes to main, and to far with the same run; and from there to the edge."""
        self.run(MAIN, "-q", "sync")
        self.run(MAIN, "-q", "verify", "--across")
        self.run(EDGE, "-q", "sync")

    def carry(self) -> Path:
        """A bundle of what main has and the island has not."""
        self._bundles += 1
        folder = self.sites.folder / f"disk-{self._bundles}"
        listed = self.sites.folder / f"inventory-{self._bundles}"
        listed.write_text(self.run(ISLAND, "-q", "inventory"), encoding="ascii")
        self.run(MAIN, "-q", "export", "--to", str(folder), "--inventory", str(listed), "--part-size", "8MiB")
        return folder

    def take_in(self, folder: Path) -> Run:
        """An import at the island that goes on."""
        return self.start(ISLAND, "-q", "import", str(folder), "--signers", str(self.sites.signers))

    def change(self, count: int = 3) -> None:
        """Something is new upstream, and something large among it."""
        for _ in range(count):
            self.upstream.change(terms=False)
        self.upstream.weights(self.sites.dice.choice(self.sites.truth.repos()))

    # what is waited for

    def until(self, what: str, there: Callable[[], bool], run: Run | None = None) -> None:
        """Wait. DrillFault where a run ends before, or it takes too long."""
        limit = time.monotonic() + _PATIENCE
        while not there():
            if run is not None and run.running.poll() is not None:
                raise DrillFault(f"{' '.join(run.words)} ended before {what}:\n{self.end(run, run.running.wait())}")
            if time.monotonic() > limit:
                raise DrillFault(f"after {_PATIENCE:g} s not yet: {what}")
            time.sleep(0.01)

    def look(self, *dead: str) -> None:
        """Let readers of all sites that live look some times more."""
        before = {site.name: site.looks for site in self.sites}
        alive = [site for site in self.sites if site.name not in dead]
        self.until("readers have looked", lambda: all(site.looks - before[site.name] >= LOOKS for site in alive))

    @contextmanager
    def scene(self, killed: str, then: str, *dead: str) -> Iterator[Callable[[], None]]:
        """One kill, until all is whole again. Call what it gives when what was killed is back.

        `dead`: sites of which readers may get no answer meanwhile; of all others one always comes.
        """
        self.sites.scene += 1
        say(f"{self.sites.scene}. {killed}")
        before = {site.name: (site.looks, site.reader.unanswered) for site in self.sites}
        began: list[float] = []
        yield lambda: began.append(time.monotonic())
        took = time.monotonic() - (began or [time.monotonic()])[0]
        looks = {
            site.name: (site.looks - before[site.name][0], site.reader.unanswered - before[site.name][1])
            for site in self.sites
        }
        for name, (_, unanswered) in looks.items():
            if unanswered and name not in dead:
                self.sites.tell(name, STUCK, f"{unanswered} looks were not answered while something else was dead")
        self.rows.append(Row(killed, looks, took, then))

    def check(self, *names: str) -> None:
        """These sites have what upstream has, every byte of it."""
        for name in names:
            site = self.sites[name]
            site.check_current(self.sites.truth)
            # a front remembers names for a second
            self.until(f"the front of {name} shows what is new", partial(site.shows, self.sites.truth))

    # the scenes

    def begin(self) -> None:
        """All sites are filled."""
        say("0. all sites are filled")
        self.follow()
        self.end(self.take_in(self.carry()), 0)
        self.check(MAIN, FAR, ISLAND, EDGE)

    def kill_hub(self) -> None:
        """In the midst of a sync."""
        with self.scene("the hub, during a sync", "the next sync brought the rest") as back:
            self.change()
            self.meter.watch(2 * MIB)
            run = self.start(MAIN, "-q", "sync")
            self.until("files are on their way", self.meter.reached.is_set, run)
            self.hub.__exit__(None, None, None)
            self.look()
            self.hub.__enter__()
            back()
            self.end(run, 0, 1)
            self.follow()
            self.check(MAIN, FAR, EDGE)

    def kill_main(self) -> None:
        """Its server, in the midst of a sync."""
        with self.scene("main's server, during a sync", "the next sync brought the rest", MAIN) as back:
            self.change()
            self.meter.watch(2 * MIB)
            run = self.start(MAIN, "-q", "sync")
            self.until("files are on their way", self.meter.reached.is_set, run)
            self._main_goes()
            self.look(MAIN)
            self._main_comes()
            back()
            self.end(run, 0, 1)
            self.follow()
            self.check(MAIN, FAR, EDGE)

    def kill_far(self) -> None:
        """Its disk, in the midst of a copy: a sync of main is none the worse for it."""
        with self.scene("far's disk, during a copy", "main's sync went on; replicate brought the rest", FAR) as back:
            self.change()
            before = set(self.sites[FAR].shelf.keys("blobs/"))
            run = self.start(MAIN, "-q", "sync")
            far = self.sites[FAR].shelf
            self.until("blobs are on their way to far", lambda: set(far.keys("blobs/")) != before, run)
            self._pull(FAR)
            self.look(FAR)
            self.end(run, 0)  # whatever a replica does, it costs main nothing
            self.run(MAIN, "-q", "replicate", code=1)
            self._plug(FAR)
            back()
            self.run(MAIN, "-q", "replicate")
            self.follow()
            self.check(MAIN, FAR, EDGE)

    def kill_import(self) -> None:
        """By SIGKILL, in the midst of it."""
        with self.scene("an import at the island, by SIGKILL", "the same import went on") as back:
            folder, island = self.carry(), self.sites[ISLAND].shelf
            before = set(island.keys("blobs/"))
            run = self.take_in(folder)
            self.until("blobs are on their way", lambda: set(island.keys("blobs/")) != before, run)
            run.running.kill()
            back()
            self.end(run, -signal.SIGKILL)
            self.look()
            self.end(self.take_in(folder), 0)
            self.check(ISLAND)

    def kill_upstream_of_edge(self) -> None:
        """The front of far, in the midst of a sync of the edge; readers of far's front get no answer."""
        with self.scene("far's front, during a sync of the edge", "the next sync brought the rest", FAR) as back:
            self.change()
            self.run(MAIN, "-q", "sync")
            edge = self.sites[EDGE].shelf
            before = set(edge.keys("blobs/"))
            run = self.start(EDGE, "-q", "sync")
            self.until("blobs are on their way", lambda: set(edge.keys("blobs/")) != before, run)
            self.sites[FAR].front.kill()
            self.look(FAR)
            self.sites[FAR].front.start()
            back()
            self.end(run, 0, 1)
            self.run(EDGE, "-q", "sync")
            self.check(MAIN, FAR, EDGE)

    def promote(self) -> None:
        """Main is lost for good: far takes its place, and readers of it see what is new."""
        with self.scene("main, for good", "far was promoted; it and the edge went on", MAIN) as back:
            self._main_goes()
            self.change()
            self.look(MAIN)
            self.run(MAIN, "-q", "target", "promote", FAR, code=2)
            self.run(MAIN, "-q", "target", "promote", FAR, "--without-old")
            back()
            self.run(MAIN, "-q", "sync")
            self.run(EDGE, "-q", "sync")
            self.look(MAIN)
            self.check(FAR, EDGE)
            self._main_comes()
            self.run(MAIN, "-q", "replicate")
            self.look()
            self.check(MAIN)

    def _main_goes(self) -> None:
        if self.server is None:
            self._pull(MAIN)
        else:
            self.server.server.kill()

    def _main_comes(self) -> None:
        if self.server is None:
            self._plug(MAIN)
        else:
            self.server.server.start()

    def _pull(self, name: str) -> None:
        """A file stands in the place of its folder, so that nobody makes a new one."""
        root = self.sites.root(name)
        root.rename(root.with_name("pulled"))
        root.touch()

    def _plug(self, name: str) -> None:
        root = self.sites.root(name)
        with self.sites[name].reader.rest:
            root.unlink()
            root.with_name("pulled").rename(root)


@contextmanager
def drill(folder: Path, seed: int, server: S3Server | None) -> Iterator[Drill]:
    """The sites, with nothing in them yet."""
    dice, hub, meter = Random(seed), Hub(), Meter()
    hub.log = meter
    upstream = Upstream(hub, Random(dice.random()), Truth(), large=(17 * MIB, 20 * MIB))
    with hub:
        upstream.populate()
        gateway = server if isinstance(server, Gateway) else None
        with furnished(Sites(folder, upstream.truth, dice), hub.url, server) as sites:
            yield Drill(sites, hub, meter, upstream, gateway)


def table(rows: Sequence[Row]) -> list[str]:
    """What was killed; how many snapshots the reader of each site found whole and right meanwhile; what came then."""
    names = [*rows[0].looks] if rows else []
    head = ["killed", *names, "whole again after", "then"]
    lines = [head]
    for row in rows:
        seen = [f"{looks}" + (f" ({lost} unanswered)" if lost else "") for looks, lost in row.looks.values()]
        lines.append([row.killed, *seen, f"{row.back:.0f} s", row.then])
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def main(argv: Sequence[str] | None = None) -> int:
    """Play, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.drill", description="Sites are killed, and come back.")
    parser.add_argument("--seed", type=int, default=None, help="default: any; it is printed")
    options = parser.parse_args(argv)
    seed = SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    missing = absent(["radosgw"])
    if missing:
        say(f"radosgw is not installed ({', '.join(missing[0].packages)}): main would be no bucket; make system")
        return 1
    say(f"seed {seed}")
    # As Ctrl-C does: every server and every run is ended before this one; a wait that has no end is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"it did not end in {_LONGEST:g} s"))
    signal.setitimer(signal.ITIMER_REAL, _LONGEST)
    folder, began = Path(tempfile.mkdtemp(prefix="drill-")), time.monotonic()
    fault = ""
    with radosgw() as server, drill(folder, seed, server) as one:
        try:
            one.play()
        except DrillFault as error:
            fault = str(error)
    say("", *table(one.rows), "")
    for site, found in one.sites.findings:
        say(f"{site}, {found.round}: {found.kind}: {found.seen}")
    if fault:
        say(fault)
    looks = sum(site.looks for site in one.sites)
    counts = {kind: sum(found.kind == kind for _, found in one.sites.findings) for kind in (WRONG, MIXED, LOST, STUCK)}
    if fault or one.sites.findings:
        say(f"seed {seed}: everything is in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    told = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    say(f"{looks} snapshots read at 4 sites in {time.monotonic() - began:.0f} s: {told}")
    return 1 if fault or one.sites.findings else 0


if __name__ == "__main__":
    sys.exit(main())
