"""The Hub's lists of repos, and what is told of a repo that is known and not here: as the catalogue has written it.

A catalogue is one for all tests of a bucket: each test writes it anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

import pytest
from huggingface_hub import HfApi

from mirror_sync.catalogue.pages import missing_page
from mirror_sync.domain.catalogue import published_lists
from mirror_sync.domain.catalogue.rows import ListPage, RepoRow, cut_list
from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Kind
from tests.front.bucket import model, put_parts
from tests.front.mirrors import Mirror, Reply

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
WHY = "licence cc-by-nc-4.0 is not in licenses.allow: \u00e9"


DATES = {
    "BAAI/bge": "2026-11-20T08:00:00.000Z",
    "gpt2": "2022-03-02T23:29:04.000Z",
    "Many/model-0007": "2026-11-21T08:00:00.000Z",
    "Many/model-0003": "2026-11-20T08:00:00.000Z",
    "Many/model-0009": "",
}


def item(repo: str, tags: Sequence[str] = ()) -> str:
    dates = {"lastModified": DATES[repo], "createdAt": "2020-01-01T00:00:00.000Z"} if repo in DATES else {}
    known = {"id": repo, "sha": "a" * 40, "downloads": 0, "likes": 0, "tags": list(tags), "private": False}
    return json.dumps(known | dates)


def here(kind: Kind, repo: str, *tags: str) -> RepoRow:
    return RepoRow(kind, repo, "published", commit="a" * 40, item=item(repo, tags))


def lacking(state: str, repo: str) -> RepoRow:
    return RepoRow(Kind.MODEL, repo, state, why=WHY)


ROWS = [
    *(here(Kind.MODEL, f"Many/model-{number:04}", "license:mit") for number in range(1050)),
    here(Kind.MODEL, "BAAI/bge", "license:mit", "x", "has space"),
    here(Kind.MODEL, "baal/other", "license:mit"),
    here(Kind.MODEL, "gpt2"),
    replace(here(Kind.MODEL, "zed/asks", "en"), item=item("zed/asks", ["en"]).replace("{", '{"gated": "auto", ', 1)),
    here(Kind.DATASET, "acme/data", "license:mit"),
    here(Kind.DATASET, "acme/rows", "language:en", "task_categories:other"),
    *(
        lacking(state, f"acme/{state}")
        for state in ("refused", "held", "gated", "gone", "failed", "never", "elsewhere")
    ),
]


def publish(mirror: Mirror) -> list[ListPage]:
    pages = list(cut_list(ROWS))
    for page in pages:
        put_parts(mirror.store, {published_lists.page_name(page.name): published_lists.encode_page(page.rows)})
    put(mirror, site_key("missing.html"), missing_page())
    put(mirror, site_key(published_lists.INDEX), published_lists.encode_index(pages))
    mirror.get_until("/-/lists.json", published_lists.encode_index(pages))
    return pages


def put(mirror: Mirror, key: str, body: bytes) -> None:
    mirror.store.put(key, body, Sha256.of(body))


@pytest.fixture
def listing(mirror: Mirror) -> Mirror:
    publish(mirror)
    return mirror


def ids(mirror: Mirror, target: str) -> list[str]:
    """Of all pages, as a client that follows links sees them."""
    found: list[str] = []
    page: str | None = target
    while page is not None:
        reply = mirror.get(page)
        assert reply.status == 200, reply
        found += [one["id"] for one in reply.json]
        page = reply.next_page
    return found


def in_order(kind: Kind) -> list[str]:
    return sorted((row.repo for row in ROWS if row.kind is kind and row.commit), key=str.lower)


@pytest.mark.parametrize("limit", ["", "?limit=7", "?limit=1000&full=true&config=true", "?limit=99999"])
def test_a_list_has_all_that_is_published_over_its_pages_and_no_more(listing: Mirror, limit: str) -> None:
    assert ids(listing, f"/api/models{limit}") == in_order(Kind.MODEL)
    assert ids(listing, f"/api/datasets{limit}") == ["acme/data", "acme/rows"]


def test_a_page_has_as_many_as_were_asked_for_and_a_thousand_at_most(listing: Mirror) -> None:
    assert len(listing.get("/api/models?limit=7").json) == 7
    first = listing.get("/api/models")
    assert (len(first.json), first.next_page is None) == (1000, False)
    for bad in ("limit=0", "limit=-1", "limit=x", "limit=1e3", "gated=maybe", "gated=__proto__"):
        assert listing.get(f"/api/models?{bad}").status == 400


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("author=BAAI", ["BAAI/bge"]),
        ("author=baai&expand=sha&expand=tags", ["BAAI/bge"]),
        ("author=nobody", []),
        ("search=BG", ["BAAI/bge"]),
        ("search=pt", ["gpt2"]),
        ("filter=x", ["BAAI/bge"]),
        ("filter=x&filter=license:mit", ["BAAI/bge"]),
        ("filter=x,license%3Amit", ["BAAI/bge"]),
        ("filter=has+space", ["BAAI/bge"]),
        ("filter=y&author=BAAI", []),
        ("author=acme", []),
        ("author=many&search=-0007", ["Many/model-0007"]),
        ("search=MODEL&search=-0007&search=", ["Many/model-0007"]),
        ("gated=true", ["zed/asks"]),
        ("gated=True&author=BAAI", []),
        ("gated=false&search=b", ["BAAI/bge", "baal/other"]),
        ("gated=&apps=&author=BAAI", ["BAAI/bge"]),
    ],
)
def test_a_list_is_narrowed_by_author_search_and_filter(listing: Mirror, query: str, wanted: list[str]) -> None:
    assert ids(listing, f"/api/models?{query}") == wanted


def newest_first() -> list[str]:
    """Those whose date is known, and then the others by their names."""
    known = ["Many/model-0007", "BAAI/bge", "Many/model-0003", "gpt2"]
    return known + [one for one in in_order(Kind.MODEL) if one not in known]


@pytest.mark.parametrize(
    "query", ["sort=lastModified", "sort=last_modified&limit=300", "sort=lastModified&direction=-1"]
)
def test_a_list_is_sorted_by_date_over_all_its_pages_and_what_has_none_comes_last(listing: Mirror, query: str) -> None:
    assert ids(listing, f"/api/models?{query}") == newest_first()


def test_a_sorted_list_is_narrowed_as_any_other(listing: Mirror) -> None:
    first = listing.get("/api/models?sort=lastModified&author=many&limit=2").json
    assert [one["id"] for one in first] == newest_first()[:3:2]
    assert ids(listing, "/api/models?sort=createdAt&search=b")[0] == "BAAI/bge"
    assert ids(listing, "/api/datasets?sort=lastModified") == ["acme/data", "acme/rows"]
    assert ids(listing, "/api/models?sort=lastModified&author=nobody") == []


@pytest.mark.parametrize("order", ["downloads", "likes", "trendingScore", "x" * 3000, "__proto__", "lastModified\n"])
def test_an_order_that_nobody_here_knows_is_refused_in_words(listing: Mirror, order: str) -> None:
    reply = listing.get(f"/api/models?{urlencode({'sort': order})}")
    assert (reply.status, "download or like" in (reply.header("X-Error-Message") or "")) == (501, True)


@pytest.mark.parametrize("query", ["author=BAAI&apps=ollama", "num_parameters=min:6B"])
def test_what_a_list_cannot_do_is_refused_and_not_passed_over(listing: Mirror, query: str) -> None:
    reply = listing.get(f"/api/models?{query}")
    assert (reply.status, "author, search, filter" in (reply.header("X-Error-Message") or "")) == (501, True)


def test_the_client_of_the_hub_reads_the_lists(listing: Mirror) -> None:
    api = HfApi(endpoint=listing.url, token=False)
    assert [one.id for one in api.list_models(author="BAAI")] == ["BAAI/bge"]
    assert [one.id for one in api.list_models(search="model-", limit=5)] == in_order(Kind.MODEL)[3:8]
    assert len(list(api.list_models())) == len(in_order(Kind.MODEL))
    assert [one.id for one in api.list_datasets(filter="license:mit")] == ["acme/data"]
    assert [one.id for one in api.list_datasets(dataset_name="rows", search="acme")] == ["acme/rows"]
    assert [one.id for one in api.list_datasets(language="en", task_categories=["other"])] == ["acme/rows"]
    assert [one.id for one in api.list_datasets(sort="last_modified")] == ["acme/data", "acme/rows"]
    assert [one.id for one in api.list_models(gated=True)] == ["zed/asks"]
    assert [one.id for one in api.list_models(gated=False, filter=["x", "license:mit"])] == ["BAAI/bge"]
    assert [one.id for one in api.list_models(sort="last_modified", limit=3)] == newest_first()[:3]
    assert [one.id for one in api.list_models(search="bge", full=True, cardData=True)] == ["BAAI/bge"]
    assert [one.id for one in api.list_models(search="bge", expand=["lastModified", "downloads"])] == ["BAAI/bge"]


def test_agents_are_told_that_nothing_is_asked_of_them(mirror: Mirror) -> None:
    reply = mirror.get("/api/agent-harnesses")
    assert (reply.status, reply.body) == (200, b'{"standardEnvVars":[],"harnesses":{}}')


def told(reply: Reply) -> str:
    message = reply.header("X-Error-Message") or ""
    assert message.isascii()
    assert re.sub("[^ -~]+", "?", reply.json["error"]) == message
    return message


@pytest.mark.parametrize("state", ["refused", "held", "gated"])
def test_what_was_decided_against_is_gated_with_its_reason(listing: Mirror, state: str) -> None:
    for target in (f"/api/models/acme/{state}", f"/acme/{state}/resolve/main/config.json"):
        reply = listing.get(target)
        assert (reply.error, reply.header("X-Mirror-State")) == ((403, "GatedRepo"), state)
        assert WHY.replace("\u00e9", "?") in told(reply)
        assert f"{listing.url}/-/models/acme--{state}.html" in told(reply)
    assert listing.head(f"/acme/{state}/resolve/main/config.json").error == (403, "GatedRepo")


@pytest.mark.parametrize("state", ["gone", "failed", "never", "elsewhere"])
def test_what_is_asked_for_and_not_here_is_missing_with_its_reason(listing: Mirror, state: str) -> None:
    reply = listing.get(f"/api/models/acme/{state}")
    assert (reply.error, reply.header("X-Mirror-State")) == ((404, "RepoNotFound"), state)
    assert WHY.replace("\u00e9", "?") in told(reply)


def test_what_nobody_asks_for_is_missing_and_the_catalogue_is_named(listing: Mirror) -> None:
    for target in ("/api/models/nobody/nothing", "/nobody/nothing/resolve/main/f", "/api/datasets/acme/refused"):
        reply = listing.get(target)
        assert reply.error == (404, "RepoNotFound")
        assert f"{listing.url}/-/" in told(reply)


def test_a_browser_is_led_to_the_page_of_what_is_known(listing: Mirror) -> None:
    for target, up in (
        ("/acme/held", "../"),
        ("/acme/held/resolve/main/a/b", "../" * 5),
        ("/api/models/acme/held", "../" * 3),
    ):
        reply = listing.ask("GET", target, BROWSER)
        assert (reply.status, reply.header("Location")) == (302, f"{up}-/models/acme--held.html")


def test_a_browser_gets_a_page_where_nothing_is(listing: Mirror) -> None:
    repo = model(listing.store)
    repo.publish({"f": b"1"})
    for target in (
        "/x",
        "/nobody/nothing",
        "/nobody/nothing/resolve/main/f",
        "/-/none.html",
        f"{repo.at}/resolve/main/no",
    ):
        reply = listing.ask("GET", target, BROWSER)
        up = "../" * (target.count("/") - 1)
        assert (reply.status, reply.header("Content-Type")) == (404, "text/html; charset=utf-8"), target
        assert f'href="{up}-/index.html"'.encode() in reply.body
        assert b"@up/" not in reply.body
        assert "script-src 'self'" in (reply.header("Content-Security-Policy") or "")
        assert len(reply.headers.get_all("Content-Security-Policy") or []) == 1
    assert listing.get(f"{repo.at}/resolve/main/no").error == (404, "EntryNotFound")


def test_an_address_that_was_told_stands_in_reasons(public_mirror: Mirror) -> None:
    publish(public_mirror)
    address = "https://models.example.org/hub/-/"
    assert address in told(public_mirror.get("/api/models/nobody/nothing"))
    assert f"{address}models/acme--held.html" in told(public_mirror.get("/api/models/acme/held"))
    link = public_mirror.get("/api/models?limit=2&search=model").header("Link") or ""
    assert link.startswith("<https://models.example.org/hub/api/models?limit=2&search=model&cursor=")
    assert urlsplit(link[1:]).query
