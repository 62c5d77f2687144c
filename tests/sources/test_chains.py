"""Redirects: the token goes where the endpoint's socket goes and nowhere else, and trust never rises on the way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId, GitOid
from mirror_sync.errors import BadAnswer, UpstreamError
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from tests.sources.reading import TINY, fetched

COMMIT = CommitId("0" * 40)
FILE = RemoteFile("notes.txt", 5, GitOid("1" * 40))
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
SECRET = "hf_only-for-the-endpoint"


class Listening:
    """A server on one address that keeps every request's head; `answers` are given in turn, the last for ever."""

    def __init__(self, host: str) -> None:
        self.heads: list[str] = []
        self.answers: list[bytes] = [HELLO]
        self.socket = socket.create_server((host, 0))
        self.port = int(self.socket.getsockname()[1])
        self.url = f"http://{host}:{self.port}"

    def redirect(self, *locations: str) -> None:
        heads = (
            f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            for place in locations
        )
        self.answers = [head.encode("latin-1") for head in heads] + [HELLO]

    @property
    def tokens(self) -> list[bool]:
        return [SECRET in head for head in self.heads]

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                with client, suppress(OSError):
                    self.heads.append(client.recv(65536).decode("latin-1"))
                    client.sendall(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@contextmanager
def listening(host: str) -> Iterator[Listening]:
    server = Listening(host)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.socket.shutdown(socket.SHUT_RDWR)
        server.socket.close()
        thread.join()


@pytest.fixture
def home() -> Iterator[Listening]:
    with listening("127.0.0.1") as server:
        yield server


@pytest.fixture
def other() -> Iterator[Listening]:
    with listening("127.0.0.1") as server:
        yield server


def ask(home: Listening) -> bytes:
    return fetched(HubSource(home.url, SECRET, Transport()), TINY, COMMIT, FILE)


SPELLINGS = [
    *("http://127.0.0.1:{home}/x", "HTTP://127.0.0.1:{home}/x", "/x", "x/y", "//127.0.0.1:{home}/x"),
    *("http://127.0.0.1:{other}/x", "//127.0.0.1:{other}/x", "http://localhost:{home}/x", "http://LOCALHOST:{other}"),
    *("http://localhost.:{other}/x", "http://127.1:{other}/x", "http://127.0.0.1:{other}/@127.0.0.1:{home}/"),
    *("http://127.0.0.1:{other}?http://127.0.0.1:{home}/", "http://127.0.0.1:{other}#@127.0.0.1:{home}/"),
    *("http://127.0.0.1:{home}@127.0.0.1:{other}/", "http://name@127.0.0.1:{home}/", "http://127.0.0.1:0{other}/x"),
    *("http:127.0.0.1:{other}/x", "http:/127.0.0.1:{other}/x", "http:///127.0.0.1:{other}/x", "///127.0.0.1:{other}"),
    *("/x y", "/x\\y", "/x\ty", "/\u00e9", "", "ftp://127.0.0.1:{other}/x", "http://[::1]:{other}/x"),
]


@pytest.mark.parametrize("small", [True, False], ids=["the short way", "the long way"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_where_the_token_goes_is_where_the_endpoints_socket_is(
    home: Listening, other: Listening, spelling: str, small: bool
) -> None:
    home.redirect(spelling.format(home=home.port, other=other.port))
    source = HubSource(home.url, SECRET, Transport())
    with suppress(UpstreamError):
        fetched(source, TINY, COMMIT, FILE, 0, None if small else 4)
    assert home.tokens[0]
    assert not any(other.tokens)
    for head in other.heads:
        assert f"{other.port}" in head.partition("host: ")[2].partition("\r\n")[0]


@pytest.mark.parametrize(
    "location", ["http://name@127.0.0.1:{port}/", "/x\\y", "/x y", "/x\ty", "/\u00e9", "", "http://127.0.0.1:{port} /"]
)
def test_a_location_that_is_not_plain_is_refused(home: Listening, other: Listening, location: str) -> None:
    home.redirect(location.format(port=other.port))
    with pytest.raises(BadAnswer, match="no plain http or https address"):
        ask(home)
    assert (len(home.heads), len(other.heads)) == (1, 0)


def test_a_second_location_makes_it_none(home: Listening, other: Listening) -> None:
    home.redirect(f"{home.url}/x\r\nLocation: {other.url}/x")
    with pytest.raises(BadAnswer, match="no plain http or https address"):
        ask(home)
    assert not other.heads


def test_a_chain_that_left_the_endpoint_brings_no_token_back(home: Listening, other: Listening) -> None:
    home.redirect(f"{other.url}/x")
    other.redirect(f"{home.url}/elsewhere")
    assert ask(home) == b"hello"
    assert home.tokens == [True, False]
    assert other.tokens == [False]


def test_after_a_public_server_nothing_leads_inside_again(home: Listening) -> None:
    """Though the chain began inside, where it might have gone on inside."""
    with listening("127.0.0.2") as public, listening("127.0.0.3") as inside:
        home.redirect(f"{public.url}/x")
        public.redirect(f"{public.url}/y", f"{inside.url}/z")
        source = HubSource(home.url, SECRET, Transport(public=lambda at: at == "127.0.0.2"))
        with pytest.raises(BadAnswer, match=r"127\.0\.0\.3, which is not on the open internet"):
            fetched(source, TINY, COMMIT, FILE)
        assert (len(public.heads), len(inside.heads)) == (2, 0)


def test_nor_home_again_where_home_is_inside(home: Listening) -> None:
    with listening("127.0.0.2") as public:
        home.redirect(f"{public.url}/x")
        public.redirect(f"{home.url}/y")
        source = HubSource(home.url, SECRET, Transport(public=lambda at: at == "127.0.0.2"))
        with pytest.raises(BadAnswer, match="not on the open internet"):
            fetched(source, TINY, COMMIT, FILE)
        assert len(home.heads) == 1
