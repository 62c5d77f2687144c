"""What was taken down is given to nobody, at no address, by either front; and whoever asks is told why."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from mirror_sync.domain.content.alias import encode
from mirror_sync.domain.content.keys import alias_key, blob_key, withdrawn_key
from mirror_sync.domain.content.tombstone import Tombstone, encode_withdrawn
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Kind, Repo
from tests.front.bucket import dataset, model
from tests.front.mirrors import PATIENCE, Mirror, Reply

WHY = Tombstone("2026-11-20T08:00:00Z", "its licence was withdrawn, § 4", "jane")
SAID = "was taken down on 2026-11-20 by jane: its licence was withdrawn, § 4"


def until(mirror: Mirror, target: str, shown: Callable[[Reply], bool]) -> Reply:
    """Ask until a change shows."""
    limit = time.monotonic() + PATIENCE
    while not shown(reply := mirror.get(target)):
        assert time.monotonic() < limit, f"{target} still answers {reply}"
        time.sleep(0.1)
    return reply


def test_every_name_and_every_commit_of_it_is_refused_with_the_reason(mirror: Mirror) -> None:
    repo = dataset(mirror.store)
    commit = repo.publish({"a/f.txt": b"taken down"}, attached={"SHA256SUMS": b"sums"})
    trust = f"/-/trust/datasets/{repo.repo.id}"
    addresses = (
        f"{repo.at}/resolve/{commit}/a/f.txt",
        f"{repo.at}/resolve/main/a/f.txt",
        f"{repo.at}/raw/{commit}/a/f.txt",
        *(f"{repo.api}{end}" for end in ("", f"/revision/{commit}", "/refs", "/commits/main", "/auth-check")),
        f"{repo.api}/tree/{commit}",
        f"{repo.api}/tree/main/a",
        f"{trust}/{commit}/SHA256SUMS",
        f"{trust}/main/verdicts.json",
        repo.at,
    )
    for address in addresses:
        assert mirror.get(address).status in (200, 302), address
    repo.bury(WHY)
    for address in addresses:
        reply = until(mirror, address, lambda reply: reply.status == 403)
        assert reply.error == (403, "GatedRepo"), address
        assert reply.header("X-Mirror-State") == "withdrawn"
        assert reply.header("X-Error-Message") == f"{repo.repo.id} {SAID}".replace("§", "?")
        assert reply.json == {"error": f"{repo.repo.id} {SAID}"}
        assert reply.header("Cache-Control") == "no-store"
    head = mirror.head(f"{repo.at}/resolve/main/a/f.txt")
    assert (head.error, head.body) == ((403, "GatedRepo"), b"")
    body = b"paths=a"
    assert mirror.ask("POST", f"{repo.api}/paths-info/main", {"Content-Type": "x"}, body).error == (403, "GatedRepo")
    assert mirror.get(repo.api, Accept="text/html").status == 403


def test_another_name_of_it_leads_to_the_reason(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"named twice"})
    former = Repo(Kind.MODEL, f"{repo.repo.id}-once")
    body = encode(repo.repo)
    mirror.store.put(alias_key(former), body, Sha256.of(body))
    repo.bury(WHY)
    reply = until(mirror, f"/api/models/{former.id}", lambda reply: reply.status == 307)
    assert reply.header("Location") == repo.api
    until(mirror, repo.api, lambda reply: reply.status == 403)


def test_who_took_it_down_need_not_be_named(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.bury(Tombstone("2026-11-20T08:00:00Z", "a court order"))
    assert mirror.get(repo.api).json == {"error": f"{repo.repo.id} was taken down on 2026-11-20: a court order"}


def test_a_digest_is_refused_as_soon_as_it_is_listed_and_given_again_when_it_is_not(mirror: Mirror) -> None:
    for other in (b"beside it 1", b"beside it 2"):
        model(mirror.store).publish({"f": other})
    body = b"by digest, until it is taken down"
    model(mirror.store).publish({"f": body})
    digest = Sha256.of(body)
    address, key = f"/{blob_key(digest)}", withdrawn_key(digest)
    assert mirror.get(address).body == body
    listed = encode_withdrawn([digest, Sha256(digest[:2] + "0" * 62)])
    mirror.store.put(key, listed, Sha256.of(listed))
    assert until(mirror, address, lambda reply: reply.status == 404).error == (404, "EntryNotFound")
    assert mirror.head(address).status == 404
    mirror.store.delete([key])
    mirror.get_until(address, body)


def test_a_list_that_cannot_be_read_opens_nothing(mirror: Mirror) -> None:
    body = b"behind a list that is none"
    model(mirror.store).publish({"f": body})
    digest = Sha256.of(body)
    mirror.store.put(withdrawn_key(digest), b"<html>", Sha256.of(b"<html>"))
    try:
        assert mirror.get(f"/{blob_key(digest)}").status == 502
    finally:
        mirror.store.delete([withdrawn_key(digest)])


@pytest.mark.parametrize("size", [10, 1_100_000])
def test_a_blob_that_was_removed_is_gone_at_once_however_often_it_was_given(mirror: Mirror, size: int) -> None:
    body = bytes([size % 251]) * size
    repo = model(mirror.store)
    commit = repo.publish({"f": body})
    digest = Sha256.of(body)
    for _ in range(3):
        assert mirror.get(f"/{blob_key(digest)}").body == body
        assert mirror.get(f"{repo.at}/resolve/{commit}/f").body == body
    repo.bury(WHY)
    mirror.store.delete([blob_key(digest)])
    for method in ("GET", "HEAD"):
        assert mirror.ask(method, f"/{blob_key(digest)}").error == (404, "EntryNotFound")
    assert mirror.get(f"/{blob_key(digest)}", Range="bytes=0-4").status == 404
    until(mirror, f"{repo.at}/resolve/{commit}/f", lambda reply: reply.error == (403, "GatedRepo"))
