"""Listings: trees, pages, folders, paths-info."""

from __future__ import annotations

import json
from urllib.parse import urlencode, urlsplit

import pytest

from mirror_sync.domain.content.snapshot import sort_key
from tests.front.bucket import Files, model
from tests.front.mirrors import Mirror, quoted

SMALL_TREE: Files = {
    "README.md": b"# card",
    "a-b": b"1",
    "a.txt": b"2",
    "a/b/c/deep.bin": b"x" * 2000,
    "a/z": b"3",
    "a/b0": b"4",
    'é"\\/ü.txt': b"5",
    "z": b"6",
}


def folders(files: Files) -> set[str]:
    return {path[:at] for path in files for at in range(len(path)) if path[at] == "/"}


def in_order(files: Files) -> list[str]:
    return sorted({*files, *folders(files)}, key=sort_key)


def many(count: int) -> Files:
    return {f"part-{number % 7}/file {number}.bin": b"%d" % (number % 3) for number in range(count)}


def test_a_recursive_listing_is_the_manifest_in_order(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish(SMALL_TREE)
    assert mirror.listed(f"{repo.api}/tree/main?recursive=true&expand=false") == in_order(SMALL_TREE)
    assert mirror.listed(f"{repo.api}/tree/main?recursive=1") == in_order(SMALL_TREE)


def test_entries_have_the_hubs_shape(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish(SMALL_TREE)
    reply = mirror.get(f"{repo.api}/tree/{commit}?recursive=True")
    assert reply.header("X-Repo-Commit") == commit
    entries = {entry["path"]: entry for entry in reply.json}
    assert entries["a/b"]["type"] == "directory"
    assert entries["a/z"]["type"] == "file"
    assert entries["a/z"]["size"] == 1
    assert entries["a/b/c/deep.bin"]["lfs"]["size"] == 2000
    assert not [entry for entry in entries.values() if "xetHash" in entry or "lastCommit" in entry]


def test_expand_adds_the_last_commit_to_every_entry(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish(SMALL_TREE)
    for query in ("recursive=true&expand=true", "expand=True", "recursive=true&expand=1"):
        entries = mirror.get(f"{repo.api}/tree/main?{query}").json
        assert entries
        assert all(entry["lastCommit"]["id"] == commit for entry in entries)
        assert all(entry["lastCommit"]["title"] == 'A title with $& and "quotes"' for entry in entries)


@pytest.mark.parametrize("folder", sorted(folders(SMALL_TREE)))
def test_a_folder_lists_what_lies_in_it(mirror: Mirror, folder: str) -> None:
    repo = model(mirror.store)
    repo.publish(SMALL_TREE)
    inside = [path for path in in_order(SMALL_TREE) if path.startswith(f"{folder}/")]
    direct = [path for path in inside if "/" not in path.removeprefix(f"{folder}/")]
    for spelled in (quoted(folder), quoted(folder) + "/", folder.replace("é", "%C3%A9").replace('"', "%22")):
        assert mirror.listed(f"{repo.api}/tree/main/{spelled}?recursive=true") == inside
        assert mirror.listed(f"{repo.api}/tree/main/{spelled}") == direct


def test_the_top_lists_its_direct_entries(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish(SMALL_TREE)
    direct = [path for path in in_order(SMALL_TREE) if "/" not in path]
    assert mirror.listed(f"{repo.api}/tree/main") == direct
    assert mirror.listed(f"{repo.api}/tree/main/") == direct


def test_a_commit_without_files_has_an_empty_listing(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({})
    assert mirror.get(f"{repo.api}/tree/main?recursive=true").json == []
    assert mirror.get(f"{repo.api}/tree/main?expand=true").json == []
    assert mirror.get(f"{repo.at}/resolve/main/f").error == (404, "EntryNotFound")


def test_pages_bring_a_large_listing_in_order_and_complete(mirror: Mirror) -> None:
    files = many(4000)
    repo = model(mirror.store)
    repo.publish(files)
    first = mirror.get(f"{repo.api}/tree/main?recursive=true&expand=true")
    assert first.next_page is not None
    assert "expand=true" in first.next_page
    assert mirror.listed(f"{repo.api}/tree/main?recursive=true&expand=true") == in_order(files)
    inside = [path for path in in_order(files) if path.startswith("part-3/")]
    assert mirror.listed(f"{repo.api}/tree/main/part-3?recursive=true") == inside
    assert mirror.listed(f"{repo.api}/tree/main/part-3") == inside
    assert mirror.listed(f"{repo.api}/tree/main") == [f"part-{number}" for number in range(7)]


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("folder", ["", "/part-1"])
def test_a_page_of_a_recursive_listing_has_a_thousand_entries_while_more_are_left(
    mirror: Mirror, folder: str, expand: bool
) -> None:
    files = {f"part-{number // 2500}/é {number}.bin": b"1" for number in range(5000)}
    repo = model(mirror.store)
    repo.publish(files)
    pages = mirror.pages(f"{repo.api}/tree/main{folder}?recursive=true&expand={expand}")
    wanted = [path for path in in_order(files) if path.startswith(f"{folder[1:]}/"[not folder :])]
    assert [len(page) for page in pages[:-1]] == [1000] * (len(wanted) // 1000)
    assert [entry["path"] for page in pages for entry in page] == wanted
    assert all(("lastCommit" in entry) is expand for page in pages for entry in page)


def test_a_listing_of_a_thousand_entries_is_one_page(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({f"{number}.bin": b"1" for number in range(1000)})
    for recursive in ("true", "false"):
        assert [len(page) for page in mirror.pages(f"{repo.api}/tree/main?recursive={recursive}")] == [1000]


@pytest.mark.parametrize("folder", ["", "/in"])
def test_a_folder_of_more_than_a_thousand_children_is_listed_in_pages(mirror: Mirror, folder: str) -> None:
    top = f"{folder[1:]}/" if folder else ""
    files = {f"{top}{number}/{deep}": b"1" for number in range(1500) for deep in range(3)}
    files |= {f"{top}é{number}": b"2" for number in range(800)}
    repo = model(mirror.store)
    commit = repo.publish(files)
    pages = mirror.pages(f"{repo.api}/tree/main{folder}?expand=true")
    assert [len(page) for page in pages] == [1000, 1000, 300]
    children = [path for path in in_order(files) if path.startswith(top) and "/" not in path.removeprefix(top)]
    assert [entry["path"] for page in pages for entry in page] == [path for path in children if path != folder[1:]]
    assert all(entry["lastCommit"]["id"] == commit for page in pages for entry in page)


def test_a_page_links_to_where_clients_find_the_front(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish(many(2000))

    def linked(**headers: str) -> str:
        link = mirror.get(f"{repo.api}/tree/main?recursive=true", **headers).header("Link") or ""
        return link.partition("?")[0].removesuffix(f"{repo.api}/tree/{commit}")

    assert linked() == f"<{mirror.url}"
    assert linked(X_Forwarded_Proto="https", X_Forwarded_Host="models.example.org") == "<https://models.example.org"
    assert linked(X_Forwarded_Proto="https", Host="models.example.org:8443") == "<https://models.example.org:8443"
    assert linked(X_Forwarded_Proto="javascript", X_Forwarded_Host='evil">') == f"<{mirror.url}"


def test_what_a_client_said_of_the_host_is_in_no_answer_for_others(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish(many(2000))
    for revision in ("main", commit):
        for method in ("GET", "HEAD"):
            target = f"{repo.api}/tree/{revision}?recursive=true"
            reply = mirror.ask(method, target, {"X-Forwarded-Host": "elsewhere.example"})
            assert "elsewhere" in (reply.header("Link") or "")
            assert reply.header("Cache-Control") == "private, max-age=2"
            assert reply.header("Vary") == "Host, X-Forwarded-Host, X-Forwarded-Prefix, X-Forwarded-Proto"


def test_a_public_url_is_where_all_links_lead_whatever_a_client_says(public_mirror: Mirror) -> None:
    repo = model(public_mirror.store)
    commit = repo.publish(many(2000))
    target = f"{repo.api}/tree/{commit}?recursive=true"
    for headers in ({}, {"X-Forwarded-Host": "elsewhere.example", "X-Forwarded-Proto": "http"}, {"Host": "other"}):
        reply = public_mirror.ask("GET", target, headers)
        assert (reply.header("Link") or "").startswith(f"<https://models.example.org/hub{repo.api}/tree/{commit}?")
        assert (reply.header("Cache-Control"), reply.header("Vary")) == ("public, max-age=60", None)


def test_a_listing_goes_on_with_the_snapshot_it_began_with_or_says_that_it_is_gone(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish(many(2000))
    page = mirror.get(f"{repo.api}/tree/main?recursive=true").next_page or ""
    repo.publish(many(2100))  # the branch moves: the commit stays
    assert mirror.get(page).status == 200
    repo.publish(many(1900), branch=None, commit=commit)  # another selection of the commit
    mirror.get_until(page, b'{"error":"This listing has changed: start again"}')


@pytest.mark.parametrize("cursor", ["x", "1", "-1", "0" * 64 + "-x", "0" * 64, "0" * 64 + "-0-x", "0" * 64 + "-0-1-"])
def test_a_cursor_that_no_page_gave_is_refused(mirror: Mirror, cursor: str) -> None:
    repo = model(mirror.store)
    repo.publish(SMALL_TREE)
    assert mirror.get(f"{repo.api}/tree/main?recursive=true&cursor={cursor}").status == 400


def test_a_cursor_past_the_end_is_refused(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish(SMALL_TREE)
    cursor = f"{repo.root(commit)}-9-0"
    assert mirror.get(f"{repo.api}/tree/main?recursive=true&cursor={cursor}").status == 400


@pytest.mark.parametrize("path", ["z", "none", "a/b/c/deep.bin", "a/b/c/none", "a/", "a%2Fb%2F", "A"])
def test_the_tree_of_what_is_no_folder_is_missing(mirror: Mirror, path: str) -> None:
    repo = model(mirror.store)
    commit = repo.publish(SMALL_TREE)
    reply = mirror.get(f"{repo.api}/tree/main/{path}")
    if path in ("a/", "a%2Fb%2F"):
        assert reply.status == 200
    else:
        assert reply.error == (404, "EntryNotFound")
        assert reply.header("X-Repo-Commit") == commit


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("form", ["form", "json"])
def test_paths_info_tells_what_is_there_in_the_order_asked(mirror: Mirror, form: str, expand: bool) -> None:
    repo = model(mirror.store)
    commit = repo.publish(SMALL_TREE)
    paths = ["z", "none", "a", 'é"\\/ü.txt', "a/b/c/deep.bin"]
    asked = {"paths": paths, "expand": expand}
    if form == "form":
        body, content_type = urlencode(asked, doseq=True), "application/x-www-form-urlencoded"
    else:
        body, content_type = json.dumps(asked), "application/json"
    reply = mirror.ask("POST", f"{repo.api}/paths-info/main", {"Content-Type": content_type}, body.encode())
    assert reply.status == 200
    assert reply.header("X-Repo-Commit") == commit
    assert [entry["path"] for entry in reply.json] == ["z", "a", 'é"\\/ü.txt', "a/b/c/deep.bin"]
    assert all(("lastCommit" in entry) is expand for entry in reply.json)


@pytest.mark.parametrize("body", [b"", b"paths=", b"x=y", b"%%%", b"paths=%ff", b"\xff\xfe"])
def test_paths_info_of_an_odd_form_finds_nothing(mirror: Mirror, body: bytes) -> None:
    repo = model(mirror.store)
    repo.publish(SMALL_TREE)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = mirror.ask("POST", f"{repo.api}/paths-info/main", headers, body)
    assert (reply.status, reply.body) in [(200, b"[]"), (400, reply.body)]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"paths":3}', b'{"paths":null}', b"[" * 5000])
def test_paths_info_of_bad_json_is_refused(mirror: Mirror, body: bytes) -> None:
    repo = model(mirror.store)
    repo.publish(SMALL_TREE)
    reply = mirror.ask("POST", f"{repo.api}/paths-info/main", {"Content-Type": "application/json"}, body)
    assert reply.status == 400


@pytest.mark.parametrize("path", ["\\ud800", "z\\udc00", "\\udc00\\ud800", "\\u0000", "../z", "z" * 5000, "%7a"])
def test_paths_info_of_a_path_that_no_file_can_have_finds_nothing(mirror: Mirror, path: str) -> None:
    repo = model(mirror.store)
    repo.publish(SMALL_TREE)
    body = f'{{"paths":["{path}","z"]}}'.encode()
    reply = mirror.ask("POST", f"{repo.api}/paths-info/main", {"Content-Type": "application/json"}, body)
    assert (reply.status, [entry["path"] for entry in reply.json]) == (200, ["z"])


def test_paths_info_takes_one_path_without_a_list(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish(SMALL_TREE)
    reply = mirror.ask("POST", f"{repo.api}/paths-info/main", {"Content-Type": "application/json"}, b'{"paths":"z"}')
    assert [entry["path"] for entry in reply.json] == ["z"]


def test_links_are_relative_for_a_client_that_names_no_host(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish(many(2000))
    link = mirror.get(f"{repo.api}/tree/main?recursive=true", Host="bad_host()").header("Link")
    if link is not None:  # nginx refuses such a host by itself
        assert urlsplit(link[1:]).netloc == ""
