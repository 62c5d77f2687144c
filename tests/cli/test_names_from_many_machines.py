"""Several machines, real processes with a state folder each, move names of one repo in one target at one moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.engine.published import read_refs
from mirror_sync.engine.upkeep.move_names import history_of
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.cli.program import Program
from tests.front.bucket import Published, model
from tests.front.mirrors import s3_store
from tests.stores.places import target_of
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    pass

MACHINES = 3
CONFIG = """\
version: 1
state_dir: state
upstreams:
  hub: {kind: huggingface, endpoints: ["HUB"]}
targets:
  shared: TARGET
site: {enabled: false}
licenses: {allow: [mit]}
jobs:
  - {name: all, repos: [REPO]}
"""
CHANNELS = ("candidate", "stable", "deprecated")


@pytest.fixture(params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    (tmp_path / "mirror").mkdir()
    return target_of(request, tmp_path / "mirror", "some/prefix")


@contextmanager
def all_at_once() -> Iterator[str]:
    """A hub that says of no repo that it has names, to all machines at one moment: when the last of them has asked."""
    last = threading.Barrier(MACHINES)

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(threading.BrokenBarrierError):
                last.wait(PATIENCE)
            body = json.dumps({"branches": [], "tags": [], "converts": []}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def machines(folder: Path, place: Target, repo: Published, hub: str) -> Iterator[Program]:
    if isinstance(place, DirectoryTarget):
        target = f'{{url: "file://{place.root}", grace: 8s}}'
    else:
        keys = f"access_key: {place.access_key}, secret_key: {place.secret_key}"
        url = f"s3://{place.bucket}/{place.prefix}"
        target = f'{{url: "{url}", endpoint_url: "{place.endpoint_url}", {keys}, grace: 8s}}'
    for number in range(MACHINES):
        at = folder / f"machine-{number}"
        at.mkdir()
        program = Program(at)
        words = CONFIG.replace("HUB", hub).replace("TARGET", target).replace("REPO", repo.repo.id)
        program.write(words).chmod(0o600)
        yield program


def test_machines_that_promote_at_one_moment_lose_no_name_and_no_line_of_the_history(
    place: Target, tmp_path: Path
) -> None:
    store = DirectoryStore(place.root) if isinstance(place, DirectoryTarget) else s3_store(place)
    repo = model(store)
    commits = [repo.publish({"f": b"%d" % number}) for number in range(MACHINES)]
    with all_at_once() as hub, ThreadPoolExecutor(MACHINES) as crew:
        programs = list(machines(tmp_path, place, repo, hub))

        def run(number: int, *words: str) -> None:
            ended = programs[number](*words)
            assert ended.code == 0, ended.err + ended.out

        def promote(number: int) -> None:
            run(number, "promote", repo.repo.id, commits[number], CHANNELS[number], "--why", f"by {number}")

        def tag(number: int) -> None:
            run(number, "tag", repo.repo.id, f"v{number}", commits[number], "--why", f"by {number}")

        def same(number: int) -> None:
            run(number, "promote", repo.repo.id, commits[number], "candidate", "--why", f"same, by {number}")

        for deed in (promote, tag, same):
            list(crew.map(deed, range(MACHINES)))
    refs = read_refs(store, repo.repo)
    tags = {f"v{number}": commits[number] for number in range(MACHINES)}
    assert {name: refs.channels[name] for name in ("stable", "deprecated")} == dict(
        zip(("stable", "deprecated"), commits[1:], strict=True)
    )
    assert {name: to for name, to in refs.channels.items() if name not in CHANNELS} == tags
    told = history_of(store, refs)
    told_by = {(one.name, one.why) for one in told}
    assert told_by >= {(name, f"by {number}") for number, name in enumerate(CHANNELS)}
    assert told_by >= {(f"v{number}", f"by {number}") for number in range(MACHINES)}
    moved = [one for one in told if one.name == "candidate"]
    assert {one.why for one in moved} >= {f"same, by {number}" for number in (1, 2)}
    assert refs.channels["candidate"] == moved[-1].after
    assert all(before.after == after.before for before, after in pairwise(moved))
