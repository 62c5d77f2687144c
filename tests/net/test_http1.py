"""Messages as they stand on the wire: whatever a server sends is a head and a body, or one error, and within bounds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_sync.net.http1 import BodyReader, Fields, Head, read_final_head, read_head, request_head
from tests.waiting import PATIENCE

CHUNKED = Fields({"transfer-encoding": "chunked"})


@contextmanager
def coming(pieces: list[bytes]) -> Iterator[socket.socket]:
    """The end of a connection to which these pieces come, each by itself, and then its end."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        with theirs:
            for piece in pieces:
                theirs.sendall(piece)

    sender = threading.Thread(target=send)
    sender.start()
    with ours:
        yield ours
    sender.join()


def read(head: Head, rest: bytes, pieces: list[bytes], room: int = 64) -> tuple[bytes, BodyReader]:
    """All of a body, read by a buffer of so many bytes."""
    buffer, came = memoryview(bytearray(room)), b""
    with coming(pieces) as sock:
        body = BodyReader(head, rest, sock, PATIENCE, time.monotonic)
        while count := body.receive(buffer):
            came += bytes(buffer[:count])
    return came, body


def cut(text: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=40)), st.lists(st.integers(0, 500), max_size=5), st.integers(1, 50))
def test_a_body_in_chunks_is_the_same_however_it_is_cut(chunks: list[bytes], places: list[int], room: int) -> None:
    """Between pieces of the wire, by those that come with the head, and by the buffer of its reader."""
    wire = b"".join(b"%x;of=%d\r\n%s\r\n" % (len(one), room, one) for one in chunks) + b"0\r\nX-Sum: 1\r\n\r\n"
    first, *others = cut(wire, places) or [b""]
    came, body = read(Head(200, CHUNKED, True, None), first, others, room)
    assert came == b"".join(chunks)
    assert body.ended
    assert body.is_clean


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=5), st.integers(1, 50))
def test_a_body_of_a_length_ends_there_and_what_follows_is_noticed(whole: bytes, places: list[int], room: int) -> None:
    first, *others = cut(whole, places) or [b""]
    came, body = read(Head(200, Fields(), True, len(whole)), first, others, room)
    assert (came, body.ended, body.is_clean) == (whole, True, True)
    came, body = read(Head(200, Fields(), True, len(whole)), whole + b"HTTP/1.1", [], room)
    assert (came, body.ended, body.is_clean) == (whole, True, False)


@pytest.mark.parametrize("whole", [b"", b"abc"])
def test_a_body_without_a_length_ends_with_its_connection_which_serves_no_more(whole: bytes) -> None:
    came, body = read(Head(200, Fields(), True, None), whole[:1], [whole[1:]])
    assert (came, body.ended, body.is_clean) == (whole, True, False)


@pytest.mark.parametrize(
    "wire", [b"", b"3\r\nab", b"3\r\nabc", b"3\r\nabc\r\n", b"3\r\nabc\r\n0\r\n", b"2\r\nab\r\n0\r\nX: y\r\n"]
)
def test_a_body_in_chunks_without_its_end_has_not_ended(wire: bytes) -> None:
    came, body = read(Head(200, CHUNKED, True, None), b"", [wire])
    assert came in (b"", b"ab", b"abc")
    assert not body.ended
    assert not body.is_clean


@pytest.mark.parametrize(
    "wire",
    [
        *(b"zz\r\n", b"\r\n", b"-1\r\n", b"0x5\r\nhello\r\n", b"5 5\r\nhello\r\n", b"f" * 17 + b"\r\n"),
        *(b"2\r\nabc\r\n0\r\n\r\n", b"1" * 70_000, b"0\r\n" + b"X: y\r\n" * 20_000),
    ],
    ids=["letters", "nothing", "below nothing", "a prefix", "two", "beyond bounds", "too short", "endless", "trailers"],
)
def test_what_is_no_chunk_is_an_error_and_is_not_read_for_ever(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"chunk|trailers"):
        read(Head(200, CHUNKED, True, None), wire, [])


@pytest.mark.parametrize("length", ["3, 4", "-7", "9" * 30, "0x3", "3;", "\u0663"])
def test_a_length_that_is_none_is_an_error_not_a_body_to_the_end(length: str) -> None:
    with pytest.raises(ValueError, match="length"):
        read(Head(200, Fields({"content-length": length}), True, None), b"abc", [])


def test_a_length_that_is_said_twice_alike_is_one() -> None:
    came, body = read(Head(200, Fields({"content-length": "3, 3"}), True, None), b"ab", [b"c"])
    assert (came, body.ended) == (b"abc", True)


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "chunked, chunked", "identity"])
def test_a_coding_that_is_not_known_is_an_error(coding: str) -> None:
    with pytest.raises(ValueError, match="coded"):
        read(Head(200, Fields({"transfer-encoding": coding}), True, None), b"", [])


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_waits_for_none(status: int) -> None:
    came, body = read(Head(status, Fields({"content-length": "5"}), True, 5), b"", [])
    assert (came, body.is_clean) == (b"", True)


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\r\n\r\nhello"


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"X: a", b"X:\r\n\ta"),
        PLAIN.replace(b"X: a", b"X: \n a"),
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + PLAIN,
    ],
    ids=["plain", "bare line feeds", "folded", "folded, bare", "announced"],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_head_of_any_shape_is_read_as_it_is_meant(answer: bytes, size: int) -> None:
    pieces = iter([answer[start : start + size] for start in range(0, len(answer), size)])
    head, rest = read_final_head(lambda _: next(pieces))
    assert (head.status, head.length, head.fields) == (200, 5, {"content-length": "5", "x": "a"})
    assert b"hello".startswith(rest)


def test_another_protocol_is_no_answer() -> None:
    with pytest.raises(ValueError, match="protocol"):
        read_final_head(lambda _: b"HTTP/1.1 101 Switching Protocols\r\n\r\n")


@pytest.mark.parametrize("plain", [True, False])
def test_headers_without_end_are_read_to_a_bound(plain: bool) -> None:
    given: list[int] = []

    def endless(_: int) -> bytes:
        given.append(1)
        return b"X-Y: z\r\n" * 1000

    with pytest.raises(ValueError, match="do not end"):
        read_head(endless, b"HTTP/1.1 200 OK\r\n", plain=plain)
    assert len(given) < 12


def test_a_header_of_a_request_stands_once_and_the_last_one_counts() -> None:
    head = request_head(
        "GET", "/a b?c={d}", {"host": "h", "User-Agent": "ours"}, {"user-agent": "theirs", "Accept": "x"}
    )
    assert head == b"GET /a%20b?c=%7Bd%7D HTTP/1.1\r\nhost: h\r\nuser-agent: theirs\r\naccept: x\r\n\r\n"


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\rb"])
def test_a_header_that_would_be_two_is_none(value: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        request_head("GET", "/", {"x": value})
