"""``verify`` beside those who hash the same bytes: reading back all that is published, and telling its SHA-256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bench import competitors
from bench.content import Batch, make_repo
from bench.figures import GIB, MIB, Measurement, Target, Verdict, cpu_ratio, middle, per_gib, ratio
from bench.measure import Command, measured
from bench.setting import Setting, say, settle
from bench.table import Row, Section
from bench.turns import To
from bench.upstream import upstream
from tests.servers.bucket import S3Server

HASHSUM = "rclone hashsum sha256"
TIMES: Mapping[To, float] = {"directory": 1.0, "S3": 1.5}
"""How many times our seconds rclone is to take."""
BATCHES = (Batch(1, GIB, "model-{:05}.safetensors"), Batch(100, 10 * MIB, "parts/{:05}.safetensors"))
NOTE = (
    "The same mirror, from the page cache, is read by all. rclone tells digests and compares none; ours walks from "
    "refs.json and compares each."
)


def run(setting: Setting, batches: tuple[Batch, ...] = BATCHES, memory: float = 300) -> Section:
    """Mirror once to both targets; then everybody reads each in all rounds. Memory is in MiB."""
    repo = make_repo("verify", batches, setting.fresh("content"))
    found: dict[To, list[Measurement]] = {}
    with upstream(repo, setting.fresh("upstream")) as offered:
        for to, contestants in _contestants(setting, offered.hub, offered.repo_id).items():
            found[to] = _rounds(setting, to, contestants)
    setting.clear()
    return section(setting, found, repo.size, memory)


def section(setting: Setting, found: Mapping[To, list[Measurement]], size: int, memory: float) -> Section:
    """Say what was measured, and judge it."""
    rows, verdicts = list[Row](), list[Verdict]()
    for to, measurements in found.items():
        ours = middle(setting.ours.name, measurements)
        for name in dict.fromkeys(one.contestant for one in measurements):
            one = middle(name, measurements)
            rows.append(
                {
                    "": name,
                    "of": to,
                    "s": f"{one.seconds:.2f}",
                    "CPU s/GiB": f"{per_gib(one.cpu_seconds, size):.2f}",
                    "peak MiB": f"{one.peak_rss / MIB:.0f}",
                    "theirs/ours": f"{ratio(one, ours):.2f}",
                    "their CPU/ours": f"{cpu_ratio(one, ours):.2f}",
                }
            )
        target = Target(f"{to}: {HASHSUM} / ours", "at least", TIMES[to], "x")
        verdicts.append(target.judge(ratio(middle(HASHSUM, measurements), ours)))
        verdicts.append(Target(f"{to}: our peak memory", "at most", memory, " MiB").judge(ours.peak_rss / MIB))
    raw = [asdict(one) for measurements in found.values() for one in measurements]
    return Section("verify", "Reading back", rows, verdicts, [NOTE], rounds=setting.rounds, raw=raw)


def _contestants(setting: Setting, hub: str, repo: str) -> Mapping[To, Mapping[str, Command]]:
    """By target and name. All targets are filled here: each build has its own, since older ones do not read ours."""
    found: dict[To, Mapping[str, Command]] = {}
    for to in TIMES:
        commands, sums = dict[str, Command](), dict[str, Command]()
        for number, build in enumerate(setting.builds):
            folder = setting.fresh(f"verify-{to}-{number}")
            said, where = _target(setting, to, folder / "mirror")
            configuration = competitors.jobs(folder, hub, [repo], said, catalogue=False)
            measured(competitors.sync(build, configuration), folder / "sync.log")
            commands[build.name] = competitors.verify(build, configuration)
            sums = sums or {HASHSUM: competitors.hashsum(where, folder / "sums")}
        found[to] = {**commands, **sums}
    return found


def _target(setting: Setting, to: To, mirror: Path) -> tuple[dict[str, str], Path | tuple[S3Server, str]]:
    """An empty one, as jobs.yaml names it and as rclone does."""
    if to == "directory":
        return {"url": mirror.as_uri()}, mirror
    gateway = setting.gateway()
    bucket = gateway.make_bucket()
    return gateway.place(bucket=bucket), (gateway, bucket)


def _rounds(setting: Setting, to: To, contestants: Mapping[str, Command]) -> list[Measurement]:
    names = list(contestants)
    found = []
    for number in range(setting.rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            settle()
            cost = measured(contestants[name], setting.fresh("turn") / "log")
            say(f"  round {number + 1}: {to}: {name}: {cost.seconds:.2f} s")
            found.append(Measurement(name, number, cost.seconds, cost.cpu_seconds, cost.peak_rss))
    return found
