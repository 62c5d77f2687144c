"""Below a path, and with tokens, all leads back there: redirects, pages of lists, refusals, the way to log in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.guarded import ACCESS, TOKENS, Guarded, bearer, write_tokens
from tests.front.mirrors import Mirror, Reply, by_either

URL = "https://models.example.org/hub"
PAGE = "https://page.example.org"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> DirectoryTarget:
    return DirectoryTarget(tmp_path_factory.mktemp("below"))


@pytest.fixture(scope="module")
def guarded(place: DirectoryTarget) -> Guarded:
    return Guarded.filled(DirectoryStore(place.root))


@pytest.fixture(scope="module", params=["serve", "nginx"])
def front(
    request: pytest.FixtureRequest,
    place: DirectoryTarget,
    guarded: Guarded,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mirror]:
    folder: Path = tmp_path_factory.mktemp("front")
    tokens = write_tokens(folder / "tokens.yaml")
    with by_either(request.param, place, folder / "nginx", access=ACCESS, tokens=tokens, public_url=URL) as mirror:
        yield mirror


def asked(front: Mirror, target: str, role: str = "", method: str = "GET") -> Reply:
    return front.ask(method, target, {"Origin": PAGE, **bearer(TOKENS.get(role, ""))})


def test_a_redirect_to_a_commit_and_to_another_name_stays_below(front: Mirror, guarded: Guarded) -> None:
    pinned = asked(front, "/team/inner/resolve/main/README.md", "admins", "HEAD")
    assert pinned.header("Location") == f"/hub/team/inner/resolve/{guarded.commits['team/inner']}/README.md"
    other = asked(front, "/former/team-inner/resolve/main/README.md", "admins")
    assert (other.status, other.header("Location")) == (307, "/hub/team/inner/resolve/main/README.md")


def test_the_next_page_of_a_list_is_below_for_whoever_asks(front: Mirror) -> None:
    for role in ("", "admins", "developers"):
        listed = asked(front, "/api/models?limit=1", role)
        more = listed.header("Link")
        assert listed.status == 200
        assert more is None or more.startswith(f"<{URL}/api/models?limit=1&cursor=")
    assert asked(front, "/api/models?limit=1", "admins").header("Link") is not None


def test_a_browser_logs_in_below_and_a_client_learns_whose_token_it_has(front: Mirror) -> None:
    wanted = asked(front, "/-/login")
    assert (wanted.status, (wanted.header("WWW-Authenticate") or "").split()[0]) == (401, "Basic")
    back = asked(front, "/-/login", "admins")
    assert (back.status, back.header("Location")) == (302, "./")
    assert asked(front, "/api/whoami-v2", "admins").json["name"] == "the-admins"


def test_a_refusal_names_the_catalogue_below(front: Mirror) -> None:
    refused = asked(front, "/team/inner/resolve/main/README.md")
    assert (refused.error, f"what is: {URL}/-/" in refused.json["error"]) == ((404, "RepoNotFound"), True)


def test_pages_of_other_origins_may_read_all_of_it_and_send_a_token(front: Mirror, guarded: Guarded) -> None:
    commit = guarded.commits["team/inner"]
    for target in (f"/team/inner/resolve/{commit}/README.md", "/api/whoami-v2", "/api/models", "/-/", "/-/login"):
        assert asked(front, target, "admins").header("Access-Control-Allow-Origin") == "*"
        before = front.ask("OPTIONS", target, {"Origin": PAGE, "Access-Control-Request-Headers": "authorization"})
        assert (before.status, "Authorization" in (before.header("Access-Control-Allow-Headers") or "")) == (204, True)
