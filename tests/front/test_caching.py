"""How long others may keep an answer is what jobs.yaml says, and what is not for everybody is kept for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import Caching
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.guarded import ACCESS, TOKENS, Guarded, bearer, write_tokens
from tests.front.mirrors import Mirror, by_nginx, by_serve, s3_store
from tests.requirements import need
from tests.stores.places import target_of

CACHING = Caching(immutable=3600, pointers=7)
ONCE, SOON = "max-age=3600, immutable", "max-age=7"


@pytest.fixture(scope="module", params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return target_of(request, tmp_path_factory.mktemp("cached"), caching=CACHING)


@pytest.fixture(scope="module")
def guarded(place: Target) -> Guarded:
    return Guarded.filled(DirectoryStore(place.root) if isinstance(place, DirectoryTarget) else s3_store(place))


@pytest.fixture(scope="module", params=["serve", "nginx"])
def front(
    request: pytest.FixtureRequest, place: Target, guarded: Guarded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mirror]:
    folder: Path = tmp_path_factory.mktemp("front")
    tokens = write_tokens(folder / "tokens.yaml")
    if request.param == "serve":
        running = by_serve(guarded.store, access=ACCESS, tokens=tokens, caching=CACHING)
    else:
        need("nginx")
        options = NginxOptions(place, access=ACCESS, tokens=tokens, by_digest=True, caching=CACHING)
        running = by_nginx(guarded.store, options, folder / "nginx")
    with running as mirror:
        yield mirror


def said(front: Mirror, target: str, role: str = "", method: str = "GET") -> str | None:
    reply = front.ask(method, target, bearer(TOKENS.get(role, "")))
    assert reply.status in {200, 206, 302, 307}, reply
    assert "Authorization" in (reply.header("Vary") or "")
    return reply.header("Cache-Control")


@pytest.mark.parametrize(("name", "role", "whose"), [("pub/plain", "", "public"), ("team/inner", "admins", "private")])
def test_what_a_commit_names_is_kept_long_and_what_a_branch_leads_to_for_a_moment(
    front: Mirror, guarded: Guarded, name: str, role: str, whose: str
) -> None:
    commit = guarded.commits[name]
    for path in ("README.md", "data/part.bin"):
        for method in ("GET", "HEAD"):
            assert said(front, f"/{name}/resolve/{commit}/{path}", role, method) == f"{whose}, {ONCE}"
    assert said(front, f"/{name}/resolve/main/README.md", role) == f"{whose}, {SOON}"
    assert said(front, f"/api/models/{name}", role) == f"{whose}, {SOON}"
    assert said(front, f"/api/models/{name}/refs", role) == f"{whose}, {SOON}"


def test_contents_by_digest_are_kept_long_by_who_may_read_them_alone(front: Mirror, guarded: Guarded) -> None:
    assert said(front, guarded.digest_address("pub/plain"), "admins") == f"private, {ONCE}"


def test_the_look_of_the_catalogue_is_kept_long_and_its_pages_are_asked_for_each_time(front: Mirror) -> None:
    assert said(front, "/-/assets/style.css") == f"public, {ONCE}"
    assert said(front, "/-/") == "no-cache"


def test_a_refusal_is_kept_by_nobody(front: Mirror) -> None:
    for target in ("/team/inner/resolve/main/README.md", "/nobody/knows/resolve/main/a", "/api/models/team/inner"):
        assert front.get(target).header("Cache-Control") == "no-store"


@pytest.mark.parametrize("revision", ["main", ""])
def test_a_range_of_nothing_is_refused_alike_and_says_nothing_of_caches(
    front: Mirror, guarded: Guarded, revision: str
) -> None:
    for name, role in (("pub/plain", ""), ("team/inner", "admins")):
        target = f"/{name}/resolve/{revision or guarded.commits[name]}/README.md"
        refused = front.ask("GET", target, {"Range": "bytes=99999-", **bearer(TOKENS.get(role, ""))})
        assert (refused.status, refused.header("Cache-Control"), refused.header("Vary")) == (416, "no-store", None)
