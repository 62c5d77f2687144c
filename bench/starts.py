"""What a run costs that has nothing to do: the CPU of a start, and of finding out that nothing has changed.

Commands take turns, and each build its turn at each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from bench import competitors
from bench.builds import OURS, Build
from bench.content import CARD
from bench.figures import MIB, Measurement, Target, Verdict, middle
from bench.measure import Command, measured
from bench.setting import Setting, say
from bench.table import Row, Section
from bench.turns import WrongResult
from bench.upstream import stand_in

REPO = "bench/still"
FILES = {"README.md": CARD.decode(), "config.json": "{}\n"}
WANTED = {"--version": 0.08, "plan, a folder": 0.20, "plan, a Hub": 0.20, "sync, a Hub": 0.35}
"""CPU seconds."""
LEAST_ROUNDS = 9  # each is a second, and a start differs by a tenth from one to the next


def run(setting: Setting) -> Section:
    """Every command of every build, in turn, in all rounds."""
    rounds = max(setting.rounds, LEAST_ROUNDS)
    found: list[Measurement] = []
    with _commands(setting) as commands:
        for number in range(rounds):
            for build in setting.builds[:: -1 if number % 2 else 1]:
                for name, command in commands[build].items():
                    cost = measured(command, setting.work / "log")
                    found.append(
                        Measurement(f"{build.name} > {name}", number, cost.seconds, cost.cpu_seconds, cost.peak_rss)
                    )
        say(f"  {rounds} rounds of {', '.join(WANTED)} and others")
    setting.clear()
    return section(setting.builds, found)


def section(builds: Sequence[Build], found: Sequence[Measurement]) -> Section:
    """Say what was measured, and judge it."""
    names = dict.fromkeys(one.contestant.partition(" > ")[2] for one in found)
    rows: list[Row] = []
    verdicts: list[Verdict] = []
    for name in names:
        middles = {build.name: middle(f"{build.name} > {name}", found) for build in builds}
        ours = middles[OURS]
        row = {"": name, "CPU s": f"{ours.cpu_seconds:.3f}", "s": f"{ours.seconds:.3f}"}
        row["peak MiB"] = f"{ours.peak_rss / MIB:.0f}"
        for build in builds[1:]:
            before = middles[build.name].cpu_seconds
            row |= {f"CPU s, {build.name}": f"{before:.3f}", f"ours / {build.name}": f"{ours.cpu_seconds / before:.2f}"}
        rows.append(row)
        if name in WANTED:
            verdicts.append(Target(f"{name}: CPU", "at most", WANTED[name], " s").judge(ours.cpu_seconds))
    notes = [
        (__doc__ or "").partition("\n\n")[0].strip(),
        "Medians, and the highest memory; one repo of two files that was mirrored before.",
    ]
    rounds = max(one.round for one in found) + 1
    raw = [asdict(one) for one in found]
    return Section("starts", "A start, and a run without work", rows, verdicts, notes, rounds, raw)


@contextmanager
def _commands(setting: Setting) -> Iterator[Mapping[Build, Mapping[str, Command]]]:
    folder = setting.fresh("starts")
    upstream = folder / "upstream"
    for path, text in FILES.items():
        (upstream / REPO / path).parent.mkdir(parents=True, exist_ok=True)
        (upstream / REPO / path).write_text(text, encoding="utf-8")
    with stand_in(folder / "standin.log") as hub:
        hub.do("commit", repo=REPO, files=FILES)
        yield {build: _of(build, folder, {"a folder": upstream, "a Hub": hub.url}) for build in setting.builds}


def _of(build: Build, folder: Path, upstreams: Mapping[str, str | Path]) -> Mapping[str, Command]:
    found = {"--version": Command([build.program, "--version"])}
    for name, upstream in upstreams.items():
        place = folder / build.name.replace(" ", "-") / name.replace(" ", "-")
        place.mkdir(parents=True)
        jobs = competitors.jobs(place, upstream, [REPO], {"url": (place / "mirror").as_uri()})
        sync = competitors.sync(build, jobs)
        measured(sync, place / "first.log")
        if not any((place / "mirror").rglob("refs.json")):
            raise WrongResult(f"{build.name}: nothing was mirrored of {name}")
        found |= {
            f"{word}, {name}": replace(sync, words=[*sync.words[:-1], word]) for word in ("check", "plan", "sync")
        }
    return {name: one for name, one in found.items() if name != "check, a Hub"}
