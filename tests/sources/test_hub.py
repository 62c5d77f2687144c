"""What HubSource asks the Hub, how often, and what it makes of the answers, hostile ones included."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.errors import BadAnswer, Unreachable, UnsafePath
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from tests.sources.reading import FILES, TINY, fill_hub, listed, published
from tests.sources.relays import below
from tests.standin import Hub, faults
from tests.standin.answer import Answer, Request

SECRET = "hf_this-is-a-secret"
OID, DIGEST = "b" * 40, "c" * 64
FILE: dict[str, Any] = {"type": "file", "path": "a", "size": 3, "oid": OID}
LFS: dict[str, Any] = {**FILE, "lfs": {"oid": DIGEST, "size": 3, "pointerSize": 120}}
INFO: dict[str, Any] = {"id": "acme/tiny", "sha": OID, "tags": [], "cardData": {}}


@pytest.fixture(autouse=True)
def filled(hub: Hub) -> None:
    fill_hub(hub)


def answering(hub: Hub, answer: object, match: str = "*", **headers: str) -> None:
    hub.faults.add(faults.status(200, headers, json.dumps(answer).encode()), match)


def test_each_verb_costs_one_call(hub: Hub, source: HubSource) -> None:
    commit = CommitId(hub.model("acme/tiny").head())
    for verb in (
        lambda: source.resolve(TINY, "main"),
        lambda: source.refs(TINY),
        lambda: source.authorize(TINY),
        lambda: [*source.list(TINY, commit)],
        lambda: source.history(TINY, commit),
        lambda: [*source.search(RepoPattern.parse("acme/*"))],
    ):
        hub.log.clear()
        verb()
        assert len(hub.log) == 1


def test_a_space_has_no_gate_and_a_kernel_is_asked_of_without_words(hub: Hub, source: HubSource) -> None:
    """The Hub refuses questions that it takes of models: of the gate of a space, and any of a kernel."""
    for kind in ("space", "kernel"):
        hub.world.repo(kind, "acme/other").commit({"README.md": "---\nlicense: mit\n---\n"})
        repo = Repo.parse(f"{kind}:acme/other")
        found = source.resolve(repo, "main")
        assert (found.described["gated"], found.terms.gated, found.terms.licenses) == (False, False, frozenset({"mit"}))
    (listed_space,) = source.search(RepoPattern.parse("space:acme/*"))
    assert isinstance(listed_space, Resolved)
    assert listed_space.described["gated"] is False
    space, kernel = Repo.parse("space:acme/other"), Repo.parse("kernel:acme/other")
    assert [one.queried for one in source.heads([space, Repo.parse("space:acme/more")]).found] == [space]
    hub.log.clear()
    source.heads([kernel, Repo.parse("kernel:acme/more")])
    assert not hub.log


def test_a_renamed_repo_is_followed_and_reported(hub: Hub, source: HubSource) -> None:
    hub.rename("acme/tiny", "acme/mini")
    found = source.resolve(TINY, "main")
    assert found.renamed
    assert (found.queried, found.canonical) == (TINY, Repo.parse("acme/mini"))
    assert found.described["id"] == "acme/mini"


def test_a_rename_that_forgets_the_revision_is_asked_again(hub: Hub, source: HubSource) -> None:
    first = hub.model("acme/tiny").head()
    hub.model("acme/tiny").tag("v1")
    hub.model("acme/tiny").commit({"more.txt": "more"})
    hub.rename("acme/tiny", "acme/mini")
    hub.faults.add(faults.status(307, {"Location": "/api/models/acme/mini"}), "/api/models/acme/tiny/*")
    assert source.resolve(TINY, "v1").commit == first


@pytest.mark.parametrize("revision", ["v1", "feature/x y", "refs/pr/1", "refs/heads/main"])
def test_every_spelling_of_a_revision_resolves(hub: Hub, source: HubSource, revision: str) -> None:
    repo = hub.model("acme/tiny")
    repo.tag("v1")
    repo.branch("feature/x y")
    repo.pull_request(1, {"b": "b"})
    found = repo.find(revision)
    assert found is not None
    assert source.resolve(TINY, revision).commit == found.id


def test_branches_tags_and_conversions_are_told_apart(hub: Hub, source: HubSource) -> None:
    hub.model("acme/tiny").tag("v1").branch("dev").commit({"x": "y"}, branch="refs/convert/parquet")
    assert {(ref.group, ref.name) for ref in source.refs(TINY)} == {
        ("branches", "main"),
        ("branches", "dev"),
        ("tags", "v1"),
        ("converts", "parquet"),
    }


def test_a_long_listing_comes_in_pages_and_is_pinned_to_its_commit(hub: Hub, source: HubSource) -> None:
    hub.behaviour.tree_page = 10
    commit = CommitId(hub.model("acme/tiny").commit({f"f/{n:03}": str(n) for n in range(95)}))
    hub.faults.before(lambda _: hub.model("acme/tiny").commit({"f/late": "late"}), "*/tree/*")
    paths = {file.path for file in source.list(TINY, commit)}
    assert len(paths) == 100
    assert "f/late" not in paths


def test_a_history_is_the_newest_fifty_in_one_call(hub: Hub, source: HubSource) -> None:
    for number in range(60):
        head = CommitId(hub.model("acme/tiny").commit({"n": str(number)}, title=f"Number {number}"))
    hub.log.clear()
    history = source.history(TINY, head)
    assert [commit.title for commit in history] == [f"Number {number}" for number in range(59, 9, -1)]
    assert len(hub.log) == 1


def test_a_list_of_repos_comes_in_pages_of_one_call_each(hub: Hub, source: HubSource) -> None:
    for number in range(25):
        hub.model(f"many/m{number:02}", license="mit").commit({"a": str(number)})
    hub.model("many/empty")
    hub.behaviour.list_page = 10
    hub.log.clear()
    found = listed(source, "many/*")
    assert len(found) == 25
    assert {"mit"} == set().union(*(each.terms.licenses for each in found))
    assert len(hub.log) == 3


def test_gated_and_private_repos_are_listed_as_such(hub: Hub, transport: Transport) -> None:
    hub.model("acme/tiny", gated="manual")
    hub.model("acme/second", private=True)
    source = HubSource(hub.url, hub.token(SECRET, private=["acme/second"]), transport)
    found = {each.queried.id: each.terms for each in listed(source, "acme/*")}
    assert found["acme/tiny"].gated
    assert found["acme/second"].private


def test_a_licence_list_with_name_and_link_is_read(hub: Hub, source: HubSource) -> None:
    card = {"license": ["other"], "license_name": "Own", "license_link": "https://x.example"}
    hub.model("acme/tiny", card=card, license_tags=["mit"])
    terms = source.resolve(TINY, "main").terms
    assert (terms.card, terms.tags) == (frozenset({"other"}), frozenset({"mit"}))
    assert (terms.name, terms.link) == ("Own", "https://x.example")


def test_our_name_and_version_are_told(hub: Hub, source: HubSource) -> None:
    commit, files = published(source)
    with source.fetch(TINY, commit, files["config.json"]):
        pass
    assert len(hub.log) >= 3
    assert all(record.user_agent.startswith("mirror-sync/") for record in hub.log)
    assert all("x-mirror-sync-slip" not in record.request.headers for record in hub.log)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        "a string",
        None,
        {"type": "file"},
        {**FILE, "size": -1},
        {**FILE, "size": "3"},
        {**FILE, "size": 3.5},
        {**FILE, "size": None},
        {**FILE, "size": True},
        {**FILE, "path": 7},
        {**FILE, "oid": "x"},
        {**FILE, "oid": None},
        {**LFS, "lfs": "yes"},
        {**LFS, "lfs": {}},
        {**LFS, "lfs": {**LFS["lfs"], "oid": OID}},
        {**LFS, "lfs": {**LFS["lfs"], "size": 4}},
        {**LFS, "lfs": {**LFS["lfs"], "pointerSize": "120"}},
    ],
)
def test_a_listing_that_is_not_one_is_a_bad_answer(hub: Hub, source: HubSource, entry: object) -> None:
    answering(hub, [entry])
    with pytest.raises(BadAnswer):
        [*source.list(TINY, CommitId(OID))]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":"x"}', b"[[", b"null", b"7", b"[" * 100_000, b"\xff\xfe"])
def test_an_answer_that_is_not_the_json_expected_is_a_bad_answer(hub: Hub, source: HubSource, body: bytes) -> None:
    hub.faults.add(faults.status(200, {}, body))
    for verb in (
        lambda: source.resolve(TINY, "main"),
        lambda: source.refs(TINY),
        lambda: [*source.list(TINY, CommitId(OID))],
        lambda: source.history(TINY, CommitId(OID)),
        lambda: [*source.search(RepoPattern.parse("acme/*"))],
    ):
        with pytest.raises(BadAnswer):
            verb()


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a//b", "a/./b", "", "a\0b", "x" * 5000, "\ud800"])
def test_a_name_that_must_not_be_published_is_refused(hub: Hub, source: HubSource, path: str) -> None:
    answering(hub, [{**FILE, "path": path}])
    with pytest.raises(UnsafePath):
        [*source.list(TINY, CommitId(OID))]


def test_a_path_that_is_listed_twice_is_a_bad_answer(hub: Hub, source: HubSource) -> None:
    answering(hub, [FILE, LFS])
    with pytest.raises(BadAnswer, match="twice"):
        [*source.list(TINY, CommitId(OID))]


@pytest.mark.parametrize(
    "change",
    [
        {"sha": "main"},
        {"sha": None},
        {"id": 7},
        {"id": "../../x"},
        {"tags": "mit"},
        {"tags": [7]},
        {"cardData": "mit"},
        {"cardData": ["mit"]},
    ],
)
def test_a_description_that_is_not_one_is_a_bad_answer(hub: Hub, source: HubSource, change: dict[str, object]) -> None:
    answering(hub, INFO | change)
    with pytest.raises(BadAnswer):
        source.resolve(TINY, "main")


def test_another_commit_than_the_one_asked_for_is_a_bad_answer(hub: Hub, source: HubSource) -> None:
    answering(hub, INFO)
    with pytest.raises(BadAnswer, match="asked for commit"):
        source.resolve(TINY, "a" * 40)


@pytest.mark.parametrize(
    "history", [[], [{"id": OID}], [{"id": "a" * 40, "title": "t", "date": "d", "authors": []}], ["x"], [{}]]
)
def test_a_history_that_is_not_of_this_commit_is_a_bad_answer(
    hub: Hub, source: HubSource, history: list[object]
) -> None:
    answering(hub, history)
    with pytest.raises(BadAnswer):
        source.history(TINY, CommitId(OID))


SAME_PAGE = {
    "the Hub's own address": ("http://[^/]+", "https://huggingface.co"),
    "another server of ours": ("http://[^/]+", "{cdn}"),
    "a path before it": ("http://[^/]+", "https://hub.example/hf"),
    "an alias of the repo": ("http://[^/]+/api/models/acme/tiny", "https://huggingface.co/api/models/Acme/Tiny-2"),
    "no scheme": ("http://[^/]+", "//hub.example"),
    "a path alone": ("http://[^/]+", ""),
    "a query alone": ("[^?>]+", ""),
}


@pytest.mark.parametrize(("told", "instead"), SAME_PAGE.values(), ids=SAME_PAGE)
def test_a_next_page_is_asked_of_the_endpoint_whichever_address_its_link_names(
    hub: Hub, transport: Transport, told: str, instead: str
) -> None:
    """The Hub names itself, though a mirror was asked; RFC 8288 allows a relative one."""
    hub.behaviour.tree_page = hub.behaviour.list_page = 1
    source = HubSource(hub.url, hub.token(SECRET), transport)

    def reworded(_: Request, answer: Answer) -> Answer:
        link = re.sub(f"<{told}", f"<{instead.format(cdn=hub.cdn_url)}", answer.headers.get("Link", ""))
        return answer.having({"Link": link})

    hub.faults.add(reworded, origin="hub")
    assert published(source)[1].keys() == FILES.keys()
    assert len(listed(source, "acme/*")) == 2
    assert hub.calls("GET", "/api/models/acme/tiny/tree/*") == len(FILES) + 1  # and a folder
    assert hub.calls("GET", "/api/models") == 2
    assert all(record.had_authorization for record in hub.log)
    assert hub.calls(origin="cdn") == 0


def test_behind_a_path_the_next_page_is_asked_below_it(hub: Hub, transport: Transport) -> None:
    """A gateway takes its path away before it asks the Hub, which therefore names none."""
    hub.behaviour.tree_page = 2
    with below(hub.url, "/hf") as url:
        assert published(HubSource(url, None, transport))[1].keys() == FILES.keys()
    assert hub.calls("GET", "/api/models/acme/tiny/tree/*") == 3


@pytest.mark.parametrize(
    "link",
    [
        *("{cdn}/next", "file:///x", "https://evil.example/next", "http://[", "//", "http://x:port/", "/api/datasets"),
        *(
            "{hub}/api/models/acme/tiny/refs?cursor=1",
            "https://name@huggingface.co/api/models?cursor=1",
            "/api/models/",
        ),
    ],
)
def test_a_next_page_of_another_list_or_at_no_address_is_refused_and_nobody_asked(
    hub: Hub, transport: Transport, link: str
) -> None:
    source = HubSource(hub.url, hub.token(SECRET), transport)
    answering(hub, [], Link=f'<{link.format(cdn=hub.cdn_url, hub=hub.url)}>; rel="next"')
    for verb in (lambda: [*source.list(TINY, CommitId(OID))], lambda: [*source.search(RepoPattern.parse("acme/*"))]):
        with pytest.raises(BadAnswer, match="not an answer as the Hub gives it"):
            verb()
    assert hub.calls() == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_answer_that_is_elsewhere_is_not_asked_for(hub: Hub, transport: Transport, status: int) -> None:
    source = HubSource(hub.url, hub.token(SECRET), transport)
    commit = source.resolve(TINY, "main").commit
    hub.faults.add(faults.status(status, {"Location": f"{hub.cdn_url}/api"}), origin="hub")
    for verb in (
        lambda: source.resolve(TINY, "main"),
        lambda: source.refs(TINY),
        lambda: source.authorize(TINY),
        lambda: [*source.list(TINY, commit)],
        lambda: source.history(TINY, commit),
        lambda: [*source.search(RepoPattern.parse("acme/*"))],
        source.prove,
    ):
        with pytest.raises(BadAnswer, match="refused"):
            verb()
    assert hub.calls(origin="cdn") == 0


HOSTILE = [
    ("sha", b'"main"'),
    ("sha", b"7"),
    ("cardData", b'{"x":"cut emoji \\ud83d"}'),
    ("cardData", b'{"\\ud83d":1}'),
    ("cardData", b'{"license":"x\\udc00"}'),
    ("cardData", b"[1]"),
    ("cardData", b'{"x":1e999}'),
    ("cardData", b'{"x":-1e999}'),
    ("cardData", b'{"x":' + b"[" * 500 + b"]" * 500 + b"}"),
    ("tags", b'["license:\\ud83d"]'),
    ("tags", b'"mit"'),
    ("lastModified", b'"\\ud83d"'),
]


@pytest.mark.parametrize(("key", "value"), HOSTILE, ids=[f"{key} {value[:20]!r}" for key, value in HOSTILE])
def test_one_bad_entry_of_a_list_is_a_repo_of_its_own_and_no_end_to_the_others(
    hub: Hub, source: HubSource, key: str, value: bytes
) -> None:
    sound = {**INFO, "cardData": {"license": "mit"}, "lastModified": "x"}
    marked = json.dumps([{**sound, key: "HOSTILE"}, {**sound, "id": "acme/second"}]).encode()
    hub.faults.add(faults.status(200, {}, marked.replace(b'"HOSTILE"', value)), "/api/models")
    bad, good = source.search(RepoPattern.parse("acme/*"))
    assert bad == TINY
    assert isinstance(good, Resolved)
    assert good.queried.id == "acme/second"


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity", b"9" * 5000])
def test_what_is_no_json_is_no_answer(hub: Hub, source: HubSource, word: bytes) -> None:
    hub.faults.add(faults.status(200, {}, json.dumps(INFO).encode().replace(b"{}", b'{"x":' + word + b"}")))
    with pytest.raises(BadAnswer):
        source.resolve(TINY, "main")


def test_pages_that_go_round_in_a_circle_end(hub: Hub, source: HubSource) -> None:
    answering(hub, [], Link=f'<{hub.url}/api/models?x=1>; rel="next"')
    with pytest.raises(BadAnswer, match="circle"):
        [*source.search(RepoPattern.parse("acme/*"))]


def test_redirects_that_go_round_in_a_circle_end(hub: Hub, source: HubSource) -> None:
    hub.faults.add(faults.status(307, {"Location": "/api/models/acme/tiny"}))
    with pytest.raises(BadAnswer):
        source.resolve(TINY, "main")


def test_every_call_is_given_up_when_the_hub_falls_silent(hub: Hub) -> None:
    source = HubSource(hub.url, None, Transport(timeouts=Timeouts(connect=5, stall=0.5, first_byte=0.5)))
    hub.faults.add(faults.delay(20))
    for verb in (
        lambda: source.resolve(TINY, "main"),
        lambda: source.refs(TINY),
        lambda: [*source.list(TINY, CommitId(OID))],
        lambda: [*source.search(RepoPattern.parse("acme/*"))],
    ):
        with pytest.raises(Unreachable, match="timed out"):
            verb()
    assert hub.calls() == 4
