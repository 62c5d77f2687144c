"""What nginx asks of a bucket, and what both fronts make of its answers: only 404 means that something is missing."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.snapshot import sort_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target
from mirror_sync.errors import StoreDenied, StoreError, StoreUnavailable
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import LFS_FROM, Published, model
from tests.front.mirrors import OPENED, PATIENCE, Mirror, by_nginx, by_serve, s3_store
from tests.front.recorder import BUCKET, OWN, Recorder, recorder
from tests.front.stores import WatchedStore
from tests.requirements import need

FILES = {"README.md": b"# card", "big.bin": bytes(2_000_000)}


@dataclass(frozen=True)
class Recorded:
    mirror: Mirror
    bucket: Recorder
    repo: Published


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    """Nginx over a bucket that tells what it was asked."""
    need("nginx")
    store = DirectoryStore(tmp_path / "bucket")
    with recorder(store.root) as bucket:
        place = S3Target(BUCKET, bucket.url, access_key="key", secret_key="secret")
        options = NginxOptions(place, by_digest=True, access=OPENED)
        with by_nginx(store, options, tmp_path / "nginx") as mirror:
            yield Recorded(mirror, bucket, model(store))


def test_nothing_of_a_client_reaches_the_bucket_but_its_range(recorded: Recorded) -> None:
    commit = recorded.repo.publish(FILES)
    private = {"Authorization": "Bearer hf_secret", "Cookie": "a=b", "X-Amz-Security-Token": "t", "Accept": "x/y"}
    private |= {"X-Forwarded-For": "10.0.0.1", "Range": "bytes=1-2", "If-Match": '"x"', "User-Agent": "client"}
    at, api = recorded.repo.at, recorded.repo.api
    for target in (f"{at}/resolve/{commit}/big.bin", f"{at}/resolve/main/README.md", f"{api}/tree/main", api):
        recorded.mirror.ask("GET", target, private)
    form = {**private, "Content-Type": "application/x-www-form-urlencoded"}
    recorded.mirror.ask("POST", f"{api}/paths-info/main", form, b"paths=README.md")
    ours = {"host", "authorization", "x-amz-date", "x-amz-content-sha256"}
    large = blob_key(Sha256.of(FILES["big.bin"]))
    for asked in recorded.bucket.asked:
        assert set(asked.headers) - ours == ({"range"} if asked.key == large else set()), asked
        assert "hf_secret" not in asked.headers["authorization"]
        assert asked.method == "GET"
    assert large in recorded.bucket.asked_keys()


def test_a_condition_that_nginx_refuses_by_itself_costs_no_worker(recorded: Recorded, tmp_path: Path) -> None:
    commit = recorded.repo.publish(FILES)
    at, api = recorded.repo.at, recorded.repo.api
    for target in (f"{at}/resolve/{commit}/README.md", f"{at}/resolve/main/README.md", f"{api}/tree/main", api):
        for method in ("GET", "HEAD"):
            for condition in ({"If-Match": '"another"'}, {"If-Unmodified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}):
                assert recorded.mirror.ask(method, target, condition).status in (200, 307, 412)
    assert recorded.mirror.get(f"{at}/resolve/main/README.md").body == b"# card"
    log = (tmp_path / "nginx/logs/error.log").read_text()
    assert "exited" not in log


def test_documents_and_small_files_are_asked_for_once(recorded: Recorded) -> None:
    commit = recorded.repo.publish(FILES)
    for _ in range(3):
        for revision in ("main", commit):
            assert recorded.mirror.get(f"{recorded.repo.at}/resolve/{revision}/README.md").body == b"# card"
        recorded.mirror.get(f"{recorded.repo.api}/tree/{commit}")
        recorded.mirror.head(f"{recorded.repo.at}/resolve/{commit}/README.md")
    blobs = [key for key in recorded.bucket.asked_keys() if key.startswith("blobs/")]
    assert len(blobs) == len(set(blobs)) == 3  # a root, a shard, a file


def test_a_head_of_a_document_leaves_nothing_behind_but_what_its_get_answers(recorded: Recorded) -> None:
    commit = recorded.repo.publish(FILES)
    for target in (recorded.repo.api, f"{recorded.repo.api}/commits/main", f"{recorded.repo.api}/tree/{commit}"):
        head = recorded.mirror.head(target)
        whole = recorded.mirror.get(target)
        assert (head.status, whole.status) == (200, 200)
        assert whole.json
        assert head.header("Content-Length") == str(len(whole.body))


def test_a_head_of_a_file_costs_the_bucket_nothing_but_documents(recorded: Recorded) -> None:
    commit = recorded.repo.publish(FILES)
    recorded.mirror.head(f"{recorded.repo.at}/resolve/{commit}/big.bin")
    assert blob_key(Sha256.of(FILES["big.bin"])) not in recorded.bucket.asked_keys()


def test_what_a_bucket_says_of_an_object_is_not_said_of_a_file(recorded: Recorded) -> None:
    commit = recorded.repo.publish(FILES)
    for path in FILES:
        for revision in (commit, "main"):
            reply = recorded.mirror.get(f"{recorded.repo.at}/resolve/{revision}/{path}")
            assert reply.headers.get_all("ETag") == [reply.header("X-Linked-Etag")]
            assert len(reply.headers.get_all("Content-Type") or []) == 1
            assert reply.header("Content-Type") != "application/x-of-the-bucket"
            assert reply.header("x-amz-request-id") is None
            assert "of the bucket" not in [value for name in OWN for value in reply.headers.get_all(name) or []]


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
def test_a_bucket_that_refuses_is_not_an_empty_one(recorded: Recorded, status: int) -> None:
    commit = recorded.repo.publish(FILES)
    recorded.bucket.status = status
    for target in _everything(recorded.repo, commit):
        for method in ("GET", "HEAD"):
            reply = recorded.mirror.ask(method, target)
            assert (reply.status, reply.header("X-Error-Code")) == (502, None), target


NO_S3 = {
    "nothing": (404, b"", "text/plain"),
    "json": (404, b'{"error":"no such page"}', "application/json"),
    "a web page": (404, b"<html>not here</html>", "text/html"),
    "another bucket": (404, b"<Error><Code>NoSuchBucket</Code></Error>", "application/xml"),
    "a portal": (200, b"<!doctype html><title>Log in</title>", "text/html; charset=utf-8"),
}


@pytest.fixture(params=["serve", "nginx"])
def fronted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recorded]:
    """Each front over a bucket in whose place something else may answer."""
    store = DirectoryStore(tmp_path / "bucket")
    with recorder(store.root) as bucket:
        place = S3Target(BUCKET, bucket.url, access_key="key", secret_key="secret")
        if request.param == "serve":
            running = by_serve(s3_store(place))
        else:
            need("nginx")
            running = by_nginx(store, NginxOptions(place, by_digest=True, access=OPENED), tmp_path / "nginx")
        with running as mirror:
            yield Recorded(mirror, bucket, model(store))


@pytest.mark.parametrize("kind", NO_S3)
def test_what_is_no_s3_server_is_no_empty_bucket_and_leaves_nothing_behind(fronted: Recorded, kind: str) -> None:
    commit = fronted.repo.publish(FILES)
    status, body, media_type = NO_S3[kind]
    fronted.bucket.status, fronted.bucket.page = status, (body, media_type)
    for target in (*_everything(fronted.repo, commit), "/api/models/acme/none", "/-/index.html"):
        reply = fronted.mirror.get(target)
        if kind not in ("a portal", "another bucket") or not target.startswith(("/blobs/", "/-/")):  # sent as they come
            assert (reply.status, reply.header("X-Error-Code")) == (502, None), target
    fronted.bucket.status = fronted.bucket.page = None
    limit = time.monotonic() + PATIENCE  # of what is kept for a moment
    while fronted.mirror.get(f"{fronted.repo.api}/refs").status != 200:
        assert time.monotonic() < limit
        time.sleep(0.1)
    for name, content in FILES.items():
        assert fronted.mirror.get(f"{fronted.repo.at}/resolve/{commit}/{name}").body == content
    assert fronted.mirror.get(fronted.repo.api).json["sha"] == commit
    assert len(fronted.mirror.get(f"{fronted.repo.api}/tree/main").json) == len(FILES)


def test_a_web_page_in_place_of_a_file_is_not_kept(fronted: Recorded) -> None:
    commit = fronted.repo.publish(FILES)
    target = f"{fronted.repo.at}/resolve/{commit}/README.md"
    assert fronted.mirror.head(target).status == 200  # the front knows where the file is
    fronted.bucket.status, fronted.bucket.page = 200, (b"<html>" + bytes(100), "text/html")
    with suppress(http.client.HTTPException):  # cut short, where the front knows better
        fronted.mirror.get(target)
    fronted.bucket.status = fronted.bucket.page = None
    assert fronted.mirror.get(target).body == FILES["README.md"]


def test_a_blob_that_is_refused_is_not_missing(recorded: Recorded) -> None:
    commit = recorded.repo.publish(FILES)
    for revision in (commit, "main"):
        assert recorded.mirror.head(f"{recorded.repo.at}/resolve/{revision}/big.bin").status in (200, 307)
        recorded.bucket.status = 403
        assert recorded.mirror.get(f"{recorded.repo.at}/resolve/{revision}/big.bin").status == 502
        recorded.bucket.status = None


def test_a_bucket_that_is_down_is_not_an_empty_one(tmp_path: Path) -> None:
    need("nginx")
    store = DirectoryStore(tmp_path / "bucket")
    repo = model(store)
    commit = repo.publish(FILES)
    silent = S3Target(BUCKET, "http://127.0.0.1:9")  # the discard port: nobody listens
    options = NginxOptions(silent, by_digest=True, access=OPENED)
    with by_nginx(store, options, tmp_path / "nginx") as mirror:
        for target in _everything(repo, commit):
            assert mirror.get(target).status == 502, target


@contextmanager
def _over_directory(kind: str, root: Path, folder: Path) -> Iterator[Mirror]:
    store = DirectoryStore(root)
    if kind == "serve":
        with by_serve(store) as mirror:
            yield mirror
    else:
        need("nginx")
        with by_nginx(store, NginxOptions(DirectoryTarget(root)), folder) as mirror:
            yield mirror


@pytest.mark.parametrize("kind", ["serve", "nginx"])
def test_what_a_published_snapshot_names_and_is_not_there_is_the_buckets_fault(kind: str, tmp_path: Path) -> None:
    with _over_directory(kind, tmp_path / "bucket", tmp_path / "nginx") as mirror:
        blobless, rootless = model(mirror.store), model(mirror.store)
        commit = blobless.publish(FILES)
        mirror.store.delete([blob_key(Sha256.of(FILES["big.bin"])), blob_key(rootless.root(rootless.publish(FILES)))])
        for target in (f"{blobless.at}/resolve/{commit}/big.bin", f"{rootless.api}/tree/main"):
            for _ in range(2):
                reply = mirror.get(target)
                assert (reply.status, reply.header("X-Error-Code")) == (502, None)


@pytest.mark.parametrize("kind", ["serve", "nginx"])
@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"[" * 50_000, b'{"branches":3}'])
def test_refs_that_are_none_are_the_buckets_fault(kind: str, body: bytes, tmp_path: Path) -> None:
    with _over_directory(kind, tmp_path / "bucket", tmp_path / "nginx") as mirror:
        repo = model(mirror.store)
        repo.write_refs(body)
        assert mirror.get(f"{repo.at}/resolve/main/f").status == 502


@pytest.mark.parametrize("fault", [StoreUnavailable("down"), StoreDenied("no"), StoreError("odd")])
def test_serve_tells_a_store_that_fails_from_an_empty_one(fault: StoreError, tmp_path: Path) -> None:
    store = WatchedStore(DirectoryStore(tmp_path))
    repo = model(store)
    commit = repo.publish(FILES)
    with by_serve(store) as mirror:
        store.fault = fault
        for target in _everything(repo, commit):
            assert mirror.get(target).status == 502, target


def test_serve_tells_a_blob_that_was_changed_on_disk_by_cutting_documents_off(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    repo = model(store)
    commit = repo.publish(FILES)
    store.put(blob_key(repo.root(commit)), b"{}", repo.root(commit))
    with by_serve(store) as mirror:
        assert mirror.get(f"{repo.api}/tree/main").status == 502


def test_the_listing_of_a_folder_reads_no_more_shards_than_it_has_children(tmp_path: Path) -> None:
    """Also where the folder has 1,000 sub-folders, and as few in either front."""
    need("nginx")
    files = {f"s\u00e9t/{number:04}/{part}": b"%d" % part for number in range(1000) for part in range(12)}
    files |= {f"other/{number:05}": b"x" for number in range(6000)}
    folders = sorted((f"s\u00e9t/{number:04}" for number in range(1000)), key=sort_key)
    store = WatchedStore(DirectoryStore(tmp_path / "bucket"))
    repo = model(store)
    commit = repo.publish(files)
    with by_serve(store) as mirror:
        assert mirror.listed(f"{repo.api}/tree/{commit}") == ["other", "s\u00e9t"]
        assert len(store.read_keys) <= 3 + 4  # refs, root, whether it is a replica; the shards of two children
        store.read_keys.clear()
        assert mirror.listed(f"{repo.api}/tree/{commit}/s%C3%A9t") == folders
        by_serve_read = len([key for key in store.read_keys if key.startswith("blobs/")])
    with recorder(tmp_path / "bucket") as bucket:
        options = NginxOptions(S3Target(BUCKET, bucket.url))
        with by_nginx(store, options, tmp_path / "nginx") as mirror:
            assert mirror.listed(f"{repo.api}/tree/{commit}") == ["other", "s\u00e9t"]
            assert len(bucket.asked) <= 3 + 4
            bucket.asked.clear()
            assert mirror.listed(f"{repo.api}/tree/{commit}/s%C3%A9t") == folders
            assert len([key for key in bucket.asked_keys() if key.startswith("blobs/")]) <= by_serve_read


def test_a_file_is_found_by_reading_one_shard(tmp_path: Path) -> None:
    store = WatchedStore(DirectoryStore(tmp_path))
    repo = model(store)
    commit = repo.publish({f"{number:05}": b"x" for number in range(5000)})
    with by_serve(store) as mirror:
        store.read_keys.clear()
        assert mirror.head(f"{repo.at}/resolve/{commit}/04321").status == 200
        assert len(store.read_keys) == 4  # refs, root, shard, whether it is a replica
        mirror.head(f"{repo.at}/resolve/{commit}/04321")
        assert len([key for key in store.read_keys if key.startswith("blobs/")]) == 2


def _everything(repo: Published, commit: str) -> list[str]:
    files = [f"{repo.at}/resolve/{revision}/{path}" for revision in (commit, "main") for path in FILES]
    digest = Sha256.of(b"%d" % (LFS_FROM + 1))
    return [*files, repo.api, f"{repo.api}/refs", f"{repo.api}/tree/main?recursive=true", f"/{blob_key(digest)}"]
