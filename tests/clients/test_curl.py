"""Plain HTTP gets from a mirror what a browser, a cache or a script expects, and odd requests a clean refusal."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clients.curl import Reply, curl
from tests.clients.mirror import Mirror
from tests.parts import program
from tests.requirements import need

Ask = Callable[..., Reply]
SECRET = "root:"
"""What no answer to a path that climbs may hold."""
CLIMBING = (
    "/../../../../../../etc/passwd",
    "/{repo}/resolve/main/../../../../../../../etc/passwd",
    "/{repo}/resolve/main/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/{repo}/resolve/main/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/{repo}/resolve/main/%252e%252e%252f%252e%252e%252fetc/passwd",
    "/{repo}/resolve/../../../../etc/passwd",
    "/{repo}/resolve/..%2f..%2f..%2fetc/passwd",
    "/blobs/sha256/../../../../../../etc/passwd",
    "/blobs/sha256/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/api/models/../../../../../../etc/passwd",
    "/api/models/..%2f..%2f..%2fetc%2fpasswd",
    "/api/models/{repo}/tree/main/..%2f..%2f..%2fetc%2fpasswd",
    "/{repo}/resolve/main/config.json%00.txt",
    "/{repo}/resolve/main/%ff%fe",
    "/{repo}/resolve/main/%zz",
    "//etc/passwd",
)


@pytest.fixture
def ask(mirror: Mirror, tmp_path: Path) -> Ask:
    """curl, against this mirror: `ask(path, *options)`."""
    need("curl")
    return lambda path, *options: curl(f"{mirror.url}{path}", *options, folder=tmp_path)


def at(mirror: Mirror, path: str, revision: str = "main") -> str:
    """The path of a file of the suite's model."""
    return f"/{mirror.truth.model.id}/resolve/{revision}/{quote(path)}"


def test_get_gives_the_whole_file_and_its_commit(mirror: Mirror, ask: Ask) -> None:
    for path in ("config.json", "model.bin", "odd names/percent%20.txt", "empty.txt"):
        truth, reply = mirror.truth.model.files[path], ask(at(mirror, path))
        assert (reply.status, len(reply.body)) == (200, truth.size)
        assert hashlib.sha256(reply.body).hexdigest() == truth.sha256
        assert reply.headers["ETag"] == f'"{truth.etag}"'
        assert reply.headers["X-Repo-Commit"] == mirror.truth.model.commit


def test_head_of_a_branch_leads_to_the_commit_by_a_relative_address(mirror: Mirror, ask: Ask) -> None:
    reply = ask(at(mirror, "model.bin"), "--head")
    assert (reply.status, reply.headers["Location"]) == (307, at(mirror, "model.bin", mirror.truth.model.commit))
    assert reply.headers["X-Repo-Commit"] == mirror.truth.model.commit


def test_head_of_a_commit_tells_what_get_would_send(mirror: Mirror, ask: Ask) -> None:
    truth = mirror.truth.model.files["model.bin"]
    reply = ask(at(mirror, "model.bin", mirror.truth.model.commit), "--head")
    assert reply.status == 200
    assert reply.headers["Content-Length"] == str(truth.size)
    assert reply.headers["ETag"] == f'"{truth.etag}"'
    assert reply.headers["Accept-Ranges"] == "bytes"


def test_curl_saves_a_file_of_main_without_following_redirects(mirror: Mirror, tmp_path: Path) -> None:
    need("curl")
    subprocess.run(
        [program("curl"), "-sSfO", "--noproxy", "*", f"{mirror.url}{at(mirror, 'model.bin')}"], cwd=tmp_path, check=True
    )
    mirror.truth.model.files["model.bin"].check(tmp_path / "model.bin")


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("5-14", 5, 15), ("0-0", 0, 1), ("1000000-", 1_000_000, None), ("-7", -7, None)]
)
def test_a_range_is_answered_with_exactly_these_bytes(
    mirror: Mirror, ask: Ask, asked: str, start: int, stop: int | None
) -> None:
    whole = ask(at(mirror, "model.bin")).body
    reply = ask(at(mirror, "model.bin"), "--range", asked)
    assert (reply.status, reply.body) == (206, whole[start:stop])
    first = len(whole) + start if start < 0 else start
    last = (stop or len(whole)) - 1
    assert reply.headers["Content-Range"] == f"bytes {first}-{last}/{len(whole)}"
    assert reply.headers["ETag"] == f'"{mirror.truth.model.files["model.bin"].etag}"'


def test_a_range_behind_the_end_is_416(mirror: Mirror, ask: Ask) -> None:
    assert ask(at(mirror, "config.json"), "--range", "999999-").status == 416


@pytest.mark.parametrize("path", ["config.json", "model.bin"])
def test_what_a_cache_has_already_is_304(mirror: Mirror, ask: Ask, path: str) -> None:
    etag = mirror.truth.model.files[path].etag
    for known in (f'"{etag}"', f'W/"{etag}"', f'"other", "{etag}"', "*"):
        reply = ask(at(mirror, path), "--header", f"If-None-Match: {known}")
        assert (reply.status, reply.body) == (304, b""), known
    assert ask(at(mirror, path), "--header", 'If-None-Match: "other"').status == 200


def test_the_immutable_may_be_kept_and_the_mutable_only_briefly(mirror: Mirror, ask: Ask) -> None:
    pinned = ask(at(mirror, "config.json", mirror.truth.model.commit)).headers["Cache-Control"]
    assert "immutable" in pinned
    floating = ask(at(mirror, "config.json")).headers["Cache-Control"]
    assert "immutable" not in floating


def test_every_blob_is_reachable_by_its_digest(mirror: Mirror, ask: Ask) -> None:
    digest = mirror.truth.model.files["model.bin"].sha256
    reply = ask(f"/blobs/sha256/{digest[:2]}/{digest}")
    assert (reply.status, hashlib.sha256(reply.body).hexdigest()) == (200, digest)
    assert "immutable" in reply.headers["Cache-Control"]
    assert ask(f"/blobs/sha256/{'0' * 2}/{'0' * 64}").status == 404


def test_what_is_missing_is_named(mirror: Mirror, ask: Ask) -> None:
    cases = {
        at(mirror, "none.txt"): "EntryNotFound",
        at(mirror, "config.json", "none"): "RevisionNotFound",
        "/acme/none/resolve/main/config.json": "RepoNotFound",
        "/api/models/acme/none": "RepoNotFound",
        f"/api/models/{mirror.truth.model.id}/tree/none": "RevisionNotFound",
        f"/api/models/{mirror.truth.model.id}/tree/main/none": "EntryNotFound",
    }
    for path, code in cases.items():
        reply = ask(path)
        assert (reply.status, reply.headers["X-Error-Code"]) == (404, code), path
    assert ask(at(mirror, "none.txt", mirror.truth.model.commit), "--head").status == 404
    assert ask(at(mirror, "none.txt")).headers["X-Repo-Commit"] == mirror.truth.model.commit


def test_nothing_sends_clients_to_the_xet_store(mirror: Mirror, ask: Ask) -> None:
    head = ask(at(mirror, "model.bin", mirror.truth.model.commit), "--head")
    assert not [name for name in head.headers if "xet" in name.lower()]
    assert b"xet" not in ask(f"/api/models/{mirror.truth.model.id}/tree/main?recursive=true").body.lower()
    assert b"xet" not in ask(f"/api/models/{mirror.truth.model.id}?blobs=true").body.lower()


def test_a_listing_is_json_and_its_pages_join(mirror: Mirror, ask: Ask) -> None:
    path, found = f"/api/models/{mirror.truth.many.id}/tree/main?recursive=true", []
    while path:
        reply = ask(path)
        assert reply.headers["Content-Type"].startswith("application/json")
        found += [one["path"] for one in json.loads(reply.body) if one["type"] == "file"]
        link = reply.headers["Link"]
        path = link.partition("<")[2].partition(">")[0].removeprefix(mirror.url) if link else ""
    assert sorted(found) == sorted(mirror.truth.many.files)


def test_the_front_says_that_it_is_well(ask: Ask) -> None:
    assert ask("/healthz").status == 200


@pytest.mark.parametrize("path", CLIMBING)
def test_a_path_that_climbs_is_refused_cleanly(mirror: Mirror, ask: Ask, path: str) -> None:
    reply = ask(path.format(repo=mirror.truth.model.id))
    assert 400 <= reply.status < 500, reply
    assert SECRET.encode() not in reply.body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "PROPFIND"])
def test_a_method_that_reads_nothing_is_405(mirror: Mirror, ask: Ask, method: str) -> None:
    for path in (at(mirror, "config.json"), f"/api/models/{mirror.truth.model.id}"):
        assert ask(path, "--request", method).status == 405, path


def test_huge_heads_are_refused_cleanly(mirror: Mirror, ask: Ask, tmp_path: Path) -> None:
    header = tmp_path / "header"
    header.write_text("X-Big: " + "a" * 200_000, encoding="ascii")
    assert 400 <= ask(at(mirror, "config.json"), "--header", f"@{header}").status < 500
    assert 400 <= ask(at(mirror, "a" * 100_000)).status < 500
    assert ask(at(mirror, "config.json")).status == 200
