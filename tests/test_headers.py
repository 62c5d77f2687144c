"""No header of any request is sent twice: strict servers answer 400 to that, and then everything fails there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.outcome.notices import HookPost, Shape
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.net.transport import Transport
from mirror_sync.observe.notify.posting import posted
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.hub.webhooks import Webhooks
from mirror_sync.stores.s3.bucket_store import S3Store
from tests.servers.bucket import S3Server
from tests.servers.counting import Counting, counting
from tests.sources.reading import TINY, fetched, fill_hub, published
from tests.sources.relays import Proxy
from tests.sources.shell import quiet
from tests.standin import Hub
from tests.stores.places import MIB, read, target_on

BOTO = "amz-sdk-invocation-id"  # a header that boto3 sends and the short way does not


@pytest.fixture(autouse=True)
def quiet_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from quiet(monkeypatch)


@contextmanager
def counted(url: str, monkeypatch: pytest.MonkeyPatch, *, behind_proxy: bool) -> Iterator[tuple[Counting, str]]:
    """A counter on the way to a server, and the address to ask; a proxy's requests are counted before the proxy."""
    if not behind_proxy:
        with counting(url) as counter:
            yield counter, counter.url
        return
    with Proxy().running() as proxy, counting(proxy.url) as counter:
        monkeypatch.setenv("HTTP_PROXY", counter.url)
        yield counter, url


ways = pytest.mark.parametrize("behind_proxy", [False, True], ids=["straight", "behind an http proxy"])


@ways
def test_calls_of_the_hub_and_files_name_each_header_once(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, behind_proxy: bool
) -> None:
    """At a server that bounds heads as aiohttp does; with a token, which is one header more."""
    fill_hub(hub)
    hub.behaviour.aiohttp = True
    hub.behaviour.tree_page = 2
    with counted(hub.url, monkeypatch, behind_proxy=behind_proxy) as (counter, url):
        source = HubSource(url, hub.token("hf_x"), Transport())
        commit, files = published(source)
        source.refs(TINY)
        source.authorize(TINY)
        source.history(TINY, commit)
        source.prove()
        assert len([*source.search(RepoPattern.parse("acme/*"))]) == 2
        for name in ("config.json", "sub/model.safetensors"):
            fetched(source, TINY, commit, files[name])
            fetched(source, TINY, commit, files[name], 1, 9)
        hub.behaviour.small_files = "resolve-cache"
        fetched(source, TINY, commit, files["config.json"])
    assert len(counter.heads) >= 15
    assert counter.doubled == []
    assert all({"host", "user-agent", "accept-encoding"} <= set(names) for _, names in counter.heads)
    cdn = [record.request.names for record in hub.log.records(origin="cdn")]
    assert cdn
    assert [names for names in cdn if len(set(names)) < len(names)] == []


@ways
def test_calls_for_webhooks_name_each_header_once(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, behind_proxy: bool
) -> None:
    hub.behaviour.aiohttp = True
    with counted(hub.url, monkeypatch, behind_proxy=behind_proxy) as (counter, url):
        webhooks = Webhooks(url, hub.token("hf_x"), Timeouts())
        assert webhooks.watch("https://mirror.example/webhook", "a-secret", [RepoPattern.parse("acme/*")])
        assert len(webhooks.list()) == 1
    assert [first.split()[0] for first, _ in counter.heads] == ["GET", "GET", "POST", "GET"]
    assert counter.doubled == []


@pytest.mark.parametrize("shape", Shape)
def test_a_notice_names_each_header_once(hub: Hub, shape: Shape) -> None:
    with counting(hub.url) as counter:
        post = HookPost(f"{counter.url}/hook", shape, timedelta(seconds=10))
        assert posted(post.url, b"{}", post.timeout.total_seconds())[0] == 404
    assert [first.split()[0] for first, _ in counter.heads] == ["POST"]
    assert counter.doubled == []


@ways
def test_calls_of_a_bucket_name_each_header_once_botos_and_our_own(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch, behind_proxy: bool
) -> None:
    """Behind a proxy all are boto3's."""
    bucket = target_on(moto, "some/prefix")
    with counted(moto.endpoint_url, monkeypatch, behind_proxy=behind_proxy) as (counter, url):
        store = S3Store(replace(bucket, endpoint_url=url, region="us-east-1"))
        for number in range(3):  # the first goes boto3's way, the next the short one
            body = f"{number}".encode()
            store.put(f"blobs/{number}", body, Sha256.of(body))
            assert store.stat(f"blobs/{number}") is not None
            assert read(store, f"blobs/{number}") == body
        assert store.stat("blobs/none") is None
        assert read(store, "blobs/1", 0, 1) == b"1"
        assert len([*store.list("blobs/")]) == 3
        _upload(store)
        store.touch("blobs/0")
        store.sweep(0)
        store.delete(["blobs/0", "blobs/1"])
    by_boto = {(first.split()[0], BOTO in names) for first, names in counter.heads}
    assert {("GET", True), ("PUT", True), ("POST", True)} <= by_boto
    assert ({("PUT", False), ("HEAD", False)} <= by_boto) is not behind_proxy
    assert counter.doubled == []


def _upload(store: S3Store) -> None:
    with store.begin("blobs/large", 6 * MIB) as upload:
        for start in range(0, 6 * MIB, upload.part_size):
            upload.put(start // upload.part_size, bytes(min(upload.part_size, 6 * MIB - start)))
        upload.complete()
