"""Many repos of which none has changed: what it costs to find that out, in calls, seconds and memory."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench import competitors
from bench.content import CARD
from bench.figures import MIB, Measurement, Target, Verdict, middle
from bench.measure import measured
from bench.setting import Setting, say, settle
from bench.table import Section
from bench.turns import To
from bench.upstream import StandIn, stand_in


@dataclass(frozen=True)
class Fleet:
    """Repos, each named in jobs.yaml, spread evenly over some authors."""

    name: str
    repos: int
    authors: int
    calls: float
    """Calls upstream that one run may make."""
    to: To
    cpu: float | None = None
    """CPU seconds that one run may take."""

    @property
    def ids(self) -> list[str]:
        """The repos' ids."""
        return [f"author-{number % self.authors}/repo-{number:05}" for number in range(self.repos)]


# Mirroring so many for the first time is the longest part of a run: into a directory it takes a third of the time.
FLEETS = (
    Fleet("2 authors", 10_000, 2, calls=12, to="S3"),
    Fleet("10,000 authors", 10_000, 10_000, calls=10_000, to="directory", cpu=6),
)
NOTE = "Every repo is named in jobs.yaml and was mirrored before. `calls` counts every request to the Hub in one run."


@dataclass(frozen=True)
class Looked:
    """One run over a fleet in which nothing had changed."""

    fleet: Fleet
    cost: Measurement
    calls: int


def run(setting: Setting, fleets: tuple[Fleet, ...] = FLEETS, seconds: float = 60, memory: float = 200) -> Section:
    """Mirror every fleet once, then look again in all rounds. Memory is in MiB."""
    rounds = min(setting.rounds, 3)  # the set-up is most of it, and the count of calls has no noise
    looked = [one for fleet in fleets for one in _look(setting, fleet, rounds)]
    setting.clear()
    return section(looked, fleets, seconds, memory)


def section(looked: list[Looked], fleets: tuple[Fleet, ...], seconds: float, memory: float) -> Section:
    """Say what was measured, and judge it."""
    costs = [one.cost for one in looked]
    rows, verdicts = [], list[Verdict]()
    for fleet in fleets:
        one, calls = middle(fleet.name, costs), max(each.calls for each in looked if each.fleet == fleet)
        rows.append(
            {
                "": f"{fleet.repos:,} repos of {fleet.name}",
                "to": fleet.to,
                "s": f"{one.seconds:.2f}",
                "CPU s": f"{one.cpu_seconds:.2f}",
                "peak MiB": f"{one.peak_rss / MIB:.0f}",
                "calls": str(calls),
            }
        )
        verdicts += [
            Target(f"{fleet.name}: calls", "at most", fleet.calls).judge(calls),
            Target(f"{fleet.name}: time", "at most", seconds, " s").judge(one.seconds),
            Target(f"{fleet.name}: peak memory", "at most", memory, " MiB").judge(one.peak_rss / MIB),
        ]
        if fleet.cpu is not None:
            verdicts.append(Target(f"{fleet.name}: CPU", "at most", fleet.cpu, " s").judge(one.cpu_seconds))
    return Section(
        "unchanged",
        "Nothing has changed",
        rows,
        verdicts,
        [NOTE],
        rounds=max(middle(fleet.name, costs).rounds for fleet in fleets),
        raw=[asdict(one) for one in looked],
    )


def _look(setting: Setting, fleet: Fleet, rounds: int) -> list[Looked]:
    folder = setting.fresh("unchanged")
    with _offered(fleet, folder) as hub:
        jobs = competitors.jobs(folder, hub.url, fleet.ids, _target(setting, fleet, folder))
        sync = competitors.sync(setting.ours, jobs)
        first = measured(sync, folder / "first.log", 1800)
        say(f"  {fleet.name}: mirrored in {first.seconds:.0f} s")
        found = []
        for number in range(rounds):
            hub.forget()
            settle()
            cost = measured(sync, folder / "log")
            calls = len(hub.asked())
            say(f"  round {number + 1}: {fleet.name}: {cost.seconds:.2f} s, {calls} calls")
            measurement = Measurement(fleet.name, number, cost.seconds, cost.cpu_seconds, cost.peak_rss)
            found.append(Looked(fleet, measurement, calls))
        return found


def _target(setting: Setting, fleet: Fleet, folder: Path) -> dict[str, str]:
    if fleet.to == "directory":
        return {"url": (folder / "mirror").as_uri()}
    gateway = setting.gateway()
    return gateway.place()


@contextmanager
def _offered(fleet: Fleet, folder: Path) -> Iterator[StandIn]:
    """A stand-in with all the repos of a fleet, of the same two small files each."""
    with stand_in(folder / "standin.log") as hub:
        parts = urlsplit(hub.url)
        kept = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        for repo in fleet.ids:
            files = {"README.md": CARD.decode(), "config.json": "{}\n"}
            kept.request("POST", "/__control__", json.dumps({"do": "commit", "repo": repo, "files": files}))
            kept.getresponse().read()
        kept.close()
        yield hub
