"""Channels and tags of this mirror answer as revisions, at both fronts and over both kinds of targets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror_sync.domain.content.refs import PINNED
from mirror_sync.domain.digest import CommitId
from tests.front.bucket import dataset, model
from tests.front.mirrors import Mirror, quoted


@pytest.mark.parametrize("kind", [model, dataset])
@pytest.mark.parametrize("name", ["stable", "refs/channels/stable", "v1.2"])
def test_a_name_of_ours_is_a_revision_wherever_one_may_stand(mirror: Mirror, kind: type, name: str) -> None:
    repo = kind(mirror.store)
    commit = repo.publish({"f": b"old", "d/g": b"old, too"})
    newer = repo.publish({"f": b"new"})
    repo.write_refs(replace(repo.refs, channels={"stable": commit, "v1.2": commit}).encode())
    rev = quoted(name)
    assert mirror.get(f"{repo.at}/resolve/{rev}/f").body == b"old"
    head = mirror.head(f"{repo.at}/resolve/{rev}/f")
    assert (head.status, head.header("Location")) == (307, f"{repo.at}/resolve/{commit}/f")
    assert mirror.get(f"{repo.at}/raw/{rev}/d/g").body == b"old, too"
    assert mirror.get(f"{repo.api}/revision/{rev}").json["sha"] == commit
    assert mirror.get(f"{repo.api}/commits/{rev}").json[0]["id"] == commit
    assert mirror.listed(f"{repo.api}/tree/{rev}?recursive=true") == ["d", "d/g", "f"]
    info = mirror.ask("POST", f"{repo.api}/paths-info/{rev}", {}, b"paths=f")
    assert info.header("X-Repo-Commit") == commit
    assert mirror.get(f"{repo.at}/resolve/main/f").body == b"new"
    assert mirror.get(f"{repo.at}/resolve/{newer}/f").body == b"new"


def test_refs_list_our_names_beside_the_upstreams_and_each_leads_where_it_says(mirror: Mirror) -> None:
    repo = model(mirror.store)
    ours = repo.publish({"f": b"ours"})
    theirs = repo.publish({"f": b"theirs"}, branch="stable")
    repo.tag("v1", theirs)
    repo.write_refs(replace(repo.refs, channels={"v1": ours, "stable": ours, "lost": CommitId("f" * 40)}).encode())
    refs = mirror.get(f"{repo.api}/refs").json
    names = {one["name"]: one["ref"] for group in ("branches", "tags") for one in refs[group]}
    assert names == {"main": "refs/heads/main", "stable": "refs/channels/stable", "v1": "refs/channels/v1"}
    for one in (*refs["branches"], *refs["tags"]):
        for name in (one["name"], one["ref"]):
            assert mirror.get(f"{repo.api}/revision/{quoted(name)}").json["sha"] == one["targetCommit"]
    assert mirror.get(f"{repo.at}/resolve/refs%2Fheads%2Fstable/f").body == b"theirs"
    assert mirror.get(f"{repo.at}/resolve/refs%2Ftags%2Fv1/f").body == b"theirs"
    for name in ("lost", "candidate", "constructor", "__proto__", "refs%2Fchannels%2Fmain"):
        assert mirror.get(f"{repo.api}/revision/{name}").error == (404, "RevisionNotFound"), name


def test_an_answer_to_a_name_of_ours_is_asked_for_again_and_one_to_its_commit_is_not(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    repo.write_refs(replace(repo.refs, channels={"stable": commit}).encode())
    moving, settled = (mirror.get(f"{repo.at}/resolve/{one}/f").header("Cache-Control") for one in ("stable", commit))
    assert moving == mirror.get(f"{repo.at}/resolve/main/f").header("Cache-Control") != settled


def test_a_pin_and_the_history_of_names_are_ours_and_are_in_no_answer(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    repo.attach(PINNED, b"{}")
    assert mirror.get(f"{repo.api}/refs").json.keys() == {"branches", "tags", "converts", "pullRequests"}
    assert mirror.get(repo.api).json["sha"] == commit
