"""The catalogue is served at /: below `/-/` as it lies below `site/`, and with its own headers.

Where the fronts differ, below `/-/`: nginx refuses an If-Match and an If-Unmodified-Since (412), and a path with `%00`
(400, as HTML) before any of our locations has a say; it packs what serve sends as it is, and says so (`Vary`).
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key, site_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.hub.answers import NOTHING
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import dataset, model, put_parts
from tests.front.mirrors import Mirror, Reply, by_either
from tests.waiting import until

PAGE = b"<!doctype html><title>the catalogue</title>\n"
TYPES = {
    "index.html": "text/html; charset=utf-8",
    "mirror.html": "text/html; charset=utf-8",
    "list/0123456789ab.html": "text/html; charset=utf-8",
    "models/acme--x.html": "text/html; charset=utf-8",
    "datasets/acme--x.html": "text/html; charset=utf-8",
    "status.json": "application/json; charset=utf-8",
    "feed.atom": "application/atom+xml; charset=utf-8",
    "assets/catalogue.01234567.css": "text/css; charset=utf-8",
    "assets/catalogue.01234567.js": "text/javascript; charset=utf-8",
    "assets/logo.01234567.svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def put(mirror: Mirror, name: str, body: bytes = PAGE) -> None:
    """And wait until it is given: nginx keeps for a moment what another test has put under that name."""
    mirror.store.put(site_key(name), body, Sha256.of(body))
    mirror.get_until(f"/-/{name}", body)


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
    assert reply.headers.get_all("Referrer-Policy") == ["same-origin"]
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
    assert mirror.get("/-/list/aaaaaaaaaaaa.html", If_None_Match=tag).status == 200


PARTS = {
    "changes.json": b'{"format":1,"days":["<b>&\\u4e2d"]}\n',
    "feed.atom": "<?xml version='1.0'?>\n<feed>Söhne & \u4e2d &lt;</feed>\n".encode(),
    "tunasync.json": b'[{"name":"one"}]\n',
    "list/0123456789ab.json": b'[\n{"a":1},\n{"b":2}\n]\n',
}


@pytest.mark.parametrize("name", PARTS)
def test_a_document_that_is_a_part_of_a_page_is_given_as_if_it_were_an_object(mirror: Mirror, name: str) -> None:
    put_parts(mirror.store, PARTS, words="<p>两 pages</p>".encode())
    body = PARTS[name].replace(b"<", b"\\u003c") if name.endswith(".json") else PARTS[name]
    mirror.get_until(f"/-/{name}", body)
    get, head = mirror.get(f"/-/{name}"), mirror.head(f"/-/{name}")
    kind = "application/atom+xml" if name.endswith(".atom") else "application/json"
    assert (get.status, get.header("Content-Type")) == (200, f"{kind}; charset=utf-8")
    assert get.headers.get_all("Content-Security-Policy") == [POLICY]
    assert get.headers.get_all("Cache-Control") == ["no-cache"]
    tag = get.header("ETag")
    assert (head.status, head.body, head.header("ETag"), head.header("Content-Type")) == (
        *(200, b"", tag),
        get.header("Content-Type"),
    )
    assert tag is not None
    told = mirror.get(f"/-/{name}", If_None_Match=tag)
    assert (told.status, told.body, told.header("ETag")) == (304, b"", tag)


def test_a_page_that_changes_beside_its_part_leaves_the_part_as_it_was(mirror: Mirror) -> None:
    """A feed is asked for again and again: what is the same is not sent anew."""
    put_parts(mirror.store, PARTS)
    mirror.get_until("/-/feed.atom", PARTS["feed.atom"])
    tag = mirror.get("/-/feed.atom").header("ETag")
    put_parts(mirror.store, PARTS, words=b"<p>other words</p>")
    until(lambda: b"other words" in mirror.get("/-/index.html").body)
    assert mirror.get("/-/feed.atom", If_None_Match=str(tag)).status == 304


def test_what_a_page_has_no_part_for_is_an_object_or_nothing(mirror: Mirror) -> None:
    """So it is in what a program of before has published, and where the operator wants it for another server."""
    put(mirror, "index.html", b"<p>without a part</p>")
    put(mirror, "feed.atom", b"<feed/>")
    mirror.get_until("/-/feed.atom", b"<feed/>")
    assert mirror.get("/-/mirrorz.json").status == 404
    assert mirror.get("/-/list/ffffffffffff.json").status == 404


@pytest.mark.parametrize(
    "target",
    [
        *("/-/none.html", "/-/list/none.html", "/-/models/none--none.html", "/-/assets/none.css", "/-/site/index.html"),
        *(
            "/-/site",
            "/-/part/index.html",
            "/-/list/",
            "/-/list",
            "/-/a/b/c.html",
            "/-/secret.txt",
            "/-/hub/models/a--b/refs.json",
        ),
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
    "target", ["/nobody/nothing", "/datasets/nobody/nothing", "/spaces/a/b", "/gpt2", "/api/spaces"]
)
def test_the_address_of_what_is_not_mirrored_leads_nowhere(mirror: Mirror, target: str) -> None:
    assert mirror.get(target).status == 404


def refused(reply: Reply) -> tuple[int, str | None, str | None]:
    return reply.status, reply.header("Content-Type"), reply.header("X-Error-Code")


@pytest.mark.parametrize(
    "target",
    [f"/-/{name}" for name in ("pointer", "document", "blob", "blob.json", "documents/hub/x", "slices", "site")],
)
@pytest.mark.parametrize("spelled", ["/-/", "/%2d/"])
def test_the_names_of_places_inside_a_front_are_paths_like_any_other(mirror: Mirror, target: str, spelled: str) -> None:
    reply = mirror.get(target.replace("/-/", spelled))
    assert refused(reply) == (404, "application/json; charset=utf-8", None)
    assert reply.json == {"error": NOTHING}
    assert reply.headers.get_all("Content-Security-Policy") == ["default-src 'none'; sandbox"]
    assert reply.header("Cache-Control") == "no-store"


def test_a_folder_is_no_page_and_nobody_learns_where_it_is(mirror: Mirror) -> None:
    mirror.store.put(site_key("models/folder/x.html"), PAGE, Sha256.of(PAGE))
    for target in ("/-/models/folder", "/-/models/folder/", "/-/models"):
        reply = mirror.get(target)
        assert refused(reply) == (404, "application/json; charset=utf-8", None)
        assert reply.header("Location") is None


@pytest.mark.parametrize("span", ["bytes=0-4", "bytes=9999-", "bytes=-1", "bytes=0-0,2-3", "x"])
def test_a_page_comes_whole_whatever_range_is_asked_for(mirror: Mirror, span: str) -> None:
    put(mirror, "index.html")
    reply = mirror.get("/-/index.html", Range=span)
    assert (reply.status, reply.body) == (200, PAGE)
    assert (reply.header("Accept-Ranges"), reply.header("Content-Range")) == (None, None)


def test_every_answer_about_a_page_has_the_policy_of_pages(mirror: Mirror) -> None:
    """A 304 too: a browser takes its headers over to the page that it keeps."""
    put(mirror, "index.html")
    tag = mirror.get("/-/index.html").header("ETag") or ""
    for asked in (
        {"If_None_Match": tag},
        {"If_None_Match": f"W/{tag}"},
        {"If_None_Match": "*"},
        {"If_Match": '"other"'},
    ):
        reply = mirror.get("/-/index.html", **asked)
        assert reply.headers.get_all("Content-Security-Policy") == [POLICY], asked
        if reply.status == 304:
            assert (reply.header("ETag") or "").removeprefix("W/") == tag
            assert reply.header("Cache-Control") == "no-cache"
            assert reply.header("Content-Type") is None


def test_a_redirect_has_no_body_and_no_type(mirror: Mirror) -> None:
    one = model(mirror.store)
    one.publish({"f.json": b"1"})
    for reply in (mirror.get("/"), mirror.get(f"/{one.repo.id}"), mirror.head(f"/{one.repo.id}/resolve/main/f.json")):
        assert reply.status in (302, 307)
        assert (reply.body, reply.header("Content-Type"), reply.header("Content-Length")) == (b"", None, "0")


@pytest.mark.parametrize("name", TYPES)
def test_what_is_packed_is_the_same_when_it_is_unpacked(mirror: Mirror, name: str) -> None:
    body = PAGE + b"".join(b"<li>acme/model-%d\n" % number for number in range(5000))
    put(mirror, name, body)
    reply = mirror.get(f"/-/{name}", Accept_Encoding="gzip")
    packed = reply.header("Content-Encoding") == "gzip"
    assert (gzip.decompress(reply.body) if packed else reply.body) == body
    assert reply.headers.get_all("Content-Type") == [TYPES[name]]
    if packed:
        assert len(reply.body) < len(body) / 5
        assert reply.header("Vary") == mirror.get(f"/-/{name}").header("Vary") == "Accept-Encoding"
    again = mirror.get(f"/-/{name}", Accept_Encoding="gzip", If_None_Match=reply.header("ETag") or "")
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("mirror", ["nginx"], indirect=True)
@pytest.mark.parametrize("name", TYPES)
def test_nginx_packs_all_of_the_catalogue(mirror: Mirror, name: str) -> None:
    body = PAGE + b"a line that is long enough to be worth it\n" * 200
    put(mirror, name, body)
    assert mirror.get(f"/-/{name}", Accept_Encoding="gzip").header("Content-Encoding") == "gzip"


def test_no_file_of_a_repo_and_no_answer_of_the_hub_is_packed(mirror: Mirror) -> None:
    repo = model(mirror.store)
    body = b'{"a": 1}\n' * 5000
    commit = repo.publish(dict.fromkeys(("a.json", "b.txt", "c.html", "d.js", "e.svg", "f.css", "g.bin"), body))
    targets = [f"/{repo.repo.id}/resolve/{commit}/{name}" for name in ("a.json", "b.txt", "c.html", "d.js", "g.bin")]
    for target in (*targets, f"/{repo.repo.id}/resolve/main/e.svg", f"/{blob_key(Sha256.of(body))}"):
        reply = mirror.get(target, Accept_Encoding="gzip")
        assert (reply.status, reply.body, reply.header("Content-Encoding")) == (200, body, None), target
    for target in (f"/api/models/{repo.repo.id}", f"/api/models/{repo.repo.id}/tree/main"):
        assert mirror.get(target, Accept_Encoding="gzip").header("Content-Encoding") is None


def test_two_versions_of_one_size_and_one_second_are_two(mirror: Mirror, directory_bucket: DirectoryTarget) -> None:
    """As pages are, of two publications in a row; the first of them must not be taken for the newest for ever."""
    one, other = b"at 18:00" + PAGE, b"at 18:01" + PAGE
    put(mirror, "list/second.html", one)
    tag = mirror.get("/-/list/second.html").header("ETag") or ""
    file = directory_bucket.root / site_key("list/second.html")
    second = int(file.stat().st_mtime) if file.exists() else 0
    put(mirror, "list/second.html", other)
    if isinstance(mirror.store, DirectoryStore):
        os.utime(file, ns=(second * 10**9, second * 10**9 + 5))
    mirror.get_until("/-/list/second.html", other)
    assert mirror.get("/-/list/second.html", If_None_Match=tag).status == 200


@pytest.fixture(params=["serve", "nginx"])
def bare(request: pytest.FixtureRequest, directory_bucket: DirectoryTarget, tmp_path: Path) -> Iterator[Mirror]:
    """A front of a mirror that publishes no catalogue."""
    with by_either(request.param, directory_bucket, tmp_path, site=False) as running:
        yield running


def test_without_a_catalogue_no_address_leads_there(bare: Mirror) -> None:
    one = model(bare.store)
    commit = one.publish({"f": b"1"})
    for target in ("/", f"/{one.repo.id}"):
        reply = bare.get(target)
        assert refused(reply) == (404, "application/json; charset=utf-8", None)
        assert reply.json == {"error": "This mirror publishes no catalogue"}
        assert reply.header("Location") is None
    assert refused(bare.get("/datasets/nobody/nothing"))[2] == "RepoNotFound"
    assert bare.get(f"/{one.repo.id}/resolve/{commit}/f").body == b"1"
