"""Where clients believe a front to be: an endpoint written with a final slash, and a front below a path."""

from __future__ import annotations

import pytest

from tests.front.bucket import Published, dataset, model
from tests.front.mirrors import Mirror


def _everything(repo: Published, commit: str) -> list[str]:
    """The targets of all that a client asks of a repo."""
    return [
        *(f"{repo.at}/resolve/{revision}/f.txt" for revision in (commit, "main")),
        *(f"{repo.api}{end}" for end in ("", "/refs", "/revision/main", "/tree/main", "/commits/main", "/auth-check")),
    ]


@pytest.mark.parametrize("slashes", ["//", "////"])
def test_leading_slashes_count_as_one(mirror: Mirror, slashes: str) -> None:
    for repo in (model(mirror.store), dataset(mirror.store)):
        commit = repo.publish({"f.txt": b"1"})
        for target in (*_everything(repo, commit), f"{repo.at}/resolve/main/none", "/nothing/here/at/all", "/healthz"):
            for method in ("GET", "HEAD"):
                one, many = mirror.ask(method, target), mirror.ask(method, slashes + target.removeprefix("/"))
                assert (many.status, many.body) == (one.status, one.body), target
                for name in ("ETag", "Location", "X-Repo-Commit", "X-Error-Code"):
                    assert many.header(name) == one.header(name), target


@pytest.mark.parametrize("target", ["//../x", "//%2e%2e/x", "//acme/x/resolve/main/../f"])
def test_nobody_climbs_behind_leading_slashes(mirror: Mirror, target: str) -> None:
    assert mirror.get(target).status == 400


@pytest.mark.parametrize("name", ["pointer", "document", "blob", "documents/hub/x", "slices", "site/index.html"])
def test_leading_slashes_open_no_place_inside_a_front(mirror: Mirror, name: str) -> None:
    assert mirror.get(f"//-/{name}").error == (404, None)


def test_slashes_inside_a_path_count(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"a/f": b"1"})
    assert mirror.get(f"{repo.at}/resolve/main/a//f").error == (404, "EntryNotFound")
    assert mirror.get(f"{repo.at}//resolve/main/a/f").status == 404


LISTING = {f"{number:04d}": b"1" for number in range(1100)}  # more than a page


def _led(mirror: Mirror, repo: Published, **headers: str) -> list[str]:
    """Where a redirect and a link lead."""
    moved = mirror.head(f"{repo.at}/resolve/main/0001", **headers)
    listed = mirror.get(f"{repo.api}/tree/main", **headers)
    assert (moved.status, listed.status) == (307, 200)
    return [moved.header("Location") or "", (listed.header("Link") or "").partition(">")[0].removeprefix("<")]


def test_every_address_that_a_front_makes_has_the_path_of_its_public_url(public_mirror: Mirror) -> None:
    repo = model(public_mirror.store)
    commit = repo.publish(LISTING)
    for headers in ({}, {"X_Forwarded_Prefix": "/other"}):
        location, link = _led(public_mirror, repo, **headers)
        assert location == f"/hub{repo.at}/resolve/{commit}/0001"
        assert link.startswith(f"https://models.example.org/hub{repo.api}/tree/")
    reply = public_mirror.head(f"{repo.at}/resolve/main/0001", X_Forwarded_Prefix="/other")
    assert (reply.header("Cache-Control"), reply.header("Vary")) == ("public, max-age=2", None)


@pytest.mark.parametrize("told", ["/hf", "/hf/", "/a-b/c.d_~1", " /hf , /ignored", "/" + "x" * 255])
def test_a_proxy_says_which_path_it_takes_away(mirror: Mirror, told: str) -> None:
    repo, prefix = model(mirror.store), told.partition(",")[0].strip().rstrip("/")
    commit = repo.publish(LISTING)
    location, link = _led(mirror, repo, X_Forwarded_Prefix=told)
    assert location == f"{prefix}{repo.at}/resolve/{commit}/0001"
    assert link.startswith(f"{mirror.url}{prefix}{repo.api}/tree/")


@pytest.mark.parametrize(
    "told", ["", "/", "hf", "//hf", "/a//b", "/..", "/a/../b", "/.a", "/a b", "/a%2fb", "/a?b", "/" + "x" * 256]
)
def test_a_path_that_is_not_plain_plays_no_part(mirror: Mirror, told: str) -> None:
    repo = model(mirror.store)
    commit = repo.publish(LISTING)
    location, link = _led(mirror, repo, X_Forwarded_Prefix=told)
    assert location == f"{repo.at}/resolve/{commit}/0001"
    assert link.startswith(f"{mirror.url}{repo.api}/tree/")


def test_no_cache_gives_a_redirect_that_one_client_led_to_another(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"})
    plain, below = (
        mirror.head(f"{repo.at}/resolve/main/f", **headers) for headers in ({}, {"X_Forwarded_Prefix": "/hf"})
    )
    assert plain.header("Vary") == below.header("Vary") == "X-Forwarded-Prefix"
    assert (plain.header("Cache-Control"), below.header("Cache-Control")) == ("public, max-age=2", "private, max-age=2")
