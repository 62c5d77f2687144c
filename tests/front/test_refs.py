"""Refs, info and commits: what is mirrored under which names, and how soon a change shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from mirror_sync.domain.content.refs import Refs, held_name
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.ports.store import read_document
from tests.front.bucket import commit_id, dataset, model
from tests.front.mirrors import Mirror, quoted


def test_refs_are_the_hubs_answer_and_name_only_what_is_mirrored(mirror: Mirror) -> None:
    repo = dataset(mirror.store)
    commit = repo.publish({"f": b"1"})
    repo.tag("v1.0", commit)
    document = mirror.get(f"{repo.api}/refs").json
    assert document["branches"] == [{"name": "main", "ref": "refs/heads/main", "targetCommit": commit}]
    assert document["tags"] == [{"name": "v1.0", "ref": "refs/tags/v1.0", "targetCommit": commit}]
    assert (document["converts"], document["pullRequests"]) == ([], [])
    assert "snapshots" not in document


def test_a_repo_that_was_withdrawn_is_not_there_and_our_note_of_it_is_not_shown(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    note = Gone("not-found-or-private", datetime(2026, 11, 20, tzinfo=UTC))
    repo.write_refs(repo.refs.noting(note).encode())
    assert mirror.get(f"{repo.api}/refs").json.keys() == {"branches", "tags", "converts", "pullRequests"}
    withdrawn = model(mirror.store)
    withdrawn.write_refs(Refs().noting(note).encode())
    for target in (f"{withdrawn.api}/refs", withdrawn.api, f"{withdrawn.at}/resolve/{commit}/f"):
        assert mirror.get(target).error == (404, "RepoNotFound")


def test_a_commit_that_is_held_is_not_there_and_our_note_of_it_is_not_shown(mirror: Mirror) -> None:
    held = CommitId("5e" * 20)
    note = Refs(attachments={held_name(held): Sha256.of(b"a note")})
    repo = model(mirror.store)
    repo.write_refs(note.encode())
    for target in (f"{repo.api}/refs", repo.api, f"{repo.api}/revision/{held}", f"{repo.at}/resolve/main/f"):
        assert mirror.get(target).error == (404, "RepoNotFound")
    other = model(mirror.store)
    other.publish({"f": b"1"})
    other.write_refs(other.refs.attaching(note.attachments).encode())
    assert mirror.get(f"{other.api}/refs").json.keys() == {"branches", "tags", "converts", "pullRequests"}
    assert mirror.get(f"{other.api}/revision/{held}").error == (404, "RevisionNotFound")


def test_every_name_of_a_commit_leads_to_it(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"}, branch="feature/x y")
    repo.tag("v1.0", commit)
    for revision in ("feature/x y", "refs/heads/feature/x y", "v1.0", "refs/tags/v1.0", commit):
        assert mirror.get(f"{repo.api}/revision/{quoted(revision)}").json["sha"] == commit
        assert mirror.get(f"{repo.at}/resolve/{quoted(revision)}/f").body == b"1"
        assert mirror.get(f"{repo.api}/tree/{quoted(revision)}").json[0]["path"] == "f"
    assert mirror.get(f"{repo.api}/revision/main").error == (404, "RevisionNotFound")


@pytest.mark.parametrize("full", ["refs/pr/7", "refs/convert/parquet"])
def test_a_conversion_and_a_pull_request_answer_to_their_full_names_alone(mirror: Mirror, full: str) -> None:
    repo, short = dataset(mirror.store), full.rpartition("/")[2]
    repo.publish({"f": b"ours"})
    repo.name(full, repo.publish({"f": b"a stranger's"}, branch=None))
    for revision in (full, quoted(full)):
        assert mirror.get(f"{repo.at}/resolve/{revision}/f").body == b"a stranger's"
        assert mirror.get(f"{repo.api}/tree/{revision}").status == 200
    for revision in (short, f"refs%2Fheads%2F{short}", f"pr%2F{short}", f"convert%2F{short}"):
        assert mirror.get(f"{repo.at}/resolve/{revision}/f").error == (404, "RevisionNotFound")
    branch = model(mirror.store)
    branch.publish({"f": b"ours"}, branch=short)
    branch.name(full, branch.publish({"f": b"a stranger's"}, branch=None))
    assert mirror.get(f"{branch.at}/resolve/{short}/f").body == b"ours"


def test_a_branch_is_meant_before_a_tag_of_the_same_name_and_each_has_its_full_one(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.tag("7", repo.publish({"f": b"the tag's"}, branch=None))
    assert mirror.get(f"{repo.at}/resolve/7/f").body == b"the tag's"
    both = model(mirror.store)
    both.tag("7", both.publish({"f": b"the tag's"}, branch=None))
    both.publish({"f": b"the branch's"}, branch="7")
    for revision, body in (
        ("7", b"the branch's"),
        ("refs%2Fheads%2F7", b"the branch's"),
        ("refs%2Ftags%2F7", b"the tag's"),
    ):
        assert mirror.get(f"{both.at}/resolve/{revision}/f").body == body


def test_head_is_the_default_branch_wherever_a_revision_stands(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    repo.tag("HEAD", repo.publish({"f": b"2"}, branch=None))
    for target in ("revision/HEAD", "tree/HEAD", "commits/HEAD", "revision/HEAD?expand=sha"):
        assert mirror.get(f"{repo.api}/{target}").header("X-Repo-Commit") == commit, target
    reply = mirror.ask("POST", f"{repo.api}/paths-info/HEAD", {}, b"paths=f")
    assert (reply.status, reply.header("X-Repo-Commit")) == (200, commit)
    assert mirror.get(f"{repo.at}/resolve/HEAD/f").body == mirror.get(f"{repo.at}/raw/HEAD/f").body == b"1"
    assert mirror.head(f"{repo.at}/resolve/HEAD/f").header("Location") == f"{repo.at}/resolve/{commit}/f"
    other = model(mirror.store)
    other.publish({"f": b"1"}, branch="dev")
    assert mirror.get(f"{other.api}/revision/HEAD").error == (404, "RevisionNotFound")


def test_info_without_a_revision_is_that_of_main(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    for target in (repo.api, f"{repo.api}/", f"{repo.api}?expand=sha&blobs=true", f"{repo.api}/revision/main"):
        reply = mirror.get(target)
        assert reply.json["sha"] == reply.header("X-Repo-Commit") == commit
        assert reply.header("Content-Type") == "application/json; charset=utf-8"


def test_a_document_that_the_client_holds_is_not_sent_again(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"})
    etag = mirror.get(repo.api).header("ETag") or ""
    assert mirror.get(repo.api, If_None_Match=etag).status == 304


def test_an_info_answer_counts_downloads_and_likes_though_no_published_document_does(mirror: Mirror) -> None:
    repo = dataset(mirror.store)
    commit = repo.publish({"é\u2028\U0001f600.csv": b"1"})
    root = Root.decode(read_document(mirror.store, repo.root(commit)))
    published = json.loads(read_document(mirror.store, root.info))
    for target in (repo.api, f"{repo.api}/revision/{commit}"):
        reply = mirror.get(target)
        assert reply.json == {"downloads": 0, "likes": 0} | published
        assert mirror.head(target).header("Content-Length") == str(len(reply.body))
        assert reply.header("ETag") not in (None, f'"{root.info}"')  # what was kept of an answer before is another one


def test_commits_are_the_history_of_a_revision(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    reply = mirror.get(f"{repo.api}/commits/main?p=0")
    assert [entry["id"] for entry in reply.json] == [commit]
    assert reply.json[0]["authors"] == [{"user": "someone"}]


def test_auth_check_lets_everybody_in(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"})
    assert mirror.get(f"{repo.api}/auth-check", Authorization="Bearer hf_any").status == 200


def test_a_branch_that_moves_shows_within_the_short_cache_and_the_old_commit_stays(mirror: Mirror) -> None:
    repo = model(mirror.store)
    before = repo.publish({"f": b"old"})
    assert mirror.get(f"{repo.at}/resolve/main/f").body == b"old"
    repo.publish({"f": b"new"})
    mirror.get_until(f"{repo.at}/resolve/main/f", b"new")
    assert mirror.get(f"{repo.at}/resolve/{before}/f").body == b"old"


def test_a_repo_that_is_published_shows_within_the_short_cache(mirror: Mirror) -> None:
    repo = model(mirror.store)
    assert mirror.get(f"{repo.at}/resolve/main/f").error == (404, "RepoNotFound")
    repo.publish({"f": b"here"})
    mirror.get_until(f"{repo.at}/resolve/main/f", b"here")


@pytest.mark.parametrize(
    "kind", ["/api/models/{}", "/api/models/{}/refs", "/api/datasets/{}/tree/main", "/{}/resolve/main/f"]
)
@pytest.mark.parametrize("name", ["acme/none", "none", "Acme--x/y", "acme/a..b", "acme/-x", "a" * 97])
def test_an_unknown_repo_is_told_by_its_code(mirror: Mirror, kind: str, name: str) -> None:
    assert mirror.get(kind.format(name)).error == (404, "RepoNotFound")


def test_no_id_reaches_the_refs_of_another_repo(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"})
    assert mirror.get(f"/api/models/{repo.repo.id.replace('/', '--')}").error == (404, "RepoNotFound")
    assert mirror.get(f"/api/datasets/{repo.repo.id}").error == (404, "RepoNotFound")
    assert mirror.get(f"/api/models/{repo.repo.id.lower()}").error == (404, "RepoNotFound")
    assert mirror.get(f"/api/spaces/{repo.repo.id}").error == (404, "RepoNotFound")
    assert mirror.get(f"/spaces/{repo.repo.id}/resolve/main/f").error == (404, "RepoNotFound")


@pytest.mark.parametrize("revision", ["none", "0" * 40, "mai", "main%2F", "__proto__", "constructor"])
def test_an_unknown_revision_is_told_by_its_code(mirror: Mirror, revision: str) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"})
    for target in (f"{repo.at}/resolve/{revision}/f", f"{repo.api}/revision/{revision}", f"{repo.api}/tree/{revision}"):
        assert mirror.get(target).error == (404, "RevisionNotFound")
        assert mirror.head(target).error == (404, "RevisionNotFound")


def test_an_unknown_file_is_told_by_its_code_and_the_commit(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"sub/f": b"1"})
    for path in ("none", "sub", "sub/", "sub/f/", "/sub/f", "sub//f", "sub%2Fg"):
        for revision in (commit, "main"):
            reply = mirror.get(f"{repo.at}/resolve/{revision}/{path}")
            assert reply.error == (404, "EntryNotFound"), path
            assert reply.header("X-Repo-Commit") == commit


def test_a_head_of_an_unknown_file_is_told_so_at_once_at_a_branch_too(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"sub/f": b"1"})
    repo.tag("v1", commit)
    for revision in ("main", "v1", "refs%2Fheads%2Fmain", commit):
        for path in ("none", "sub", "sub%2Fnone"):
            reply = mirror.head(f"{repo.at}/resolve/{revision}/{path}")
            assert (reply.error, reply.header("X-Repo-Commit")) == ((404, "EntryNotFound"), commit)


def test_a_ref_that_names_nothing_mirrored_leads_nowhere(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"})
    stray = commit_id()
    body = repo.refs.encode().replace(
        b'"tags":[]', b'"tags":[{"name":"t","ref":"refs/tags/t","targetCommit":"%s"}]' % stray.encode()
    )
    repo.write_refs(body)
    assert mirror.get(f"{repo.api}/revision/t").error == (404, "RevisionNotFound")
