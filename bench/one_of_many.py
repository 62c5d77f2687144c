"""A new commit that changes one file of very many: what is written, and what it costs to find it."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bench import competitors
from bench.content import CARD
from bench.figures import MIB, Measurement, Target, middle
from bench.measure import measured
from bench.setting import Setting, say, settle
from bench.table import Section
from bench.upstream import StandIn, stand_in
from tests.servers.bucket import S3Server

REPO = "bench/many"
DISTINCT = 16
"""Different contents among all files, so that the set-up is quick."""
CONTESTANT = "mirror-sync"
NOTE = (
    "Mirrored to S3 before; then each round a new commit changes one small file. Objects that are new or were "
    "overwritten are counted in the bucket itself."
)


@dataclass(frozen=True)
class Limits:
    """What one changed file may cost."""

    written: int = 12
    """Objects."""
    seconds: float = 10
    memory: float = 300
    """MiB."""


@dataclass(frozen=True)
class Renewed:
    """One run after a commit of one file."""

    cost: Measurement
    written: int


def run(setting: Setting, files: int = 100_000, limits: Limits | None = None) -> Section:
    """Mirror a repo of so many files once; then, each round, change one and mirror again."""
    folder = setting.fresh("many")
    gateway = setting.gateway()
    bucket = gateway.make_bucket()
    with stand_in(folder / "standin.log") as hub:
        _commit(
            hub, {"README.md": CARD.decode()} | {_path(number): f"{number % DISTINCT}\n" for number in range(files)}
        )
        target = gateway.place(bucket=bucket)
        sync = competitors.sync(setting.ours, competitors.jobs(folder, hub.url, [REPO], target))
        first = measured(sync, folder / "first.log", 1800)
        say(f"  {files:,} files: mirrored in {first.seconds:.0f} s")
        renewed = []
        for number in range(setting.rounds):
            _commit(hub, {_path(number * files // setting.rounds): f"changed in round {number}\n"})
            before = _objects(gateway, bucket)
            settle()
            cost = measured(sync, folder / "log")
            written = len(_objects(gateway, bucket).items() - before.items())
            say(f"  round {number + 1}: {cost.seconds:.2f} s, {written} objects written")
            measurement = Measurement(CONTESTANT, number, cost.seconds, cost.cpu_seconds, cost.peak_rss)
            renewed.append(Renewed(measurement, written))
    setting.clear()
    return section(renewed, files, limits or Limits())


def section(renewed: list[Renewed], files: int, limits: Limits) -> Section:
    """Say what was measured, and judge it."""
    one, written = middle(CONTESTANT, [each.cost for each in renewed]), max(each.written for each in renewed)
    row = {
        "": CONTESTANT,
        "s": f"{one.seconds:.2f}",
        "CPU s": f"{one.cpu_seconds:.2f}",
        "peak MiB": f"{one.peak_rss / MIB:.0f}",
        "objects written": str(written),
    }
    verdicts = [
        Target("objects written", "at most", limits.written).judge(written),
        Target("time", "at most", limits.seconds, " s").judge(one.seconds),
        Target("peak memory", "at most", limits.memory, " MiB").judge(one.peak_rss / MIB),
    ]
    return Section(
        "one-of-many",
        f"One changed file of {files:,}",
        [row],
        verdicts,
        [NOTE],
        rounds=one.rounds,
        raw=[asdict(each) for each in renewed],
    )


def _path(number: int) -> str:
    return f"data/{number // 1000:03}/{number % 1000:03}.txt"


def _commit(hub: StandIn, files: Mapping[str, str]) -> None:
    """Commits, and has the stand-in work out the listing: the Hub has it ready, too."""
    hub.do("commit", repo=REPO, files=files)
    with urllib.request.urlopen(f"{hub.url}/api/models/{REPO}/tree/main?recursive=true", timeout=120) as answer:
        answer.read()


def _objects(server: S3Server, bucket: str) -> dict[str, tuple[str, str]]:
    """What a bucket holds: an object that is overwritten gets a new time."""
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {
        one["Key"]: (one["ETag"], one["LastModified"].isoformat()) for page in pages for one in page.get("Contents", [])
    }
