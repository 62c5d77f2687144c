"""What many clients ask about a repo of 100,000 files at once: of the nginx front, and of plain nginx, which has the
same answers as files.

Everybody asks for the same info and the same page of a listing, as a fleet does that starts; `paths-info` asks for
other paths each time.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench.figures import Target, Verdict
from bench.readers_client import Ask, Outcome, run_load
from bench.readers_servers import MANY, Running, front, path_of, plain_files, publish_many
from bench.setting import Setting, say
from bench.table import Row, Section
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.stores.directory.directory_store import DirectoryStore

CLIENTS, SECONDS = 100, 1.5
LATEST_MS, RATIO = 25.0, 0.5
ONCE = 100  # paths of one paths-info
_QUESTIONS = 50  # different ones


@dataclass(frozen=True)
class Question:
    """Some requests of one kind; plain nginx has their answers as files."""

    name: str
    asks: Sequence[Ask]


def run(setting: Setting, files: int = MANY) -> Section:
    """All questions in all rounds, to each build's front and to plain nginx in turn."""
    folder = setting.fresh("asking")
    target = DirectoryTarget(folder / "mirror")
    repo = publish_many(DirectoryStore(target.root), files)
    questions = _questions(repo.api, files)
    found: dict[tuple[str, str], list[Outcome]] = {}
    with ExitStack() as running:
        servers = {
            build.name: running.enter_context(front(build, target, folder / f"front-{number}", 0))
            for number, build in enumerate(setting.builds)
        }
        plain = _as_files(questions, servers[setting.ours.name], folder / "answers")
        servers["plain nginx"] = running.enter_context(plain_files(folder / "answers", folder / "plain"))
        for number in range(setting.rounds):
            say(f"  round {number + 1} of {setting.rounds}")
            for name in list(servers)[:: -1 if number % 2 else 1]:
                for question in plain if name == "plain nginx" else questions:
                    found.setdefault((question.name, name), []).append(_asked(servers[name], question))
    shutil.rmtree(folder)
    return section(setting, found, [question.name for question in questions])


def section(setting: Setting, found: dict[tuple[str, str], list[Outcome]], questions: Sequence[str]) -> Section:
    """Say what was measured, and judge it."""
    rows, verdicts = list[Row](), list[Verdict]()
    for question in questions:
        plain = _rate(found[question, "plain nginx"])
        for (asked, name), outcomes in found.items():
            if asked == question:
                rows.append(
                    {
                        "": question,
                        "of": name,
                        "1/s": f"{_rate(outcomes):,.0f}",
                        "p99 ms": f"{_latest(outcomes):.1f}",
                        "plain nginx": f"{_rate(outcomes) / plain:.2f}",
                    }
                )
        ours = found[question, setting.ours.name]
        verdicts.append(Target(f"{question}: p99", "at most", LATEST_MS, " ms").judge(_latest(ours)))
        verdicts.append(Target(f"{question}: of plain nginx", "at least", RATIO, "x").judge(_rate(ours) / plain))
    notes = [(__doc__ or "").replace("\n", " ").strip(), f"{CLIENTS} clients."]
    return Section("asking", "What many ask", rows, verdicts, notes, rounds=setting.rounds)


def _questions(api: str, files: int) -> list[Question]:
    json_body, at = ("Content-Type: application/json",), f"{api}/paths-info/main"
    near, far = (
        [[number * step % files + one * gap for one in range(ONCE)] for number in range(_QUESTIONS)]
        for step, gap in ((997, 1), (31, files // ONCE - 1))
    )
    return [
        Question("model info", [Ask(api)]),
        Question("a page of 1,000", [Ask(f"{api}/tree/{'2' * 40}?recursive=true")]),
        *(
            Question(name, [Ask(at, "POST", json_body, body=_paths(each, files)) for each in numbers])
            for name, numbers in (("100 paths of a folder", near), ("100 paths anywhere", far))
        ),
    ]


def _paths(numbers: Sequence[int], files: int) -> bytes:
    return json.dumps({"paths": [path_of(number % files) for number in numbers]}).encode()


def _as_files(questions: Sequence[Question], server: Running, folder: Path) -> list[Question]:
    """The answers, each in a file of its own, and how plain nginx is asked for them."""
    folder.mkdir()
    found = []
    for at, question in enumerate(questions):
        asks = []
        for number, ask in enumerate(question.asks):
            headers = dict(line.split(": ", 1) for line in ask.headers)
            wanted = urllib.request.Request(server.url + ask.target, ask.body or None, headers, method=ask.method)
            with urllib.request.urlopen(wanted, timeout=60) as answer:
                (folder / f"{at}-{number}").write_bytes(answer.read())
            asks.append(Ask(f"/{at}-{number}"))
        found.append(replace(question, asks=asks))
    return found


def _asked(server: Running, question: Question) -> Outcome:
    run_load(server.url, question.asks, 10, SECONDS / 5)
    outcome = run_load(server.url, question.asks, CLIENTS, SECONDS)
    if outcome.errors:
        raise RuntimeError(f"{question.name}: {outcome.errors[:3]}")
    return outcome


def _rate(outcomes: Sequence[Outcome]) -> float:
    return median(one.requests_per_second for one in outcomes)


def _latest(outcomes: Sequence[Outcome]) -> float:
    return median(one.p99_ms or float("inf") for one in outcomes)
