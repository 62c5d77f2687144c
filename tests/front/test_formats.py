"""Both formats of what is published are served alike; one that a front does not know is no repo that is missing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.ref_log import LogEntry
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.ports.store import read_document
from tests.formats import back_to_format_1
from tests.front.bucket import Published, dataset, model
from tests.front.mirrors import Mirror


def _put_root(repo: Published, document: object) -> None:
    """Let the only commit of a repo have this root document."""
    body = json.dumps(document, separators=(",", ":")).encode()
    digest = Sha256.of(body)
    repo.store.put(blob_key(digest), body, digest)
    repo.refs = replace(repo.refs, snapshots=dict.fromkeys(repo.refs.snapshots, digest))
    repo.write_refs(repo.refs.encode())


def _root_of(repo: Published) -> Root:
    (digest,) = repo.refs.snapshots.values()
    return Root.decode(read_document(repo.store, digest))


def test_what_a_program_of_format_1_published_is_served_as_format_2_is(mirror: Mirror) -> None:
    repo = dataset(mirror.store)
    commit = repo.publish({"sub/f": b"1", "g": b"22"})
    repo.tag("v1.0", commit)
    back_to_format_1(mirror.store, repo.repo)
    assert mirror.get(f"{repo.at}/resolve/main/sub/f").body == b"1"
    assert mirror.get(f"{repo.api}/revision/v1.0").json["sha"] == commit
    assert [entry["path"] for entry in mirror.get(f"{repo.api}/tree/main?recursive=true").json] == ["g", "sub", "sub/f"]
    assert [entry["id"] for entry in mirror.get(f"{repo.api}/commits/main").json] == [commit]
    told = mirror.get(f"{repo.api}/refs").json
    assert told.keys() == {"branches", "tags", "converts", "pullRequests"}
    assert told["tags"] == [{"name": "v1.0", "ref": "refs/tags/v1.0", "targetCommit": commit}]


def test_the_log_and_attachments_are_ours_and_change_no_answer(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    before = {target: mirror.get(f"{repo.api}{target}").body for target in ("", "/tree/main", "/commits/main", "/refs")}
    other = model(mirror.store)
    other.publish({"f": b"1"}, commit=commit)
    sums = Sha256.of(b"sums")
    mirror.store.put(blob_key(sums), b"sums", sums)
    _put_root(other, json.loads(replace(_root_of(other), attachments={"SHA256SUMS": sums}).encode().body))
    entry = LogEntry("2026-01-01T06:00:00Z", "refs/heads/main", None, commit, "sync models")
    other.write_refs(replace(other.refs, log=(entry,)).encode())
    after = {target: mirror.get(f"{other.api}{target}").body for target in before}
    assert after == {name: body.replace(repo.repo.id.encode(), other.repo.id.encode()) for name, body in before.items()}


@pytest.mark.parametrize("number", [3, 0, "2", None])
def test_a_refs_json_of_another_format_is_a_mirror_that_cannot_answer_and_no_repo_that_is_missing(
    mirror: Mirror, number: object
) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    repo.write_refs(json.dumps({**json.loads(repo.refs.encode()), "format": number}).encode())
    for target in (repo.api, f"{repo.api}/refs", f"{repo.at}/resolve/{commit}/f"):
        assert mirror.get(target).status == 502, target


@pytest.mark.parametrize("number", [3, "2", None])
def test_a_root_of_another_format_is_a_mirror_that_cannot_answer_and_no_file_that_is_missing(
    mirror: Mirror, number: object
) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    _put_root(repo, {**json.loads(_root_of(repo).encode().body), "format": number})
    for target in (repo.api, f"{repo.api}/tree/main", f"{repo.at}/resolve/{commit}/f"):
        assert mirror.get(target).status == 502, target
