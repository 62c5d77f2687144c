"""Both fronts write a log that `traffic` understands, line by line."""

from __future__ import annotations

import gzip
import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.outcome.traffic import Hit
from mirror_sync.domain.repo import Repo
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.protocols.access_log import LogFile, Logged, count_hits, hit_of, line_of, lines_of
from mirror_sync.front.serve.asgi import ServeOptions, make_app
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import model
from tests.front.mirrors import DOORS, Mirror, by_nginx
from tests.requirements import need
from tests.waiting import PATIENCE

LINE = {
    "time": "2026-05-31T20:00:00+08:00", "client": "10.0.0.1", "method": "GET", "status": 200, "bytes": 5,
    "uri": "/acme/one/resolve/main/a?download=true", "seconds": 0.01, "range": "", "commit": "a" * 40, "agent": "curl",
}  # fmt: skip


WRITTEN = (
    *("time", "client", "user", "method", "uri", "status", "bytes", "seconds", "range", "commit", "agent", "door"),
    *("first", "zone", "cache", "pointer"),
)


def line(**changes: object) -> str:
    return json.dumps({**LINE, **changes})


@contextmanager
def logged(front: str, folder: Path, store: DirectoryStore) -> Iterator[tuple[Mirror, Path]]:
    """A front of that name, and the file of its log."""
    if front == "nginx":
        need("nginx")
        options = NginxOptions(DirectoryTarget(folder / "bucket"), doors=DOORS)
        with by_nginx(store, options, folder / "front") as mirror:
            yield mirror, folder / "front/logs/access.log"
    else:
        log = LogFile(folder / "access.log")
        with serving(Logged(make_app(store, ServeOptions(doors=DOORS)), log.write)) as url:
            yield Mirror(url, store), folder / "access.log"
        log.close()


@pytest.mark.parametrize("front", ["nginx", "serve"])
def test_a_front_logs_who_read_what_at_which_commit(tmp_path: Path, front: str) -> None:
    store = DirectoryStore(tmp_path / "bucket")
    published, body = model(store), b"some weights"
    commit = published.publish({"weights": body})
    with logged(front, tmp_path, store) as (mirror, path):
        address = f"{published.at}/resolve/main/weights"
        for _ in range(2):  # the second from nginx's own cache
            assert mirror.get(address).status == 200
        assert mirror.get(address, Range="bytes=1-2").status == 206
        missing = mirror.get("/acme/none/resolve/main/a?x=%20")
        assert missing.status == 404
        assert mirror.get(published.api, **{"X-Forwarded-For": "10.9.9.9, 10.0.0.7"}).status == 200
    hits: list[Hit] = []
    assert count_hits(lines_of([str(path)]), hits.append)[1] == 0
    repo, none = published.repo, Repo.parse("acme/none")
    # two workers write one log, each line when its answer has been sent: their order says nothing
    assert Counter((hit.repo, hit.status, hit.is_file, hit.begins, hit.bytes) for hit in hits if hit.is_file) == {
        (repo, 200, True, True, len(body)): 2,
        (repo, 206, True, False, 2): 1,
        (none, 404, True, True, len(missing.body)): 1,
    }
    [info] = [hit for hit in hits if not hit.is_file]
    assert (info.repo, info.status, info.begins, info.client) == (repo, 200, True, "10.0.0.7")
    assert {hit.commit for hit in hits if hit.repo == repo and hit.is_file} == {commit}
    written = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert all(list(entry) == list(WRITTEN) for entry in written)
    assert "/acme/none/resolve/main/a?x=%20" in {entry["uri"] for entry in written}


def test_nginx_tells_the_head_of_a_pinned_file_by_what_it_keeps_unless_more_is_asked(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "bucket")
    published = model(store)
    commit = published.publish({"weights": b"some weights"})
    odd = ("Range", "bytes=1-2"), ("If-None-Match", '"x"'), ("If-Match", "*"), ("If-Unmodified-Since", "x")
    with logged("nginx", tmp_path, store) as (mirror, path):
        address = f"{published.at}/resolve/{commit}/weights"
        by_script = [mirror.ask("HEAD", f"{address}?{number}", dict([one])) for number, one in enumerate(odd)]
        kept = mirror.head(f"{address}?kept")
    pointers = {entry["uri"].partition("?")[2]: entry["pointer"] for entry in map(json.loads, lines_of([str(path)]))}
    assert pointers.pop("kept")
    assert {pointers[f"{number}"] for number in range(len(odd))} == {""}
    for reply in by_script[:3]:  # the last is refused: an answer of the script has no date
        assert dict(reply.headers) | {"Date": ""} == dict(kept.headers) | {"Date": ""}


def test_no_condition_ends_a_worker_of_nginx(tmp_path: Path) -> None:
    """It knows no tag that a script gives, so the script refuses before it is asked: what was being sent goes on."""
    store = DirectoryStore(tmp_path / "bucket")
    published = model(store)
    commit = published.publish({"weights": b"some weights"})
    pinned = f"{published.at}/resolve/{commit}/weights"
    with logged("nginx", tmp_path, store) as (mirror, path):
        tag = mirror.head(pinned).header("ETag") or ""
        for method, target in (("HEAD", pinned), ("GET", f"{published.api}/refs"), ("GET", "/healthz")):
            found = {one: mirror.ask(method, target, {"If-Match": one}).status for one in (tag, '"other"', "*")}
            assert found == {tag: 412, '"other"': 412, "*": 200}, target
    assert "exited on signal" not in path.with_name("error.log").read_text("utf-8")


@pytest.mark.parametrize("front", ["nginx", "serve"])
def test_no_line_that_a_stranger_can_have_written_is_odd_and_what_is_asked_of_nothing_is_no_read(
    tmp_path: Path, front: str
) -> None:
    store = DirectoryStore(tmp_path / "bucket")
    published = model(store)
    published.publish({"weights": b"some weights"})
    requests = [
        f"OPTIONS {published.at}/resolve/main/weights HTTP/1.1",
        f"OPTIONS /blobs/sha256/aa/{'a' * 64} HTTP/1.1",
        f'GET {published.at}"\\%0a%22 HTTP/1.1\r\nUser-Agent: "\\",\t"door":"s3',
        'GET / HTTP/1.1\r\nRange: "}\r\nX-Forwarded-For: "\\, nobody"',
        "GET /%FF/%FE/resolve/main/%00 HTTP/1.1",
        "GET /v2/a/b/blobs/sha256:zz HTTP/1.1",
        "no request at all",
        "GET /",
        "OPTIONS * HTTP/1.1",
    ]
    with logged(front, tmp_path, store) as (mirror, path):
        place = urlsplit(mirror.url)
        for request in requests:
            with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as line:
                line.sendall(f"{request}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                while line.recv(65536):
                    pass
        mirror.get("/healthz")
    lines = [line_of(text) for text in lines_of([str(path)])]
    assert len(lines) >= 5
    assert not [one for one in lines if one.unnamed or (one.hit is not None and one.hit.given)]


@pytest.mark.parametrize("front", ["nginx", "serve"])
def test_the_key_of_a_presigned_address_is_in_no_log(tmp_path: Path, front: str) -> None:
    store = DirectoryStore(tmp_path / "bucket")
    model(store).publish({"weights": b"w"})
    signs = ("X-Amz-Credential=hf_secret%2F20261120", "a=b&AWSAccessKeyId=hf_secret", "x-amz-credential=hf_secret&c=d")
    with logged(front, tmp_path, store) as (mirror, path):
        for sign in signs:
            mirror.get(f"/models/acme/m0/main/weights?{sign}")
        mirror.get("/models?list-type=2&prefix=plain")
    written = path.read_text(encoding="utf-8")
    assert "hf_secret" not in written
    assert written.count("/models/acme/m0/main/weights?-") == len(signs)
    assert "/models?list-type=2&prefix=plain" in written


@pytest.mark.parametrize("front", ["nginx", "serve"])
def test_what_is_read_by_s3_counts_as_reads_of_the_repos_files(tmp_path: Path, front: str) -> None:
    store = DirectoryStore(tmp_path / "bucket")
    published, body = model(store), b"some weights"
    commit = published.publish({"weights": body, "sub/b": b"b"})
    marks = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    key = f"/models/{published.repo.id}/main"
    with logged(front, tmp_path, store) as (mirror, path):
        assert mirror.get(f"{key}/weights", **marks).status == 200
        assert mirror.get(f"{key}/weights", **marks, Range="bytes=1-2").status == 206
        held = {"If-Match": mirror.get(f"{key}/weights", **marks).headers["etag"]}
        assert mirror.get(f"{key}/weights", **marks, **held).status == 200
        assert mirror.get(f"/models?list-type=2&prefix={published.repo.id}/main/").status == 200
        assert mirror.get("/models/acme/none/main/weights", **marks).status == 404
        assert mirror.get("/models?location", **marks).status == 200
        assert mirror.get(f"{key}/weights").status == 404  # no client of S3's: an address of nobody
    hits: list[Hit] = []
    assert count_hits(lines_of([str(path)]), hits.append)[1] == 0
    mine = [hit for hit in hits if hit.repo == published.repo]
    assert Counter((hit.status, hit.is_file, hit.begins, hit.bytes) for hit in mine if hit.is_file) == {
        (200, True, True, len(body)): 3,
        (206, True, False, 2): 1,
    }
    assert {hit.commit for hit in mine if hit.is_file} == {commit}
    assert [hit.status for hit in mine if not hit.is_file] == [200]  # the listing
    assert [(str(hit.repo), hit.status) for hit in hits if hit not in mine] == [("acme/none", 404)]


def test_a_log_that_was_moved_away_is_made_anew_and_one_that_cannot_be_harms_nobody(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.log"
    path.parent.mkdir()
    log = LogFile(path)
    log.write("one")
    path.rename(path.with_name("access.log.1"))
    log.write("two")
    assert (path.with_name("access.log.1").read_text(), path.read_text()) == ("one\n", "two\n")
    path.unlink()
    path.parent.rename(tmp_path / "gone")
    log.write("lost")
    log.close()


@pytest.mark.parametrize(
    ("changes", "repo"),
    [
        ({}, "acme/one"),
        ({"uri": "/acme/one"}, None),
        ({"uri": "/-/models/acme--one.html"}, None),
        ({"uri": "/favicon.ico", "status": 404}, None),
        ({"uri": "/datasets/acme/one/resolve/main/a"}, "dataset:acme/one"),
        ({"uri": "/gpt2/resolve/main/a"}, "gpt2"),
        ({"uri": "/api/datasets/acme/one/tree/main?recursive=true"}, "dataset:acme/one"),
        ({"uri": "/api/v1/datasets/acme/one/repo?Revision=master&FilePath=a"}, "dataset:acme/one"),
        ({"uri": "/v2/acme/one/manifests/latest"}, "acme/one"),
        ({"uri": "/v2/datasets/acme/one/tags/list"}, "dataset:acme/one"),
        ({"uri": "/v2/"}, None),
        ({"uri": "/v2/token"}, None),
        ({"uri": "/spaces/acme/one/resolve/main/a"}, "space:acme/one"),
        ({"uri": "/blobs/sha256/ab/" + "ab" * 32}, None),
        ({"uri": "/healthz"}, None),
        ({"uri": "/"}, None),
    ],
)
def test_the_repo_is_that_of_the_address(changes: dict[str, object], repo: str | None) -> None:
    hit = hit_of(line(**changes))
    assert (None if hit is None else str(hit.repo)) == repo


@pytest.mark.parametrize(
    ("said", "is_file", "begins"),
    [
        ({}, True, True),
        ({"range": "bytes=0-99"}, True, True),
        ({"range": "bytes=100-"}, True, False),
        ({"method": "HEAD"}, False, True),
        ({"uri": "/api/models/acme/one"}, False, True),
        ({"uri": "/api/v1/models/acme/one/repo?FilePath=a", "range": "bytes=0-4"}, True, True),
        ({"uri": "/api/v1/models/acme/one/repo/files"}, False, True),
        ({"uri": f"/v2/acme/one/blobs/sha256:{'a' * 64}"}, True, True),
        ({"uri": f"/v2/acme/one/blobs/sha256:{'a' * 64}", "range": "bytes=5-"}, True, False),
        ({"uri": f"/v2/acme/one/blobs/sha256:{'a' * 64}", "agent": "ollama/0.33.0 (amd64 linux)"}, True, False),
        ({"uri": f"/v2/acme/one/manifests/sha256:{'a' * 64}"}, False, True),
    ],
)
def test_what_counts_as_a_download(said: dict[str, object], is_file: bool, begins: bool) -> None:
    hit = hit_of(line(**said))
    assert hit is not None
    assert (hit.is_file, hit.begins) == (is_file, begins)


@pytest.mark.parametrize(
    "bad", ["", "{", "null", '{"uri": "/a/b/resolve/main/c"}', line(time="yesterday"), line(status="ok"), "[[" * 90_000]
)
def test_other_lines_are_counted_and_stop_nothing(bad: str) -> None:
    hits: list[Hit] = []
    assert count_hits([bad, line()], hits.append) == (2, 1)
    assert len(hits) == 1


def test_rotated_logs_are_read_compressed_or_not(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(line() + "\n")
    with gzip.open(tmp_path / "access.log.1.gz", "wt") as file:
        file.write(line() + "\n" + line() + "\n")
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    assert len(list(lines_of(paths))) == 3
