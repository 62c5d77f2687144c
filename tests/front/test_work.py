"""What an answer costs is bounded by what was sent: counted in documents that a front reads without its caches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlencode

import pytest

from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.protocols.s3_listing import MOST_READS
from mirror_sync.front.serve.asgi import ServeOptions, make_app
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.ports.store import read_document
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, model
from tests.front.mirrors import DOORS, Mirror, by_nginx, quoted
from tests.front.recorder import BUCKET, recorder
from tests.front.stores import WatchedStore
from tests.front.test_listings import in_order, many
from tests.requirements import need

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Counted:
    """A front that keeps no documents, and the keys of what it has read."""

    mirror: Mirror
    read_keys: Callable[[], list[str]]

    def shards_read(self, published: Published, ask: Callable[[], object]) -> list[int]:
        """The numbers of the shards of main that answering reads, one for each time."""
        root = Root.decode(read_document(self.mirror.store, published.refs.snapshots[published.refs.refs[0].target]))
        numbers = {f"blobs/sha256/{one.digest[:2]}/{one.digest}": at for at, one in enumerate(root.shards)}
        before = len(self.read_keys())
        ask()
        return sorted(numbers[key] for key in self.read_keys()[before:] if key in numbers)


@pytest.fixture(params=["serve", "nginx"])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counted]:
    with {"serve": _serve, "nginx": _nginx}[request.param](tmp_path) as running:
        yield running


@contextmanager
def _serve(folder: Path) -> Iterator[Counted]:
    store = WatchedStore(DirectoryStore(folder / "bucket"))
    with serving(make_app(store, ServeOptions(doors=DOORS), document_bytes=0)) as url:
        yield Counted(Mirror(url, store.store), lambda: store.read_keys)


@contextmanager
def _nginx(folder: Path) -> Iterator[Counted]:
    need("nginx")
    with (
        recorder(folder / "bucket") as bucket,
        by_nginx(
            DirectoryStore(bucket.root),
            NginxOptions(S3Target(BUCKET, bucket.url), doors=DOORS),
            folder / "nginx",
            _uncached,
        ) as mirror,
    ):
        yield Counted(mirror, bucket.asked_keys)


def _uncached(configuration: str) -> str:
    return configuration.replace("proxy_cache documents;", "proxy_cache off;")


def test_paths_info_reads_each_shard_once_however_many_paths_lie_in_it(counted: Counted) -> None:
    repo, files = model(counted.mirror.store), many(3000)
    repo.publish(files)
    paths = [*in_order(files)[::4], "none", "part-3/none"]
    body = urlencode({"paths": paths}, doseq=True).encode()
    read = counted.shards_read(repo, lambda: counted.mirror.ask("POST", f"{repo.api}/paths-info/main", FORM, body))
    assert len(read) == len(set(read)) > 2


def test_paths_info_reads_no_shard_that_none_of_its_paths_can_lie_in(counted: Counted) -> None:
    repo = model(counted.mirror.store)
    repo.publish(many(3000))
    body = urlencode({"paths": ["part-3/file 3.bin"] * 900}, doseq=True).encode()
    asked = counted.shards_read(repo, lambda: counted.mirror.ask("POST", f"{repo.api}/paths-info/main", FORM, body))
    assert len(asked) == 1


def test_a_page_of_s3_reads_the_shards_that_it_shows_and_a_bounded_number_of_any(counted: Counted) -> None:
    repo = model(counted.mirror.store)
    big = {f"big/{number:05d}/x": b"x" for number in range(9000)}
    repo.publish({**{f"a/{number:04d}": b"x" for number in range(3000)}, **big, "last": b"l"})

    def read(query: str) -> tuple[list[int], int]:
        found: list[bytes] = []
        base = f"/models?list-type=2&prefix={repo.repo.id}/main/"
        shards = counted.shards_read(repo, lambda: found.append(counted.mirror.get(base + query).body))
        return shards, found[0].count(b"<Key>") + found[0].count(b"<CommonPrefixes>")

    shards, shown = read("big/0500&max-keys=5")
    assert (len(shards) <= 2, shown) == (True, 5)
    shards, shown = read("&delimiter=/")
    assert (len(shards) <= 4, shown) == (True, 3)
    shards, shown = read("a/")
    assert (len(shards) <= 9, shown) == (True, 1000)
    shards, shown = read("big/&delimiter=/")
    assert (0 < len(shards) <= MOST_READS, shown > 100) == (True, True)


@pytest.mark.parametrize("form", ["form", "json"])
def test_paths_info_answers_a_thousand_paths_and_says_so_to_who_asks_for_more(mirror: Mirror, form: str) -> None:
    repo, files = model(mirror.store), many(1100)
    repo.publish(files)
    for count, status in ((1000, 200), (1001, 413)):
        asked = {"paths": in_order(files)[:count]}
        headers = FORM if form == "form" else {"Content-Type": "application/json"}
        body = urlencode(asked, doseq=True) if form == "form" else json.dumps(asked)
        reply = mirror.ask("POST", f"{repo.api}/paths-info/main", headers, body.encode())
        assert reply.status == status
        if status == 200:
            assert [entry["path"] for entry in reply.json] == asked["paths"]
        else:
            assert "1000 at most" in (reply.header("X-Error-Message") or "")


@pytest.mark.parametrize("body", [b"paths=a&" * 20_000, b"&" * 500_000, b"expand=1&paths=a&" * 9_000])
def test_a_form_of_many_fields_is_refused(mirror: Mirror, body: bytes) -> None:
    repo = model(mirror.store)
    repo.publish({"a": b"1"})
    assert mirror.ask("POST", f"{repo.api}/paths-info/main", FORM, body).status == 413


def test_a_path_that_no_listing_can_have_is_not_looked_for(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"a": b"1"})
    long = "a/" * 3000
    for body in (f"paths={long}&paths=a", f"paths={quoted(long * 30)}&paths=a"):
        reply = mirror.ask("POST", f"{repo.api}/paths-info/main", FORM, body.encode())
        assert [entry["path"] for entry in reply.json] == ["a"]
    json_body = json.dumps({"paths": [long, "a"]}).encode()
    reply = mirror.ask("POST", f"{repo.api}/paths-info/main", {"Content-Type": "application/json"}, json_body)
    assert [entry["path"] for entry in reply.json] == ["a"]
    assert mirror.get(f"{repo.at}/resolve/main/{long}b").error == (404, "EntryNotFound")
    assert mirror.get(f"{repo.api}/tree/main/{long}b").error == (404, "EntryNotFound")


def test_an_address_that_is_longer_than_any_is_refused(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"a": b"1"})
    assert mirror.get(f"{repo.at}/resolve/main/{'b' * 17_000}").status == 414


def test_paths_info_names_no_path_twice(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"a": b"1", "é": b"2", "__proto__": b"3"})
    paths = ["a", "é", "__proto__", "a", "none", "__proto__", "é", "none", "constructor"]
    body = urlencode({"paths": paths}, doseq=True).encode()
    reply = mirror.ask("POST", f"{repo.api}/paths-info/main", FORM, body)
    assert [entry["path"] for entry in reply.json] == ["a", "é", "__proto__"]


def test_a_head_at_a_branch_reads_the_one_shard_in_which_the_file_can_lie(counted: Counted) -> None:
    repo = model(counted.mirror.store)
    repo.publish(many(3000))
    for path, status in (("part-3/file%203.bin", 307), ("none", 404)):
        read = counted.shards_read(repo, partial(_head, counted.mirror, f"{repo.at}/resolve/main/{path}", status))
        assert len(read) == 1


def _head(mirror: Mirror, target: str, status: int) -> None:
    assert mirror.head(target).status == status


def test_a_page_ends_at_the_shard_that_has_more_than_it_takes_and_the_next_begins_there(counted: Counted) -> None:
    repo, files = model(counted.mirror.store), many(4500)
    repo.publish(files)
    target: str | None = f"{repo.api}/tree/main?recursive=true"
    everything: list[list[int]] = []
    while target is not None:
        following: list[str | None] = []
        everything.append(counted.shards_read(repo, partial(_turn, counted.mirror, target, following)))
        target = following[0]
    assert len(everything) == 5
    for page, after in pairwise(everything):
        assert page == list(range(page[0], page[-1] + 1))
        assert after[0] == page[-1]


def _turn(mirror: Mirror, target: str, following: list[str | None]) -> None:
    following.append(mirror.get(target).next_page)


def test_a_folders_listing_reads_no_shard_twice_and_none_that_has_only_what_lies_deeper(counted: Counted) -> None:
    repo = model(counted.mirror.store)
    repo.publish({f"{top}/{number}": b"1" for top in "abc" for number in range(2000)})
    read = counted.shards_read(repo, lambda: counted.mirror.get(f"{repo.api}/tree/main"))
    assert len(read) == len(set(read)) <= 6
