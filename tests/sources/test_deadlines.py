"""What does not move ends, at whatever point it stops moving; what is only slow does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import Unreachable
from mirror_sync.net import body
from mirror_sync.net.response import Pace
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.failover import FailoverSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from tests.sources.raw import QUICK, sending, serving, trickling
from tests.sources.reading import FILES, TINY, Steps, fetched, fill_hub, published
from tests.standin import Hub, faults

LARGE, SMALL = "sub/model.safetensors", "config.json"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Facts = tuple[CommitId, dict[str, RemoteFile]]


def impatient(url: str, *, over: float = 0.2, **changes: float) -> HubSource:
    """So short a window is for what must be given up: on a busy machine nothing may come for longer than that."""
    return HubSource(url, None, Transport(timeouts=replace(QUICK, over=over, **changes)))


@pytest.fixture
def facts(hub: Hub, source: HubSource) -> Facts:
    fill_hub(hub)
    return published(source)


def test_a_trickle_ends_although_each_read_succeeds(hub: Hub, facts: Facts) -> None:
    hub.faults.add(faults.trickle(20), origin="cdn")
    with pytest.raises(Unreachable, match=r"slower than 1000 B/s for 0\.2 s"):
        fetched(impatient(hub.url), TINY, facts[0], facts[1][LARGE])


def test_a_slow_transfer_above_the_least_rate_goes_on(hub: Hub, facts: Facts) -> None:
    hub.faults.add(faults.trickle(20_000), origin="cdn")
    source = impatient(hub.url, over=2.0)
    assert fetched(source, TINY, facts[0], facts[1][LARGE], 0, 50_000) == FILES[LARGE].read(0, 50_000)


def test_a_cut_trickle_is_resumed_at_the_byte_it_reached(hub: Hub, facts: Facts) -> None:
    hub.faults.add(faults.trickle(200), origin="cdn", times=2)
    sleep = Steps()
    source = RetryingSource(impatient(hub.url, over=1.0), RetryPolicy(), lambda _: None, sleep, lambda: 0.0)
    hub.log.clear()
    assert fetched(source, TINY, facts[0], facts[1][LARGE]) == FILES[LARGE].read()
    starts = [int((record.range or "=0-").split("=")[1].split("-")[0]) for record in hub.log.records(origin="cdn")]
    assert len(starts) >= 3  # more where the machine itself stood still for so long
    assert starts == sorted(set(starts))
    assert len(sleep.waits) == len(starts) - 1


def test_a_cut_trickle_goes_on_from_another_endpoint(hub: Hub, facts: Facts) -> None:
    with Hub() as second:
        fill_hub(second)
        hub.faults.add(faults.trickle(200), origin="cdn")
        pair = FailoverSource([impatient(url, over=1.0) for url in (hub.url, second.url)])
        source = RetryingSource(pair, RetryPolicy(), lambda _: None, Steps(), lambda: 0.0)
        assert fetched(source, TINY, facts[0], facts[1][LARGE]) == FILES[LARGE].read()
        rest = second.log.records(origin="cdn")
        assert rest
        assert all((one.range or "").startswith("bytes=") for one in rest)


def test_bytes_come_out_as_they_arrive(hub: Hub, facts: Facts, source: HubSource) -> None:
    hub.faults.add(faults.stall(20, after=100_000), origin="cdn")
    buffer, count = memoryview(bytearray(1 << 20)), 0
    with source.fetch(TINY, facts[0], facts[1][LARGE]) as stream:
        while count < 100_000:
            arrived = stream.readinto(buffer)
            assert 0 < arrived < len(buffer)
            count += arrived
    assert count == 100_000


@pytest.mark.parametrize(
    "script",
    [
        trickling(HEAD),
        trickling(b"HTTP/1.1 200 OK\r\n"),
        trickling(b"HTTP/1.1 200 OK\r\n", b"X-Header: more\r\n"),
        trickling(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        trickling(CHUNKED + b"5", b"0"),
        trickling(CHUNKED + b"5;why=", b"x"),
        trickling(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Trailer: more\r\n"),
        trickling(CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: ", b"x"),
        trickling(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        trickling(b""),
    ],
    ids=[
        *("body", "header", "headers", "chunks", "a chunk's size", "its extension", "trailers", "a trailer"),
        *("continue", "status"),
    ],
)
@pytest.mark.parametrize(
    "verb",
    [
        lambda source, _: source.resolve(TINY, "main"),
        lambda source, _: source.authorize(TINY),
        lambda source, _: [*source.search(RepoPattern.parse("acme/*"))],
        lambda source, file: fetched(source, TINY, CommitId("0" * 40), file),
    ],
    ids=["resolve", "authorize", "search", "fetch"],
)
def test_an_answer_that_never_ends_is_given_up(
    facts: Facts, script: Callable[[socket.socket, threading.Event], None], verb: Callable[..., object]
) -> None:
    with serving(script) as url, pytest.raises(Unreachable):
        verb(impatient(url, first_byte=0.3, stall=0.5), replace(facts[1][LARGE], size=10_000_000))


def test_what_stands_between_the_bytes_of_a_body_is_none_of_it(facts: Facts) -> None:
    """However fast it comes: a chunk of one byte with a long extension is one byte to the least rate."""
    padded = b"1;" + b"x" * 20_000 + b"\r\ny\r\n"
    with (
        serving(trickling(CHUNKED, padded, every=0.05)) as url,
        pytest.raises(Unreachable, match="slower than 1000 B/s"),
    ):
        fetched(impatient(url), TINY, CommitId("0" * 40), replace(facts[1][LARGE], size=10_000_000))


def test_chunks_with_extensions_and_trailers_that_come_are_read(facts: Facts) -> None:
    whole = CHUNKED + b"1;a=b\r\n[\r\n3\r\n  ]\r\n0;c\r\nX-Trailer: y\r\n\r\n"
    with serving(sending(whole)) as url:
        assert [*HubSource(url, None, Transport(timeouts=QUICK)).search(RepoPattern.parse("acme/*"))] == []


@pytest.mark.parametrize("head", [HEAD, CHUNKED], ids=["of a length", "in chunks"])
def test_an_answer_of_the_api_has_a_time_for_its_whole(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no least rate is kept, and what comes is fast enough for one."""
    monkeypatch.setattr(body, "WHOLE", 0.3)
    piece = b"5\r\n     \r\n" if head == CHUNKED else b"     "
    never = pytest.raises(Unreachable, match=r"has not sent a whole answer in 0\.3 s")
    with serving(trickling(head, piece, every=0.01)) as url, never:
        impatient(url, min_rate=0).resolve(TINY, "main")


def test_a_proxy_that_never_ends_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (trickling(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), trickling(b"")):
        with serving(answer) as proxy, monkeypatch.context() as patch:
            patch.setenv("HTTPS_PROXY", proxy)
            with pytest.raises(Unreachable):
                impatient("https://127.0.0.9:1", first_byte=0.3).resolve(TINY, "main")


def test_a_redirects_body_is_not_waited_for(hub: Hub, facts: Facts, source: HubSource) -> None:
    target = f"{hub.url}/acme/tiny/resolve/{facts[0]}/{SMALL}".encode()
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 50\r\nLocation: " + target + b"\r\n\r\n"
    with serving(sending(head)) as ended, serving(trickling(head, every=9)) as stalled:
        for url in (ended, stalled):
            assert fetched(HubSource(url, None, Transport(timeouts=QUICK)), TINY, facts[0], facts[1][SMALL])


def test_only_waiting_counts_not_what_we_do_in_between(hub: Hub, facts: Facts) -> None:
    now = [0.0]
    source = HubSource(hub.url, None, Transport(timeouts=QUICK, clock=lambda: now[0]))
    buffer, left = memoryview(bytearray(4096)), 100_000
    with source.fetch(TINY, facts[0], facts[1][LARGE], 0, left) as stream:
        while left:
            left -= stream.readinto(buffer)
            now[0] += 3600


def test_every_window_is_looked_at_by_itself() -> None:
    pace = Pace(Timeouts(min_rate=1000, over=10))
    assert pace.keeps(10_000_000, 10)
    assert pace.keeps(500, 5)
    assert not pace.keeps(500, 5)


def test_no_least_rate_lets_everything_pass() -> None:
    pace = Pace(Timeouts(min_rate=0, over=1))
    assert all(pace.keeps(1, 60) for _ in range(10))
