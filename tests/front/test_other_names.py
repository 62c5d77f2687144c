"""An id in other letters, or a former one, leads to the repo as it is published: with the same path and query."""

from __future__ import annotations

import pytest

from mirror_sync.domain.content import alias
from mirror_sync.domain.content.keys import alias_key, refs_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Kind, Repo
from tests.front.bucket import Published, dataset, model
from tests.front.mirrors import Mirror


def put(mirror: Mirror, key: str, body: bytes) -> None:
    mirror.store.put(key, body, Sha256.of(body))


def name(mirror: Mirror, former: str, repo: Repo) -> None:
    """Say that another id stands for a repo."""
    put(mirror, alias_key(Repo(repo.kind, former)), alias.encode(repo))


def published(mirror: Mirror, other: str | None = None) -> tuple[Published, str]:
    """A repo whose id has capitals, and another id that leads to it."""
    repo = model(mirror.store)
    repo.publish({"a b/f": b"1"})
    name(mirror, other or repo.repo.id, repo.repo)
    return repo, other or repo.repo.id.lower()


def test_every_address_leads_to_the_same_under_the_id_as_published(mirror: Mirror) -> None:
    repo, other = published(mirror)
    for rest in (
        "",
        "/refs",
        "/revision/main?expand=sha",
        "/tree/main/a%20b?recursive=true",
        "/auth-check",
        "/commits/x",
    ):
        reply = mirror.get(f"/api/models/{other}{rest}")
        assert (reply.status, reply.header("Location")) == (307, f"{repo.api}{rest}")
    for rest in ("", "/resolve/main/a%20b/f?download=true", f"/resolve/{'0' * 40}/a%20b/f", "/raw/main/%5B"):
        for ask in (mirror.get, mirror.head):
            reply = ask(f"/{other}{rest}")
            assert (reply.status, reply.header("Location"), reply.body) == (307, f"{repo.at}{rest}", b"")
    for target in (f"/{other}/resolve/main/f", f"/api/models/{other}/refs"):
        assert mirror.get(f"//{target}").header("Location") == target.replace(other, repo.repo.id)
    posted = mirror.ask("POST", f"/api/models/{other}/paths-info/main", {}, b"paths=f")
    assert (posted.status, posted.header("Location")) == (307, f"{repo.api}/paths-info/main")


def test_leading_slashes_count_as_one(mirror: Mirror) -> None:
    repo, other = published(mirror)
    assert mirror.head(f"//{other}/resolve/main/f").header("Location") == f"{repo.at}/resolve/main/f"
    assert mirror.get(f"///api/models/{other}/refs").header("Location") == f"{repo.api}/refs"


def test_a_pinned_file_is_reached_by_any_spelling(mirror: Mirror) -> None:
    repo, other = published(mirror)
    commit = repo.publish({"f": b"2"})
    for spelling in (other, other.upper(), other.title()):
        location = mirror.get(f"/{spelling}/resolve/{commit}/f").header("Location")
        assert location == f"{repo.at}/resolve/{commit}/f"
        assert mirror.get(location).body == b"2"


def test_a_dataset_has_names_of_its_own(mirror: Mirror) -> None:
    repo = dataset(mirror.store)
    repo.publish({"f": b"1"})
    name(mirror, repo.repo.id, repo.repo)
    other = repo.repo.id.lower()
    assert mirror.head(f"/datasets/{other}/resolve/main/f").header("Location") == f"{repo.at}/resolve/main/f"
    assert mirror.get(f"/{other}/resolve/main/f").error == (404, "RepoNotFound")


def test_a_former_name_leads_to_the_present_one_also_where_it_was_withdrawn(mirror: Mirror) -> None:
    former = model(mirror.store).repo.id.lower().replace("acme/", "")
    repo, _ = published(mirror, former)
    assert mirror.get(f"/api/models/{former}").header("Location") == repo.api
    assert mirror.get(f"/api/models/{former.upper()}").header("Location") == repo.api
    put(mirror, refs_key(Repo(Kind.MODEL, former)), Refs().encode())
    assert mirror.get(f"/{former}/resolve/main/f").header("Location") == f"{repo.at}/resolve/main/f"


def test_capitals_lead_to_an_id_without_any_and_no_alias_is_needed(mirror: Mirror) -> None:
    repo = model(mirror.store, model(mirror.store).repo.id.lower())
    repo.publish({"f": b"1"})
    assert mirror.get(f"/api/models/{repo.repo.id.upper()}").header("Location") == repo.api


def test_an_alias_leads_to_what_is_published_and_to_no_other_alias(mirror: Mirror) -> None:
    _, other = published(mirror)
    chained = model(mirror.store).repo.id
    name(mirror, chained, Repo(Kind.MODEL, other))
    assert mirror.get(f"/api/models/{chained}").error == (404, "RepoNotFound")
    lost = model(mirror.store)
    name(mirror, lost.repo.id, lost.repo)
    for spelling in (lost.repo.id, lost.repo.id.lower()):
        assert mirror.get(f"/api/models/{spelling}").error == (404, "RepoNotFound")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"id":1}', b'{"id":"//example.org"}', b'{"id":"a/b"}' + b" " * 5000]
)
def test_an_alias_that_is_none_is_a_fault_of_the_bucket(mirror: Mirror, body: bytes) -> None:
    lost = model(mirror.store)
    put(mirror, alias_key(lost.repo), body)
    assert mirror.get(f"/api/models/{lost.repo.id}").status == 502


def test_a_redirect_stays_below_the_path_of_the_front(public_mirror: Mirror) -> None:
    repo, other = published(public_mirror)
    location = public_mirror.head(f"/{other}/resolve/main/f?x=1").header("Location")
    assert location == f"/hub{repo.at}/resolve/main/f?x=1"
