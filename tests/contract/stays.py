"""Counts how often one task enters another file: `python -m tests.contract.stays [--list]`.

A repo of one small file goes from a directory upstream into a directory target by `sync_repo`, as the program wires it.
Every Python call of the package that is made meanwhile is noted, in each thread of its own.

A **stay** begins where a call goes from one file into another. What repeats at once, as a loop does, counts once; of
threads that do the same, one counts. A **climb** is a stay in a file that waits further up for this very call to end:
a callback. **Changes** are counted as stays are, and the returns too: each change of the file that makes the next call.

All that is counted thrice: in all files; without `domain` and `errors`, whose names a reader knows; and in `engine`
alone, where the story of a task is told: what lies behind a port is another story.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeVar

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.engine import run as run_of_jobs
from mirror_sync.engine.sync import repo_sync
from mirror_sync.wiring.program import Mirror

T = TypeVar("T")
PACKAGE = Path(run_of_jobs.__file__).parents[1]
SCOPES: dict[str, Callable[[str], bool]] = {
    "all files": lambda file: True,
    "without values": lambda file: not file.startswith(("domain/", "errors.py")),
    "engine": lambda file: file.startswith("engine/"),
}
_TASK: CodeType = repo_sync.sync_repo.__code__


class Call(NamedTuple):
    """A call of the function `name` in `file`; `waiting` are the files of those that wait for it, the nearest first."""

    file: str
    name: str
    waiting: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """What is counted of a task, in one scope."""

    stays: int
    climbs: int
    changes: int
    files: int
    names: int

    def __str__(self) -> str:
        counted = f"{self.stays} stays, {self.climbs} of them climbs, {self.changes} changes"
        return f"{counted}; {self.files} files, {self.names} names"


class Trace:
    """The calls of the package, in order, by thread, while a task goes on; of generated code none is known."""

    def __init__(self) -> None:
        self.flows: dict[int, list[Call]] = {}
        self._going_on = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if frame.f_code is _TASK and event in ("call", "return"):
            self._going_on = event == "call"
        if event == "call" and self._going_on and (file := _file_of(frame)):
            call = Call(file, frame.f_code.co_name, tuple(_waiting(frame)))
            self.flows.setdefault(threading.get_ident(), []).append(call)


def _waiting(frame: FrameType) -> Iterator[str]:
    above = frame.f_back
    while above is not None:
        if file := _file_of(above):
            yield file
        above = above.f_back


def _file_of(frame: FrameType) -> str:
    """The file of a frame in the package; empty elsewhere."""
    path = frame.f_code.co_filename
    return path.removeprefix(f"{PACKAGE}/") if path.startswith(f"{PACKAGE}/") else ""


def stays_of(flow: Iterable[Call], scope: Callable[[str], bool]) -> list[Call]:
    """The calls that go from one file of the scope into another; what repeats at once, however long, once."""
    stays: list[Call] = []
    for call in flow:
        waiting = tuple(filter(scope, call.waiting))
        if scope(call.file) and waiting[:1] != (call.file,):
            stays.append(Call(call.file, call.name, waiting))
            _drop_repeat(stays, lambda one: (one.file, one.name))
    return stays


def changes_of(flow: Iterable[Call], scope: Callable[[str], bool]) -> list[str]:
    """The files of the scope that make the calls: neighbours that are the same once, and repeats at once, once."""
    changes: list[str] = []
    for call in flow:
        made_in = call.waiting[0] if call.waiting else ""
        if made_in and scope(made_in) and changes[-1:] != [made_in]:
            changes.append(made_in)
            _drop_repeat(changes, lambda one: one)
    return changes


def _drop_repeat(found: list[T], key: Callable[[T], object]) -> None:
    for length in range(1, len(found) // 2 + 1):
        if [*map(key, found[-length:])] == [*map(key, found[-2 * length : -length])]:
            del found[-length:]
            return


def trace_one_task(folder: Path) -> list[list[Call]]:
    """The calls of one task, by thread."""
    repo = folder / "upstream/acme/one"
    repo.mkdir(parents=True)
    (repo / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    document = {
        "state_dir": str(folder / "state"),
        "upstreams": {"local": {"kind": "directory", "url": f"file://{folder}/upstream"}},
        "targets": {"disk": {"url": f"file://{folder}/mirror"}},
        "licenses": {"allow": ["mit"]},
        "site": {"enabled": False},
        "jobs": [{"name": "one", "repos": ["acme/one"], "workers": 1}],
    }
    (folder / "jobs.yaml").write_text(json.dumps(document), encoding="utf-8")
    mirror, trace = Mirror(load(folder / "jobs.yaml", {})), Trace()
    threading.setprofile(trace)
    try:
        report = mirror.sync(BY_DAEMON)
    finally:
        threading.setprofile(None)
        mirror.close()
    assert report.ok, report
    return list(trace.flows.values())


def figures(flows: Iterable[Sequence[Call]], scope: Callable[[str], bool]) -> tuple[Figures, list[list[Call]]]:
    """What is counted of the flows of a task, and the stays of each."""
    by_path = {tuple((one.file, one.name) for one in stays): stays for stays in (stays_of(one, scope) for one in flows)}
    kept = [stays for stays in by_path.values() if stays]
    changes = dict.fromkeys(tuple(changes_of(one, scope)) for one in flows)
    every = [one for stays in kept for one in stays]
    counted = Figures(
        len(every),
        sum(one.file in one.waiting for one in every),
        sum(map(len, changes)),
        len({one.file for one in every}),
        len({(one.file, one.name) for one in every}),
    )
    return counted, kept


def main(words: Sequence[str]) -> None:
    """Print the figures, and with --list the stays in the engine."""
    with TemporaryDirectory() as folder:
        flows = trace_one_task(Path(folder))
    for name, scope in SCOPES.items():
        sys.stdout.write(f"{name}: {figures(flows, scope)[0]}\n")
    if "--list" in words:
        for number, stays in enumerate(figures(flows, SCOPES["engine"])[1], 1):
            sys.stdout.write(f"thread {number}\n")
            for one in stays:
                sys.stdout.write(f"  {one.file}: {one.name}{' (climb)' * (one.file in one.waiting)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
