"""What a run costs that has nothing to do: the CPU of a start, and of finding out that nothing has changed.

Builds take turns, in an order that changes from round to round; each runs every command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from bench import competitors
from bench.builds import OURS, Build
from bench.content import CARD, Batch, make_repo
from bench.figures import MIB, Measurement, Target, Verdict, middle
from bench.measure import Command, measured
from bench.setting import Setting, say
from bench.table import Row, Section
from bench.turns import WrongResult
from bench.upstream import upstream

NAME = "still"
BATCH = Batch(1, 2, "config-{:05}.json")
WANTED = {"--version": 0.08, "plan, a folder": 0.20, "plan, a Hub": 0.20, "sync, a Hub": 0.35}
"""CPU seconds."""
LEAST_ROUNDS = 9  # a start differs by a tenth from one to the next


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
    folder, repo = setting.fresh("starts"), make_repo(NAME, (BATCH,), setting.fresh("content"))
    kept = folder / "kept"
    with upstream(repo, setting.fresh("upstream")) as offered:
        (kept / offered.repo_id).mkdir(parents=True)
        for path, body in {"README.md": CARD, "config.json": b"{}"}.items():
            (kept / offered.repo_id / path).write_bytes(body)
        where: Mapping[str, str | Path] = {"a folder": kept, "a Hub": offered.hub}
        yield {build: _of(build, folder, offered.repo_id, where) for build in setting.builds}


def _of(build: Build, folder: Path, repo: str, upstreams: Mapping[str, str | Path]) -> Mapping[str, Command]:
    found = {"--version": Command([build.program, "--version"])}
    for name, where in upstreams.items():
        place = folder / build.name.replace(" ", "-") / name.replace(" ", "-")
        place.mkdir(parents=True)
        jobs = competitors.jobs(place, where, [repo], {"url": (place / "mirror").as_uri()})
        sync = competitors.sync(build, jobs)
        measured(sync, place / "first.log")
        if not any((place / "mirror").rglob("refs.json")):
            raise WrongResult(f"{build.name}: nothing was mirrored of {name}")
        words = ("plan", "sync") if name == "a Hub" else ("check", "plan", "sync")  # `check` asks no upstream
        found |= {f"{word}, {name}": replace(sync, words=[*sync.words[:-1], word]) for word in words}
    return found
