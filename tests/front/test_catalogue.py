"""The catalogue is served at /: below `/-/` as it lies below `site/`, and with its own headers."""

from __future__ import annotations

import pytest

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.keys import site_key
from tests.front.bucket import dataset, model
from tests.front.mirrors import Mirror

PAGE = b"<!doctype html><title>the catalogue</title>\n"
TYPES = {
    "index.html": "text/html; charset=utf-8",
    "mirror.html": "text/html; charset=utf-8",
    "list/0123456789ab.html": "text/html; charset=utf-8",
    "models/acme--x.html": "text/html; charset=utf-8",
    "datasets/acme--x.html": "text/html; charset=utf-8",
    "status.json": "application/json; charset=utf-8",
    "assets/catalogue.01234567.css": "text/css; charset=utf-8",
    "assets/catalogue.01234567.js": "text/javascript; charset=utf-8",
    "assets/logo.01234567.svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def put(mirror: Mirror, name: str, body: bytes = PAGE) -> None:
    mirror.store.put(site_key(name), body, Sha256.of(body))


def test_the_root_leads_to_the_catalogue_below_whatever_path_a_proxy_has_us(mirror: Mirror) -> None:
    reply = mirror.get("/")
    assert (reply.status, reply.header("Location")) == (302, "-/")
    assert mirror.head("/").header("Location") == "-/"


def test_the_folder_of_the_catalogue_is_its_first_page(mirror: Mirror) -> None:
    put(mirror, "index.html")
    reply = mirror.get("/-/")
    assert (reply.status, reply.body, reply.header("Content-Type")) == (200, PAGE, TYPES["index.html"])


@pytest.mark.parametrize("name", TYPES)
def test_an_object_of_the_catalogue_is_served_as_what_it_is(mirror: Mirror, name: str) -> None:
    put(mirror, name)
    reply = mirror.get(f"/-/{name}")
    assert (reply.status, reply.body) == (200, PAGE)
    assert reply.headers.get_all("Content-Type") == [TYPES[name]]
    assert reply.headers.get_all("Content-Security-Policy") == [POLICY]
    assert reply.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert reply.headers.get_all("Referrer-Policy") == ["no-referrer"]
    caching = "public, max-age=31536000, immutable" if name.startswith("assets/") else "no-cache"
    assert reply.headers.get_all("Cache-Control") == [caching]


def test_a_head_tells_what_a_get_would(mirror: Mirror) -> None:
    put(mirror, "mirror.html")
    head, get = mirror.head("/-/mirror.html"), mirror.get("/-/mirror.html")
    assert (head.status, head.body, head.header("Content-Length")) == (200, b"", str(len(PAGE)))
    assert head.header("ETag") == get.header("ETag")
    assert head.header("Content-Type") == get.header("Content-Type")


def test_who_has_a_page_is_told_so_until_it_changes(mirror: Mirror) -> None:
    put(mirror, "list/aaaaaaaaaaaa.html")
    tag = mirror.get("/-/list/aaaaaaaaaaaa.html").header("ETag")
    assert tag is not None
    reply = mirror.get("/-/list/aaaaaaaaaaaa.html", If_None_Match=tag)
    assert (reply.status, reply.body) == (304, b"")
    put(mirror, "list/aaaaaaaaaaaa.html", b"something longer, on another page")
    mirror.get_until("/-/list/aaaaaaaaaaaa.html", b"something longer, on another page")
    assert mirror.get("/-/list/aaaaaaaaaaaa.html", If_None_Match=tag).status == 200


@pytest.mark.parametrize(
    "target",
    [
        *("/-/none.html", "/-/list/none.html", "/-/models/none--none.html", "/-/assets/none.css", "/-/site/index.html"),
        *("/-/site", "/-/list/", "/-/list", "/-/a/b/c.html", "/-/secret.txt", "/-/hub/models/a--b/refs.json"),
    ],
)
def test_what_is_no_page_is_not_found(mirror: Mirror, target: str) -> None:
    assert mirror.get(target).status == 404


@pytest.mark.parametrize("target", ["/-/../hub/x", "/-/list/..", "/-/list/../index.html", "/-/%2e%2e/index.html"])
def test_nobody_climbs_out_of_the_catalogue(mirror: Mirror, target: str) -> None:
    assert mirror.get(target).status == 400


def test_a_page_is_only_read(mirror: Mirror) -> None:
    put(mirror, "index.html")
    assert mirror.ask("POST", "/-/index.html", body=b"x").status == 405


def test_the_address_that_a_repo_has_upstream_leads_to_its_page(mirror: Mirror) -> None:
    one, other = model(mirror.store), dataset(mirror.store)
    one.publish({"f": b"1"})
    other.publish({"f": b"1"})
    owner, name = one.repo.id.split("/")
    reply = mirror.get(f"/{one.repo.id}")
    assert (reply.status, reply.header("Location")) == (302, f"../-/models/{owner}--{name}.html")
    reply = mirror.get(f"/datasets/{other.repo.id}")
    assert (reply.status, reply.header("Location")) == (
        302,
        f"../../-/datasets/{other.repo.id.replace('/', '--')}.html",
    )


@pytest.mark.parametrize(
    "target", ["/nobody/nothing", "/datasets/nobody/nothing", "/spaces/a/b", "/gpt2", "/api/models"]
)
def test_the_address_of_what_is_not_mirrored_leads_nowhere(mirror: Mirror, target: str) -> None:
    assert mirror.get(target).status == 404
