"""Real processes of one machine: names of a repo are moved while a sync of it is in the midst of its transfer."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mirror_sync.domain.content.refs import PINNED
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs
from mirror_sync.engine.upkeep.move_names import history_of
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.cli.program import PATIENCE, Ended, Program
from tests.front.mirrors import s3_store
from tests.standin import Hub, Request
from tests.stores.places import target_of

X = Repo.parse("acme/x")
CONFIG = """\
version: 1
state_dir: state
upstreams:
  hub: {kind: huggingface, endpoints: ["HUB"]}
targets:
  shared: TARGET
defaults: {upstream: hub, target: shared}
licenses: {allow: [mit]}
site: {enabled: false}
jobs:
  - {name: all, repos: [acme/x], retention: {snapshots: 1, days: 0}}
"""


@pytest.fixture(params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    (tmp_path / "mirror").mkdir()
    return target_of(request, tmp_path / "mirror", "some/prefix")


def written(folder: Path, place: Target, hub: Hub) -> Program:
    """A machine of this folder."""
    if isinstance(place, DirectoryTarget):
        target = f'{{url: "file://{place.root}", grace: 8s}}'
    else:
        keys = f"access_key: {place.access_key}, secret_key: {place.secret_key}"
        address = f"s3://{place.bucket}/{place.prefix}"
        target = f'{{url: "{address}", endpoint_url: "{place.endpoint_url}", {keys}, grace: 8s}}'
    folder.mkdir()
    program = Program(folder)
    program.write(CONFIG.replace("HUB", hub.url).replace("TARGET", target)).chmod(0o600)
    return program


class HeldTransfer:
    """Files of the hub are given when they may be; until then `begun` says that somebody has asked for one."""

    def __init__(self, hub: Hub) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        hub.faults.before(self._wait, "/acme/x/resolve/*")

    def _wait(self, _request: Request) -> None:
        self.begun.set()
        assert self.may_go_on.wait(PATIENCE)


def test_names_move_at_once_beside_a_sync_that_is_in_the_midst_of_its_transfer_and_beside_a_prune(
    place: Target, tmp_path: Path, hub: Hub
) -> None:
    store = DirectoryStore(place.root) if isinstance(place, DirectoryTarget) else s3_store(place)
    program, other = (written(tmp_path / name, place, hub) for name in ("here", "there"))
    model = hub.model("acme/x", license="mit")

    def done(*words: str, of: Program = program) -> Ended:
        ended = of(*words)
        assert ended.code == 0, ended.err + ended.out
        return ended

    for number in range(2):
        model.commit({"weights": b"%d" % number})
        done("sync")
    first, second = (entry.after for entry in read_refs(store, X).log if entry.ref == "refs/heads/main")
    model.commit({"weights": b"third"})
    held = HeldTransfer(hub)
    with program.started("sync", "--json") as syncing, ThreadPoolExecutor(3) as crew:
        assert held.begun.wait(PATIENCE)
        moves = [
            crew.submit(done, "rollback", "acme/x", "--why", "it is bad"),
            crew.submit(done, "promote", "acme/x", str(first), "stable", "--why", "proved"),
            crew.submit(done, "tag", "acme/x", "v1", str(second)),
        ]
        for move in moves:
            move.result(PATIENCE)
        assert syncing.poll() is None, "the sync waits still"
        refs = read_refs(store, X)
        assert (refs.commit_of("main"), refs.channels) == (first, {"stable": first, "v1": second})
        done("prune", of=other)
        held.may_go_on.set()
        out, err = syncing.communicate(timeout=PATIENCE)
        assert syncing.returncode == 0, err
    (row,) = json.loads(out)["repos"]
    assert (row["outcome"], row["code"]) == ("published", "pinned")
    refs = read_refs(store, X)
    assert (refs.commit_of("main"), PINNED in refs.attachments, row["commit"] in refs.snapshots) == (first, True, True)
    assert refs.channels == {"stable": first, "v1": second}
    assert sorted(one.verb for one in history_of(store, refs)) == ["promote", "rollback", "tag"]
    done("verify")
    assert not [one.key for one in store.list("prunes/") if one.key.endswith(".moving")]
