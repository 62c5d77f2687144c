"""A file costs one request, whatever shape its answer has."""

from __future__ import annotations

import socket
import threading

import pytest

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId, GitOid
from mirror_sync.errors import BadAnswer, RateLimited, Unreachable
from mirror_sync.net.http1 import Fields, read_head
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from tests.sources.raw import serving
from tests.sources.reading import TINY, fetched

COMMIT = CommitId("0" * 40)
FILE = RemoteFile("notes.txt", 5, GitOid("1" * 40))
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def counted(answer: bytes, calls: int) -> tuple[list[bytes | Exception], int]:
    """What so many fetches gave, and how many requests they cost."""
    asked: list[None] = []

    def script(client: socket.socket, _: threading.Event) -> None:
        asked.append(None)
        client.sendall(answer)

    found: list[bytes | Exception] = []
    with serving(script) as url:
        source = HubSource(url, None, Transport())
        for _ in range(calls):
            try:
                found.append(fetched(source, TINY, COMMIT, FILE))
            except (BadAnswer, RateLimited, Unreachable) as error:
                found.append(error)
    return found, len(asked)


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        PLAIN.replace(b"Length: ", b"Length:\t"),
        PLAIN.replace(b"Content", b"CONTENT"),
        PLAIN.replace(b" OK", b""),
        PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        PLAIN.replace(b"/1.1", b"/1.0"),
    ],
)
def test_a_plain_answer_costs_one_request(answer: bytes) -> None:
    assert counted(answer, 2) == ([b"hello", b"hello"], 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,
        PLAIN.replace(b"\r\n\r\n", b"\r\nX-Long: one\r\n two\r\n\r\n"),
    ],
    ids=["chunked", "without a length", "continue", "folded"],
)
def test_an_unusual_answer_is_an_answer_and_costs_one_request_too(answer: bytes) -> None:
    closing = answer.replace(b" 200 OK\r\n", b" 200 OK\r\nConnection: close\r\n")  # as this server does
    assert counted(closing, 5) == ([b"hello"] * 5, 5)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", RateLimited),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", Unreachable),
        (PLAIN.replace(b": 5", b": 6"), BadAnswer),
        (PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), BadAnswer),
        (PLAIN.removesuffix(b"lo"), Unreachable),
        (b"", Unreachable),
    ],
)
def test_a_refusal_is_an_answer_and_is_not_asked_for_twice(answer: bytes, kind: type[Exception]) -> None:
    (error,), requests = counted(answer, 1)
    assert isinstance(error, kind)
    assert requests == 1


def test_a_limit_says_how_long_to_wait() -> None:
    (error,), _ = counted(b"HTTP/1.1 429 Too Many Requests\r\nRETRY-AFTER: 7\r\nContent-Length: 0\r\n\r\n", 1)
    assert isinstance(error, RateLimited)
    assert error.retry_after == 7


def test_headers_that_come_twice_are_joined() -> None:
    fields = Fields.of(["RateLimit: a", "ratelimit:  b "])
    assert fields.get("RATELIMIT") == "a, b"


@pytest.mark.parametrize("line", ["", "no colon", ": value", "Name : value", " folded: value"])
def test_what_is_no_header_is_none(line: str) -> None:
    with pytest.raises(ValueError, match="no header"):
        Fields.of([line])


@pytest.mark.parametrize("length", ["-1", "5, 5", "0x5", "1" * 40, "", "\u0663"])
def test_a_length_that_is_not_plain_is_none(length: str) -> None:
    stated = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    head, _ = read_head(lambda _: stated)
    assert head.length is None


@pytest.mark.parametrize("ending", [b"\n\n", b"\n\r\n", b"\r\n\n"])
@pytest.mark.parametrize("between", [b"\n", b"\r\n"])
def test_bare_line_feeds_are_not_plain(between: bytes, ending: bytes) -> None:
    answers = [b"HTTP/1.1 200 OK" + between + b"Content-Length: 5" + ending + b"hello"]
    with pytest.raises(ValueError, match="line feed"):
        read_head(lambda _: answers.pop())  # which fails when it is asked for more than there is


def test_a_proxy_is_known_though_the_table_is_cleared_meanwhile() -> None:
    class Cleared(dict[tuple[str, str, int], str | None]):
        def __setitem__(self, key: tuple[str, str, int], value: str | None) -> None:
            """Another thread clears the table at once."""

    with serving(lambda client, _: client.sendall(PLAIN)) as url:
        transport = Transport()
        transport._proxies = Cleared()
        answer = transport.open(url, {})
        answer.discard()
    assert answer.status == 200
