"""Every fault does the damage it names, as often as it was asked to."""

from __future__ import annotations

import http.client
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from tests.standin import LFS, Generated, Hub, Quotas, Rule, faults
from tests.standin.answer import Request
from tests.waiting import PATIENCE

from .conftest import WEIGHTS, Ask


def cdn_url(hub: Hub, ask: Ask) -> str:
    """A fresh signed URL of the weights."""
    location: str = ask(f"{hub.url}/acme/tiny/resolve/main/model.safetensors").headers["Location"]
    return location


def everything(url: str) -> bytes:
    """All bytes that come for a GET until the server ends the connection."""
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as sock,
        sock.makefile("rb") as stream,
    ):
        sock.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        return stream.read()


def test_a_status_comes_as_often_as_asked(hub: Hub, ask: Ask) -> None:
    rule = hub.faults.add(faults.status(503, {"X-Why": "test"}, b"busy"), "GET /api/models/acme/*", times=2, skip=1)
    url = f"{hub.url}/api/models/acme/tiny"
    assert [ask(url).status for _ in range(4)] == [200, 503, 503, 200]
    assert rule.fired == 2
    assert ask(f"{hub.url}/api/datasets/acme/rows").status == 200


def test_a_rule_may_be_any_test_of_the_request(hub: Hub, ask: Ask) -> None:
    hub.faults.add(faults.status(500), lambda request: "range" in request.headers, origin="cdn")
    url = cdn_url(hub, ask)
    assert ask(url, "HEAD").status == 200
    assert ask(url, Range="bytes=0-1").status == 500


def test_a_seeded_chance_repeats_itself() -> None:
    request = Request("hub", "GET", "/", "", {})

    def strikes(seed: int) -> list[bool]:
        rule = Rule("*", probability=0.3, seed=seed)
        return [rule.strikes(request) for _ in range(200)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert 30 < sum(strikes(1)) < 90


def test_the_real_client_resumes_a_cut_download(hub: Hub, cache: Path) -> None:
    chunk = 10 << 20  # the client keeps whole chunks of this size only
    big = Generated(chunk + 2000)
    hub.model("acme/big").commit({"w.bin": LFS(big)})
    hub.faults.add(faults.cut(after=chunk + 1000), "GET *", origin="cdn", times=1)
    path = hf_hub_download("acme/big", "w.bin", endpoint=hub.url, cache_dir=cache, token=False)
    assert Path(path).read_bytes() == big.read()
    records = hub.log.records("GET *", "cdn")
    assert [record.range for record in records] == [None, f"bytes={chunk}-"]
    assert [record.sent for record in records] == [chunk + 1000, 2000]


def test_wrong_bytes_stand_at_the_file_offset_in_ranges_too(hub: Hub, ask: Ask) -> None:
    hub.faults.add(faults.wrong_bytes(1_500_000, b"XYZ"), "GET *", origin="cdn", times=3)
    url, sound = cdn_url(hub, ask), WEIGHTS.read()
    assert ask(url).body == sound[:1_500_000] + b"XYZ" + sound[1_500_003:]
    assert ask(url, Range="bytes=1499999-1500001").body == sound[1_499_999:1_500_000] + b"XY"
    assert ask(url, Range="bytes=0-9").body == sound[:10]
    assert ask(url).body == sound
    hub.faults.add(faults.wrong_bytes(5), origin="cdn")
    assert ask(url, Range="bytes=4-6").body == sound[4:5] + bytes([sound[5] ^ 0xFF]) + sound[6:7]


def test_a_truncated_body_has_a_length_that_agrees(hub: Hub, ask: Ask) -> None:
    hub.faults.add(faults.truncated(10), origin="cdn")
    answer = ask(cdn_url(hub, ask))
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "10", WEIGHTS.read(0, 10))


def test_a_longer_body_has_more_than_it_promised(hub: Hub, ask: Ask) -> None:
    hub.faults.add(faults.longer(5, honest=True), origin="cdn", times=1)
    hub.faults.add(faults.longer(5), origin="cdn", times=1)
    url = cdn_url(hub, ask)
    assert ask(url).body == WEIGHTS.read() + b"xxxxx"
    head, _, body = everything(url).partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: 3000000\r\n" in head
    assert body == WEIGHTS.read() + b"xxxxx"


def test_pages_garbage_and_empty_lists_come_with_status_200(hub: Hub, ask: Ask, api: HfApi) -> None:
    for fault in (faults.html(), faults.garbage(), faults.empty_list()):
        hub.faults.add(fault, times=1)
    url = f"{hub.url}/api/models/acme/tiny/tree/main"
    answers = [ask(url) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].headers["Content-Type"] == "text/html"
    assert list(api.list_repo_tree("acme/tiny")) == []
    assert len(list(api.list_repo_tree("acme/tiny"))) == 4


def test_connections_are_refused_at_accept_or_after_the_request(hub: Hub, ask: Ask) -> None:
    hub.faults.refuse_connections("hub", times=1)
    for _ in range(2):
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            ask(f"{hub.url}/api/models")
        hub.faults.add(faults.refuse(), times=1)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        ask(f"{hub.url}/api/models")
    assert [record.status for record in hub.log] == [0, 0]
    assert ask(f"{hub.url}/api/models").status == 200


def test_delays_stalls_and_trickles_take_their_time(hub: Hub, ask: Ask) -> None:
    for fault in (faults.delay(0.2), faults.stall(0.2, after=1), faults.trickle(10)):
        hub.faults.add(fault, "/acme/tiny/resolve/*", times=1)
        begun = time.monotonic()
        assert ask(f"{hub.url}/acme/tiny/resolve/main/config.json").body == b"{}"
        assert time.monotonic() - begun > 0.15


def test_a_stall_ends_when_the_server_closes(ask: Ask) -> None:
    with Hub() as hub:
        hub.faults.add(faults.stall(3600))
        connection = http.client.HTTPConnection("127.0.0.1", int(hub.url.rpartition(":")[2]), timeout=PATIENCE)
        connection.request("GET", "/api/models")
        answer = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()


def test_a_hook_can_commit_in_the_middle_of_a_listing(hub: Hub, api: HfApi) -> None:
    hub.behaviour.tree_page = 2
    repo = hub.model("acme/tiny")
    rule = hub.faults.before(lambda _: repo.commit({"z": "z"}), lambda request: bool(request.first("cursor")))
    paths = [entry.path for entry in api.list_repo_tree("acme/tiny", recursive=True)]
    assert paths[-1] == "z"
    assert rule.fired == 1


def test_a_spent_window_answers_429_until_it_turns(hub: Hub, api: HfApi, ask: Ask) -> None:
    hub.limits.quotas = Quotas(api=2, resolvers=10, window=300)
    url = f"{hub.url}/api/models/acme/tiny"
    first = ask(url).headers
    assert first["RateLimit"].startswith('"api";r=1;t=')
    assert first["RateLimit-Policy"] == '"fixed window";"api";q=2;w=300'
    assert [ask(url).status for _ in range(2)] == [200, 429]
    with pytest.raises(HfHubHTTPError, match="reached your 'api' rate limit"):
        api.model_info("acme/tiny")
    assert ask(f"{hub.url}/acme/tiny/resolve/main/config.json").status == 200
    hub.clock.advance(300)
    assert ask(url).status == 200
    hub.limits.exhaust("api")
    assert ask(url).headers["RateLimit"].startswith('"api";r=0;')


def test_a_busy_action_says_when_to_come_back_and_has_budget_left(hub: Hub, ask: Ask) -> None:
    hub.faults.add(faults.busy(7), times=1)
    answer = ask(f"{hub.url}/api/models")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert ";r=0;" not in answer.headers["RateLimit"]


def test_the_log_tells_who_asked_for_what(hub: Hub, ask: Ask) -> None:
    hub.token("hf_in")
    ask(f"{hub.url}/acme/tiny/resolve/main/config.json?x=1", Authorization="Bearer hf_in", User_Agent="me")
    (record,) = hub.log
    assert (record.method, record.query, record.status, record.sent) == ("GET", "x=1", 200, 2)
    assert (record.had_authorization, record.user_agent, record.range) == (True, "me", None)
    assert hub.calls("HEAD") == 0
    hub.log.clear()
    assert len(hub.log) == 0
