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
