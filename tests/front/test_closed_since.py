"""What refs.json says was closed without a commit, or before anything was published, is so at every door."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.content.held_note import CLOSED_MARK, HeldNote
from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import CLOSED, Refs, held_name
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.domain.policy.decisions import RuleKey
from mirror_sync.domain.policy.rules import Outcome, Verdict
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.ports.store import Store
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, commit_id
from tests.front.guarded import ACCESS, PUBLIC, TOKENS, bearer, write_tokens
from tests.front.mirrors import PATIENCE, Mirror, by_nginx, by_serve, s3_store
from tests.requirements import need
from tests.stores.places import target_of


@pytest.fixture(scope="module", params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return target_of(request, tmp_path_factory.mktemp("since"))


@pytest.fixture(scope="module", params=["serve", "nginx"])
def front(request: pytest.FixtureRequest, place: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    folder: Path = tmp_path_factory.mktemp("front")
    store: Store = DirectoryStore(place.root) if isinstance(place, DirectoryTarget) else s3_store(place)
    tokens = write_tokens(folder / "tokens.yaml")
    if request.param == "serve":
        running = by_serve(store, access=ACCESS, tokens=tokens, site=False)
    else:
        need("nginx")
        running = by_nginx(store, NginxOptions(place, access=ACCESS, tokens=tokens, site=False), folder / "nginx")
    with running as mirror:
        yield mirror


def until(front: Mirror, door: str, status: int) -> None:
    """Ask until a change shows."""
    limit = time.monotonic() + PATIENCE
    while (got := front.get(door).status) != status:
        assert time.monotonic() < limit, f"{door} still answers {got}"
        time.sleep(0.1)


def put_refs(store: Store, repo: Repo, refs: Refs) -> None:
    store.put(blob_key(CLOSED_MARK.digest), CLOSED_MARK.body, CLOSED_MARK.digest)
    body = refs.encode()
    store.put(refs_key(repo), body, Sha256.of(body))


def test_a_repo_that_was_closed_since_is_for_those_alone_who_are_named_for_it(front: Mirror) -> None:
    published = Published(front.store, Repo(Kind.MODEL, f"pub/since{id(front)}"))
    commit = published.publish({"README.md": b"hello"}, described=dict(PUBLIC))
    doors = [f"{published.at}/resolve/{commit}/README.md", published.api, f"{published.api}/tree/main"]
    assert {front.get(door).status for door in doors} == {200}
    put_refs(front.store, published.repo, published.refs.with_attachments({CLOSED: CLOSED_MARK.digest}))
    for door in doors:
        until(front, door, 404)
        assert front.get(door).error == (404, "RepoNotFound")
        assert front.ask("GET", door, bearer(TOKENS["admins"])).status == 200
    put_refs(front.store, published.repo, published.refs)
    for door in doors:
        until(front, door, 200)


@pytest.mark.parametrize("shut", [True, False])
def test_why_a_repo_is_held_of_which_nothing_was_published_is_for_those_who_may_see_it(
    front: Mirror, *, shut: bool
) -> None:
    repo, commit = Repo(Kind.MODEL, f"pub/held{id(front)}-{shut}".lower()), commit_id()
    verdict = Verdict(RuleKey.LICENCE, Outcome.HELD, "gpl-3.0 waits for a word")
    note = HeldNote(str(repo), commit, "2026-01-01T00:00:00Z", (verdict,)).encode()
    front.store.put(blob_key(note.digest), note.body, note.digest)
    named = {held_name(commit): note.digest} | ({CLOSED: CLOSED_MARK.digest} if shut else {})
    put_refs(front.store, repo, Refs(attachments=named))
    door = f"/-/trust/models/{repo.id}/{commit}/verdicts.json"
    assert front.ask("GET", door, bearer(TOKENS["auditors"])).status == 200
    assert front.get(door).status == (404 if shut else 200)


def test_what_a_mirror_reads_anew_is_for_those_who_may_read_it_by_what_stands_there_now(front: Mirror) -> None:
    """Whatever this front keeps of refs.json meanwhile: nobody waits here."""
    repo = Published(front.store, Repo(Kind.MODEL, f"pub/anew{id(front)}"))
    commit = repo.publish({"README.md": b"hello"}, described=dict(PUBLIC))
    pointer = f"/-/mirror/models/{repo.repo.id}/refs.json"
    document = f"/-/mirror/models/{repo.repo.id}/{commit}/{'0' * 64}"  # that no kept refs.json names
    assert front.get(pointer).status == 200
    assert front.get(document).error == (404, "EntryNotFound")
    put_refs(front.store, repo.repo, repo.refs.with_attachments({CLOSED: CLOSED_MARK.digest}))
    for door in (pointer, document):
        assert front.get(door).error == (404, "RepoNotFound")
    admin = front.ask("GET", pointer, bearer(TOKENS["admins"]))
    assert Refs.decode(admin.body).attachments == {CLOSED: CLOSED_MARK.digest}
    repo.bury(Tombstone("2026-01-01T00:00:00Z", "a court's word", closed=True))
    assert front.get(pointer).error == (404, "RepoNotFound")
    assert front.ask("GET", pointer, bearer(TOKENS["admins"])).error == (403, "GatedRepo")
