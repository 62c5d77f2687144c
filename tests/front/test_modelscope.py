"""What ModelScope's clients ask is answered from the snapshot that a revision leads to, on every front and target."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from mirror_sync.domain.content import alias
from mirror_sync.domain.content.keys import alias_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.front.protocols.modelscope_api import MOST_LISTED
from tests.front.bucket import Published, commit_id, dataset, model
from tests.front.mirrors import Mirror, Reply

FILES = {
    "README.md": b"# a card",
    "config.json": b"{}",
    "sub/empty.txt": b"",
    "sub/deep/weights.bin": bytes(range(256)) * 8,
    "odd +%&#?=\u00e9/\u65e5\u672c.txt": b"odd",
}


def at(repo: Published, end: str = "", start: str = "/api/v1", **query: str) -> str:
    asked = f"?{urlencode(query)}" if query else ""
    return f"{start}/{repo.repo.kind.plural}/{repo.repo.id}{end}{asked}"


def told(reply: Reply) -> Any:
    """What an answer of theirs is about."""
    assert reply.status == 200, reply.body
    document = reply.json
    assert (document["Code"], document["Success"], document["Message"]) == (200, True, "success")
    assert isinstance(document["RequestId"], str)
    return document["Data"]


def listed(mirror: Mirror, repo: Published, end: str = "/repo/files", **query: str) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = told(mirror.get(at(repo, end, **query)))["Files"]
    return files


def paths(entries: list[dict[str, Any]], kind: str = "blob") -> set[str]:
    return {one["Path"] for one in entries if one["Type"] == kind}


def refused(reply: Reply) -> tuple[int, int, str]:
    """Status, their number and the words of a refusal in their shape."""
    document = json.loads(reply.body)
    assert (document["Success"], document["Data"], document["RequestId"]) == (False, None, "")
    assert reply.header("X-Error-Message")
    assert reply.header("Access-Control-Allow-Origin") == "*"
    return reply.status, document["Code"], document["Message"]


@pytest.fixture
def repo(mirror: Mirror) -> Published:
    one = model(mirror.store)
    one.publish(FILES)
    return one


def test_a_listing_names_every_file_with_its_size_and_its_sha256(mirror: Mirror, repo: Published) -> None:
    entries = listed(mirror, repo, Revision="master", Recursive="True")
    assert paths(entries) == set(FILES)
    for one in entries:
        name = one["Path"].rpartition("/")[2]
        assert one["Name"] == name
        if one["Type"] == "blob":
            body = FILES[one["Path"]]
            assert (one["Size"], one["Sha256"]) == (len(body), Sha256.of(body))
    assert paths(entries, "tree") == {"sub", "sub/deep", "odd +%&#?=\u00e9"}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, {"README.md", "config.json"}),
        ({"Recursive": "False", "Root": "/"}, {"README.md", "config.json"}),
        ({"Recursive": "False", "Root": "sub"}, {"sub/empty.txt"}),
        ({"Recursive": "True", "Root": "/sub/"}, {"sub/empty.txt", "sub/deep/weights.bin"}),
        ({"Recursive": "True", "Root": "odd +%&#?=\u00e9"}, {"odd +%&#?=\u00e9/\u65e5\u672c.txt"}),
        ({"Recursive": "True", "Root": "none"}, set()),
        ({"Recursive": "True", "Root": "README.md"}, set()),
        ({"Recursive": "True", "Root": "../sub"}, set()),
        ({"Recursive": "True", "Root": "x" * 5000}, set()),
    ],
)
def test_a_folder_is_listed_alone_and_one_that_is_not_there_has_nothing(
    mirror: Mirror, repo: Published, query: dict[str, str], wanted: set[str]
) -> None:
    assert paths(listed(mirror, repo, **query)) == wanted


def test_every_file_is_given_by_its_path_in_the_query(mirror: Mirror, repo: Published) -> None:
    for path, body in FILES.items():
        reply = mirror.get(at(repo, "/repo", Revision="master", FilePath=path))
        assert (reply.status, reply.body, reply.header("Accept-Ranges")) == (200, body, "bytes"), path
        head = mirror.head(at(repo, "/repo", FilePath=path))
        assert (head.status, head.header("Content-Length")) == (200, str(len(body)))


def test_a_file_is_given_in_parts_as_older_clients_ask_for_the_whole(mirror: Mirror, repo: Published) -> None:
    path, body = "sub/deep/weights.bin", FILES["sub/deep/weights.bin"]
    whole = mirror.get(at(repo, "/repo", FilePath=path), Range=f"bytes=0-{len(body) - 1}")
    assert (whole.status, whole.body) == (206, body)
    rest = mirror.get(at(repo, "/repo", FilePath=path), Range="bytes=100-")
    assert (rest.status, rest.body, rest.header("Content-Range")) == (206, body[100:], f"bytes 100-2047/{len(body)}")
    assert mirror.get(at(repo, "/repo", FilePath=path), Range="bytes=5000-").status == 416


def test_master_is_the_default_branch_and_all_names_of_a_commit_lead_there(mirror: Mirror) -> None:
    repo = model(mirror.store)
    first = repo.publish({"f": b"first"})
    repo.publish({"f": b"second"})
    repo.tag("v1.0", first)
    repo.publish({"f": b"old"}, branch="master")
    said = {name: mirror.get(at(repo, "/repo", FilePath="f", **query)).body for name, query in _names(first).items()}
    assert said == {
        "nothing": b"second",
        "master": b"second",
        "main": b"second",
        "its full name": b"old",
        "tag": b"first",
        "commit": b"first",
    }


def _names(commit: str) -> dict[str, dict[str, str]]:
    return {
        "nothing": {},
        "master": {"Revision": "master"},
        "main": {"Revision": "main"},
        "its full name": {"Revision": "refs/heads/master"},
        "tag": {"Revision": "v1.0"},
        "commit": {"Revision": commit},
    }


REVISIONS = {
    "Revision=v1.0": b"first",
    "Revision=": b"second",
    "Revision": b"second",
    "Revision=v1.0&Revision=": b"second",
    "Revision=v1.0&Revision": b"second",
    "Revision=&Revision=v1.0": b"first",
    "Revision=master&Revision=v1.0": b"first",
    "Revision=v1.0&Revision=main": b"second",
    "revision=v1.0": b"second",
    "Rev%69sion=v1%2E0": b"first",
    "&&Revision=v1.0&": b"first",
    "Revision=v1.0;Revision=main": None,
    "Revision=v1.0+": None,
    "Revision=v1.0=": None,
}


def test_the_last_of_several_revisions_counts_also_where_it_is_empty(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.tag("v1.0", repo.publish({"f": b"first"}))
    repo.publish({"f": b"second"})
    for asked, body in REVISIONS.items():
        for address in (f"{at(repo, '/repo')}?{asked}&FilePath=f", f"{at(repo, '/repo')}?FilePath=f&{asked}"):
            reply = mirror.get(address)
            if body is None:
                assert refused(reply)[0] == 404, address
            else:
                assert (reply.status, reply.body) == (200, body), address


def test_of_a_repo_without_main_its_master_is_given(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"}, branch="master")
    assert mirror.get(at(repo, "/repo", FilePath="f")).body == b"1"
    assert paths(listed(mirror, repo, Recursive="True")) == {"f"}


def test_all_revisions_are_told_as_branches_so_that_no_client_takes_a_tag_for_the_default(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"1"})
    repo.tag("v1.0", commit)
    told_of = told(mirror.get(at(repo, "/revisions")))["RevisionMap"]
    assert told_of["Tags"] == []
    assert [one["Revision"] for one in told_of["Branches"]] == ["master", "main", "v1.0", commit]
    for one in told_of["Branches"]:
        assert mirror.get(at(repo, "/repo", Revision=one["Revision"], FilePath="f")).status == 200
        assert set(one) == {"Revision", "ShowName", "CreatedAt"}


def test_what_is_told_of_a_repo_has_its_name_for_an_id(mirror: Mirror) -> None:
    repo = model(mirror.store)
    card = {"cardData": {"license": "mit", "siblings": []}, "tags": ["x", 1], "gated": "auto"}
    repo.publish({"f": b"12345"}, described=card)
    about = told(mirror.get(at(repo)))
    assert (about["Id"], f"{about['Path']}/{about['Name']}") == (repo.repo.id, repo.repo.id)
    assert (about["License"], about["Tags"], about["Visibility"], about["StorageSize"]) == ("mit", ["x"], 5, 5)
    assert about["LastUpdatedTime"] == 1795161600
    newer = mirror.get(at(repo, start="/openapi/v1")).json
    assert newer["success"] is True
    assert (newer["data"]["id"], newer["data"]["license"], newer["data"]["file_size"]) == (repo.repo.id, "mit", 5)
    assert (newer["data"]["private"], newer["data"]["gated"]) == (False, True)


def test_a_file_keeps_what_clients_know_it_by_while_it_stays_the_same(mirror: Mirror) -> None:
    repo = model(mirror.store)
    known = [
        {one["Path"]: one["Revision"] for one in listed(mirror, repo, Revision=commit)}
        for commit in (repo.publish({"kept": b"1", "changed": b"1"}), repo.publish({"kept": b"1", "changed": b"2"}))
    ]
    assert known[0]["kept"] == known[1]["kept"]
    assert known[0]["changed"] != known[1]["changed"]


@pytest.mark.parametrize("size", [1, 7, 200, 5000])
def test_pages_of_a_dataset_have_as_many_as_were_asked_for_until_the_last(mirror: Mirror, size: int) -> None:
    repo = dataset(mirror.store)
    few = 40 if size < 200 else 3000
    files = {f"data/{n % 7}/{n:05}.txt": b"%d" % (n % 9) for n in range(few)} | {"z/last": b"z", "a": b"a"}
    repo.publish(files)
    for root in ("", "/", "data", "data/3", "z"):
        whole = [one["Path"] for one in listed(mirror, repo, "/repo/tree", Recursive="True", Root=root)]
        pages = list(_pages(mirror, repo, size, root))
        assert [path for page in pages for path in page] == whole, root
        assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert listed(mirror, repo, "/repo/tree", Recursive="True", PageNumber="999999999", PageSize="9") == []


def _pages(mirror: Mirror, repo: Published, size: int, root: str) -> Iterator[list[str]]:
    """As clients turn them: a short one is the last."""
    number = 1
    while True:
        query = {"Recursive": "True", "Root": root, "PageNumber": str(number), "PageSize": str(size)}
        page = [one["Path"] for one in listed(mirror, repo, "/repo/tree", **query)]
        yield page
        if len(page) < size:
            return
        number += 1


def test_a_folder_is_paged_without_what_lies_deeper(mirror: Mirror) -> None:
    repo = dataset(mirror.store)
    repo.publish({f"{n:03}/x": b"1" for n in range(30)} | {f"f{n:03}": b"1" for n in range(20)})
    whole = [one["Path"] for one in listed(mirror, repo, "/repo/tree")]
    assert len(whole) == 50
    pages = [
        [one["Path"] for one in listed(mirror, repo, "/repo/tree", PageNumber=str(n), PageSize="20")] for n in (1, 2, 3)
    ]
    assert [len(page) for page in pages] == [20, 20, 10]
    assert [path for page in pages for path in page] == whole


def test_what_is_too_much_for_one_answer_is_refused_and_never_cut(mirror: Mirror) -> None:
    repo = dataset(mirror.store)
    repo.publish({f"{n // 10000}/{n:06}": b"" for n in range(MOST_LISTED + 5)})
    for target in (
        at(repo, "/repo/files", Recursive="True"),
        at(repo, "/repo/tree", Recursive="True"),
        at(repo, "/repo/tree", Recursive="False", PageNumber="3000", PageSize="10"),
    ):
        status, number, words = refused(mirror.get(target))
        assert (status, number, "hf download" in words) == (413, 413, True), target
    assert len(listed(mirror, repo, Recursive="True", Root="1")) == 10000
    last = listed(mirror, repo, "/repo/tree", Recursive="True", PageNumber="101", PageSize="200")
    assert [one["Path"] for one in last] == ["1/019998", "1/019999", "2", *(f"2/02000{n}" for n in range(5))]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"PageNumber": "0"}, 400),
        ({"PageNumber": "-1"}, 400),
        ({"PageNumber": "x"}, 400),
        ({"PageNumber": "1e3"}, 400),
        ({"PageNumber": "9" * 40}, 400),
        ({"PageNumber": "\u0663"}, 400),
        ({"PageNumber": "1\n"}, 400),
        ({"PageNumber": "1", "PageSize": "0"}, 400),
        ({"PageNumber": "1", "PageSize": str(MOST_LISTED + 1)}, 400),
        ({"PageNumber": "1", "PageSize": "5" * 4000}, 400),
        ({"Revision": "x" * 5000}, 404),
        ({"Revision": "none"}, 404),
        ({"Revision": commit_id()}, 404),
    ],
)
def test_what_no_client_means_is_refused_in_their_shape(
    mirror: Mirror, repo: Published, query: dict[str, str], status: int
) -> None:
    assert refused(mirror.get(at(repo, "/repo/tree", Recursive="True", **query)))[0] == status


@pytest.mark.parametrize(
    ("target", "status", "number"),
    [
        ("/api/v1/models/acme/none", 404, 10010205001),
        ("/openapi/v1/models/acme/none", 404, 10010205001),
        ("/api/v1/datasets/acme/none/repo/tree", 404, 10010205001),
        ("{repo}/repo?FilePath=none", 404, 10990101007),
        ("{repo}/repo", 404, 10990101007),
        ("{repo}/repo?FilePath=%ff%00%zz&FilePath=..%2f..", 404, 10990101007),
        ("{repo}/repo?Revision=%ff&FilePath=README.md", 404, 404),
        ("{repo}/repo?FilePath=sub", 404, 10990101007),
        ("{repo}/%2e%2e/repo/files", 400, 400),
        ("{repo}/repo/files%zz", 400, 400),
        ("/api/v1/models/acme/none/no/such/thing", 404, 404),
        ("/api/v1/models/gpt2", 404, 404),
        ("/api/v1/login", 404, 404),
        ("/openapi/v1/models?owner=x", 404, 404),
        ("/api/v1/repos/internalAccelerationInfo", 404, 404),
    ],
)
def test_a_fault_is_answered_in_their_shape(
    mirror: Mirror, repo: Published, target: str, status: int, number: int
) -> None:
    if target.endswith("%zz"):
        assert mirror.get(target.format(repo=at(repo))).status == status  # nginx refuses it before it asks anybody
        return
    assert refused(mirror.get(target.format(repo=at(repo))))[:2] == (status, number)


def test_whoever_writes_is_told_that_the_mirror_is_read_only(mirror: Mirror, repo: Published) -> None:
    for method, target in (("POST", "/api/v1/models"), ("DELETE", at(repo)), ("PUT", "/api/v1/dolphin/models")):
        status, _, words = refused(mirror.ask(method, target, body=b"{}"))
        assert (status, "read-only" in words) == ((404, False) if target == "/api/v1/models" else (405, True)), target
    assert "MODELSCOPE_API_TOKEN" in refused(mirror.ask("POST", "/api/v1/login", body=b"{}"))[2]


def test_a_former_name_leads_to_the_repo_with_all_that_was_asked(mirror: Mirror, repo: Published) -> None:
    former = Repo(repo.repo.kind, f"former/{repo.repo.id.partition('/')[2]}")
    body = alias.encode(repo.repo)
    mirror.store.put(alias_key(former), body, Sha256.of(body))
    for target in (at(repo), at(repo, "/repo", FilePath="config.json"), at(repo, start="/openapi/v1")):
        reply = mirror.get(target.replace(repo.repo.id, former.id))
        assert (reply.status, reply.header("Location")) == (307, target)


def test_a_page_of_another_origin_may_ask_and_read(mirror: Mirror, repo: Published) -> None:
    asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "GET"}
    for target in (
        at(repo),
        at(repo, "/repo/files"),
        at(repo, "/repo", FilePath="config.json"),
        at(repo, "/revisions"),
    ):
        assert mirror.ask("OPTIONS", target, asked).status == 204
        assert mirror.get(target, Origin="https://app.example.org").header("Access-Control-Allow-Origin") == "*"
