"""A short chaos with fixed seeds, and the proof that its reader would have seen what must not be."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.actors import Outcome
from tests.chaos.game import Game
from tests.chaos.inspector import judge, key_of
from tests.chaos.tally import LOST, MIXED, WRONG, Tally, Traffic
from tests.chaos.truth import Truth
from tests.chaos.unsound import SYNC
from tests.chaos.upstream import WEIGHTS
from tests.chaos.verdicts import check_outcome
from tests.chaos.world import World
from tests.servers.bucket import S3Server

ROUNDS = 8
NAMES = ("half", "once", "twice", "lied")


def play(folder: Path, number: int, seed: int, server: S3Server | None) -> None:
    game = Game(seed, folder, Tally(), verbose=True, outage=2.0)
    game.play(number, ROUNDS, server)
    assert game.tally.findings == []
    assert game.tally.kills
    assert game.tally.converged
    assert game.tally.checks


def test_a_directory_target_keeps_the_promises_whatever_breaks(tmp_path: Path) -> None:
    play(tmp_path, 0, 2, None)


def test_a_bucket_keeps_the_promises_whatever_breaks(tmp_path: Path, radosgw: S3Server) -> None:
    play(tmp_path, 1, 3, radosgw)


def _flip_a_byte(one: World, blob: Path) -> None:
    body = bytearray(blob.read_bytes())
    body[len(body) // 2] ^= 1
    blob.write_bytes(body)


def _remove(one: World, blob: Path) -> None:
    blob.unlink()


def _forget_the_commit(one: World, blob: Path) -> None:
    _rewrite(one, lambda document: document["snapshots"].clear())


def _name_another_tree(one: World, blob: Path) -> None:
    other = json.loads((_mirror(one) / "hub/models/chaos--many/refs.json").read_text())["snapshots"]
    (root,) = other.values()
    _rewrite(one, lambda document: document["snapshots"].update(dict.fromkeys(document["snapshots"], root)))


def _swap_git_ids(one: World, blob: Path) -> None:
    """In the tree alone, where they are the ETags of small files."""

    def swapped(shard: Any) -> None:
        small, other = [entry for entry in shard if entry["type"] == "file" and "lfs" not in entry][:2]
        small["oid"], other["oid"] = other["oid"], small["oid"]

    _republish(one, lambda top: top["shards"][0].__setitem__(1, _again(one, top["shards"][0][1], swapped)))


def _resize_a_pointer(one: World, blob: Path) -> None:
    def resized(shard: Any) -> None:
        next(entry for entry in shard if "lfs" in entry)["lfs"]["pointerSize"] += 1

    _republish(one, lambda top: top["shards"][0].__setitem__(1, _again(one, top["shards"][0][1], resized)))


def _change_the_info(one: World, blob: Path) -> None:
    def changed(info: Any) -> None:
        info["siblings"][0]["blobId"] = "0" * 40

    _republish(one, lambda top: top.update(info=_again(one, top["info"], changed)))


def _forget_the_history(one: World, blob: Path) -> None:
    def forgotten(commits: Any) -> None:
        commits[0]["id"] = "0" * 40

    _republish(one, lambda top: top.update(commits=_again(one, top["commits"], forgotten)))


def _republish(one: World, change: Callable[[dict[str, Any]], None]) -> None:
    """Every snapshot of the repo, with a root that is changed and goes by its own digest."""

    def renamed(document: dict[str, dict[str, str]]) -> None:
        for commit, root in document["snapshots"].items():
            document["snapshots"][commit] = _again(one, root, change)

    _rewrite(one, renamed)


def _again(one: World, digest: str, change: Callable[[Any], None]) -> str:
    """Write a document anew after a change; its digest."""
    document = json.loads((_mirror(one) / key_of(digest)).read_text())
    change(document)
    body = json.dumps(document).encode()
    written = hashlib.sha256(body).hexdigest()
    path = _mirror(one) / key_of(written)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return written


def _rewrite(one: World, change: Callable[[dict[str, dict[str, str]]], None]) -> None:
    path = _mirror(one) / WEIGHTS.refs_key
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _mirror(one: World) -> Path:
    return one.folder / "mirror"


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (_flip_a_byte, WRONG),
        (_remove, LOST),
        (_forget_the_commit, LOST),
        (_name_another_tree, MIXED),
        (_swap_git_ids, WRONG),
        (_resize_a_pointer, WRONG),
        (_change_the_info, WRONG),
        (_forget_the_history, WRONG),
    ],
)
def test_what_must_not_be_is_seen(calm: World, harm: Callable[[World, Path], None], kind: str) -> None:
    commit = calm.upstream.repo(WEIGHTS).head()
    files = calm.upstream.truth.files(WEIGHTS, commit) or {}
    blob = _mirror(calm) / key_of(files["model.safetensors"].sha256)
    refs = _mirror(calm) / WEIGHTS.refs_key
    before = blob.read_bytes(), refs.read_bytes()
    calm.tally.findings.clear()
    harm(calm, blob)
    calm.ledger.look(WEIGHTS)
    judge(calm.ledger, calm.inspector, WEIGHTS, commit)
    blob.write_bytes(before[0])
    refs.write_bytes(before[1])
    assert kind in {finding.kind for finding in calm.tally.findings}


def test_a_run_that_says_more_than_is_true_is_seen(calm: World, tmp_path: Path) -> None:
    claim = {"kind": "model", "repo": WEIGHTS.id, "revision": "main", "outcome": "unchanged", "commit": "0" * 40}
    out = tmp_path / "claim.out"
    out.write_text(json.dumps({"ok": True, "interrupted": False, "repos": [claim]}))
    calm.tally.findings.clear()
    check_outcome(calm, Outcome("one", SYNC, 0.0, 0, signalled=False, out=out, seconds=1.0))
    assert any("which it was not upstream" in finding.seen for finding in calm.tally.findings)
    assert any("and the mirror has" in finding.seen for finding in calm.tally.findings)
    assert any("not a word of" in finding.seen for finding in calm.tally.findings)


def test_only_what_came_twice_counts_as_fetched_again() -> None:
    traffic = Traffic({"half": 40, "once": 100, "twice": 150, "lied": 900}, dict.fromkeys(NAMES, 100), {"lied"})
    assert (traffic.needed, traffic.again) == (240, 50)


def test_what_a_prune_removed_may_come_anew() -> None:
    traffic = Traffic({"half": 40, "once": 100, "twice": 150}, dict.fromkeys(NAMES, 100))
    traffic.removed(present={"once"})
    traffic.sent["twice"] = 100
    assert (traffic.needed, traffic.again) == (340, 50)


def test_what_a_neighbour_that_lags_behind_has_told_is_no_false_claim(calm: World, tmp_path: Path) -> None:
    """One run heard it there while another one published what upstream had long since."""
    truth, head, former = calm.upstream.truth, calm.upstream.repo(WEIGHTS).head(), "1" * 40
    for commit in (former, head):
        truth.move(WEIGHTS, "main", commit)
    claim = {"kind": "model", "repo": WEIGHTS.id, "revision": "main", "outcome": "unchanged", "commit": former}
    out = tmp_path / "claim.out"
    out.write_text(json.dumps({"ok": False, "interrupted": False, "repos": [claim]}))
    outcome = Outcome("one", SYNC, time.monotonic(), 1, signalled=False, out=out, seconds=1.0)
    calm.tally.findings.clear()
    check_outcome(calm, outcome)
    assert any("which it was not upstream" in finding.seen for finding in calm.tally.findings)
    calm.near.told.move(WEIGHTS, "main", former)
    calm.tally.findings.clear()
    check_outcome(calm, outcome)
    assert [finding for finding in calm.tally.findings if "and the mirror has" in finding.seen] == []


def test_a_claim_is_judged_by_the_moment_of_its_look() -> None:
    truth = Truth()
    for commit in ("a", "b", "c", "a"):
        truth.move(WEIGHTS, "main", commit)
    assert truth.after(WEIGHTS, "main", "b", 0.0) == {"c", "a"}
    assert truth.after(WEIGHTS, "main", "c", 0.0) == {"a"}
    assert truth.after(WEIGHTS, "main", "never", 0.0) == set()


def test_what_a_name_had_before_the_claim_excuses_nothing() -> None:
    truth = Truth()
    for commit in ("a", "b"):
        truth.move(WEIGHTS, "main", commit)
    assert truth.after(WEIGHTS, "main", "a", time.monotonic()) == set()
    assert truth.after(WEIGHTS, "main", "b", 0.0) == set()
