"""A grey release, at both fronts and over both kinds of targets: a reader stays in one arm, and no cache mixes them."""

from __future__ import annotations

import http.client
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mirror_sync.domain.content.share import NOTICE, WHOLE, ReaderShare, reader_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Repo
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, dataset, model
from tests.front.guarded import ACCESS, TOKENS, bearer, write_tokens
from tests.front.mirrors import PATIENCE, Mirror, by_either

ADDRESSES = [f"10.{number // 250}.7.{number % 250}" for number in range(4000)]


def released(repo: Published, percent: int) -> tuple[str, str]:
    """`old` for main, `new` for the candidate, and so many readers of main who get it; returns both commits."""
    new = repo.publish({"f": b"new", "only-new": b"1"})
    old = repo.publish({"f": b"old", "only-old": b"1"})
    repo.refs = replace(repo.refs, channels={"candidate": new})
    repo.attach(ReaderShare("candidate", percent * 100).name, b"{}")
    return old, new


def arm(mirror: Mirror, repo: Published, address: str, **headers: str) -> str:
    """The commit that a reader finds under main, the same by whatever address; all of it is of that commit."""
    sent = {"X-Forwarded-For": address, **headers}
    info = mirror.ask("GET", f"{repo.api}/revision/main", sent)
    commit = str(info.json["sha"])
    for path in (repo.api, f"{repo.api}/tree/main", f"{repo.api}/commits/HEAD", f"{repo.at}/resolve/main/f"):
        reply = mirror.ask("GET", path, sent)
        assert reply.header("X-Repo-Commit") == commit, path
        assert "private" in (reply.header("Cache-Control") or ""), (path, reply.headers)
    theirs = f"/api/v1/{repo.repo.kind.plural}/{repo.repo.id}"
    for path in (theirs, f"{theirs}/repo/files?Revision=master", f"{theirs}/repo/tree", f"{theirs}/repo?FilePath=f"):
        reply = mirror.ask("GET", path, sent)
        assert reply.header("X-Repo-Commit") == commit, path
        assert "private" in (reply.header("Cache-Control") or ""), (path, reply.headers)
    head = mirror.ask("HEAD", f"{repo.at}/resolve/refs%2Fheads%2Fmain/f", sent)
    assert (head.status, head.header("Location")) == (307, f"{repo.at}/resolve/{commit}/f")
    assert "private" in (head.header("Cache-Control") or "")
    return commit


@pytest.mark.parametrize("kind", [model, dataset])
def test_a_reader_of_main_gets_one_arm_by_every_address_and_again(mirror: Mirror, kind: type) -> None:
    repo = kind(mirror.store)
    old, new = released(repo, 50)
    arms = {address: arm(mirror, repo, address) for address in ADDRESSES[:12]}
    assert set(arms.values()) == {old, new}
    for address, commit in arms.items():
        taken = ReaderShare("candidate", 5000).takes(repo.repo, reader_key("", address))
        assert commit == (new if taken else old)
        assert arm(mirror, repo, address) == commit
        name = b"only-new" if commit == new else b"only-old"
        listed = mirror.ask("GET", f"{repo.api}/tree/main", {"X-Forwarded-For": address}).body
        assert (name in listed, (b"only-old" if name == b"only-new" else b"only-new") in listed) == (True, False)


def test_who_pulls_latest_from_a_registry_gets_the_same_arm_and_all_that_its_manifest_names(mirror: Mirror) -> None:
    repo = model(mirror.store)
    new = repo.publish({"model.Q4_K_M.gguf": b"the new one"}, registry=True)
    old = repo.publish({"model.Q4_K_M.gguf": b"the old one"}, registry=True)
    repo.refs = replace(repo.refs, channels={"candidate": new})
    repo.attach(ReaderShare("candidate", 5000).name, b"{}")
    at = f"/v2/{repo.repo.id.lower()}"
    for address in ADDRESSES[:8]:
        taken = ReaderShare("candidate", 5000).takes(repo.repo, reader_key("", address))
        for tag in ("latest", "main", "Q4_K_M"):
            reply = mirror.ask("GET", f"{at}/manifests/{tag}", {"X-Forwarded-For": address})
            assert reply.header("X-Repo-Commit") == (new if taken else old), tag
            assert "private" in (reply.header("Cache-Control") or ""), reply.headers
        for named in (reply.json["config"], *reply.json["layers"]):
            blob = mirror.ask("GET", f"{at}/blobs/{named['digest']}", {"X-Forwarded-For": address})
            assert (blob.status, f"sha256:{Sha256.of(blob.body)}") == (200, named["digest"])


def test_when_a_share_begins_who_got_the_candidate_once_gets_it_from_then_on_by_every_address(mirror: Mirror) -> None:
    repo = model(mirror.store)
    new, old = repo.publish({"f": b"new"}), repo.publish({"f": b"old"})
    repo.refs = replace(repo.refs, channels={"candidate": new})
    paths = (f"{repo.api}/revision/main", repo.api, f"{repo.api}/tree/main", f"{repo.at}/resolve/main/f")
    seen = [mirror.get(path).header("X-Repo-Commit") for path in paths]
    repo.attach(ReaderShare("candidate", WHOLE, int(time.time()) + NOTICE + 3).name, b"{}")
    limit = time.monotonic() + PATIENCE
    while seen[-1] == old or len(seen) % 40:
        assert time.monotonic() < limit
        seen += [mirror.get(path).header("X-Repo-Commit") for path in paths]
        time.sleep(0.05)
    assert set(seen) == {old, new}
    assert set(seen[seen.index(new) :]) == {new}, "a listing of one version, and a file of the other"


def test_who_names_a_version_gets_that_and_it_may_be_kept_for_all(mirror: Mirror) -> None:
    repo = model(mirror.store)
    old, new = released(repo, 100)
    for revision, commit in {old: old, new: new, "refs%2Fchannels%2Fcandidate": new, "candidate": new}.items():
        reply = mirror.get(f"{repo.api}/revision/{revision}")
        assert (reply.json["sha"], "private" in (reply.header("Cache-Control") or "")) == (commit, False)
    refs = {one["name"]: one["targetCommit"] for one in mirror.get(f"{repo.api}/refs").json["branches"]}
    assert refs == {"main": old, "candidate": new}


def test_a_share_of_a_channel_that_is_not_there_is_none(mirror: Mirror) -> None:
    repo = model(mirror.store)
    old, _ = released(repo, 100)
    repo.write_refs(replace(repo.refs, channels={}).encode())
    assert mirror.get(f"{repo.api}/revision/main").json["sha"] == old


@pytest.mark.timeout(600)
@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_of_four_thousand_addresses_a_tenth_gets_the_candidate_and_both_fronts_agree_on_whom(
    front: str, tmp_path: Path
) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    repo = model(DirectoryStore(target.root))
    released(repo, 10)
    with by_either(front, target, tmp_path / "front") as mirror:
        parts = urlsplit(mirror.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        got: dict[str, bytes] = {}
        for address in ADDRESSES:
            connection.request("GET", f"{repo.at}/resolve/main/f", headers={"X-Forwarded-For": address})
            got[address] = connection.getresponse().read()
        connection.close()
    new = {address for address, body in got.items() if body == b"new"}
    assert set(got.values()) == {b"new", b"old"}
    assert abs(len(new) / len(got) * 100 - 10) < 2
    share = ReaderShare("candidate", 1000)
    assert new == {address for address in ADDRESSES if share.takes(repo.repo, reader_key("", address))}


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_a_reader_with_a_token_stays_in_their_arm_wherever_they_are(front: str, tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    repos = [Published(DirectoryStore(target.root), one) for one in _public(6)]
    commits = [released(repo, 50) for repo in repos]
    tokens = write_tokens(tmp_path / "tokens.yaml")
    with by_either(front, target, tmp_path / "front", access=ACCESS, tokens=tokens) as mirror:
        for repo, (old, new) in zip(repos, commits, strict=True):
            taken = ReaderShare("candidate", 5000).takes(repo.repo, reader_key("the-developers", ""))
            for address in ADDRESSES[:3]:
                assert arm(mirror, repo, address, **bearer(TOKENS["developers"])) == (new if taken else old)


def _public(count: int) -> list[Repo]:
    return [Repo.parse(f"pub/grey{number}") for number in range(count)]
