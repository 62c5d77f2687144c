"""How much one reader may ask, and that no other feels it: both fronts, over each kind of target."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import count
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from select import select
from threading import Thread
from urllib.parse import urlsplit

import pytest

from mirror_sync.domain.access.reader_limits import PATIENCE, ReaderLimits
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.hub.answers import Refusal
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.serve.reader_turns import ReaderTurns
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests import waiting
from tests.front.bucket import Published
from tests.front.guarded import ACCESS, PUBLIC, TOKENS, bearer, write_tokens
from tests.front.mirrors import Mirror, by_nginx, by_serve, s3_store
from tests.requirements import need
from tests.stores.places import target_of

MB = 1_000_000
NAME = "pub/large"
Running = Callable[[ReaderLimits], AbstractContextManager[Mirror]]


@pytest.fixture(scope="module", params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return target_of(request, tmp_path_factory.mktemp("limited"))


@pytest.fixture(scope="module")
def commit(place: Target) -> str:
    published = Published(_store(place), Repo(Kind.MODEL, NAME))
    files = {"README.md": b"hello", "middle.bin": bytes(4 * MB), "large.bin": bytes(64 * MB)}
    return published.publish(files, described=dict(PUBLIC))


def _store(place: Target) -> DirectoryStore:
    return DirectoryStore(place.root) if isinstance(place, DirectoryTarget) else s3_store(place)  # type: ignore[return-value]


@pytest.fixture(params=["serve", "nginx"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "nginx":
        need("nginx")
    return str(request.param)


@pytest.fixture
def running(kind: str, place: Target, commit: str, tmp_path: Path) -> Running:
    tokens = write_tokens(tmp_path / "tokens.yaml")
    return partial(_running, kind, place, tmp_path / "nginx", tokens)


@contextmanager
def _running(kind: str, place: Target, folder: Path, tokens: Path, limits: ReaderLimits) -> Iterator[Mirror]:
    store = _store(place)
    if kind == "serve":
        with by_serve(store, access=ACCESS, tokens=tokens, limits=limits) as mirror:
            yield mirror
    else:
        options = NginxOptions(place, access=ACCESS, tokens=tokens, limits=limits)
        with by_nginx(store, options, folder) as mirror:
            yield mirror


def asked(mirror: Mirror, target: str, role: str = "") -> int:
    return mirror.ask("GET", target, bearer(TOKENS.get(role, ""))).status


def begun(mirror: Mirror, target: str, role: str = "") -> socket.socket:
    """A request whose answer nobody takes."""
    parts = urlsplit(mirror.url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=waiting.PATIENCE)
    sent = "".join(f"{name}: {value}\r\n" for name, value in bearer(TOKENS.get(role, "")).items())
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n{sent}\r\n".encode())
    return connection


def status(connection: socket.socket) -> int:
    return int(connection.recv(12).split()[1])


def test_requests_beyond_the_rate_are_answered_later_and_none_is_refused(running: Running, commit: str) -> None:
    with running(ReaderLimits(requests=120)) as mirror:
        begins = time.monotonic()
        assert {asked(mirror, f"/{NAME}/resolve/{commit}/README.md", "admins") for _ in range(7)} == {200}
        assert time.monotonic() - begins > 2  # five of them, half a second each


def test_who_asks_more_than_can_wait_is_told_when_to_ask_again_at_every_door_and_nobody_else_is(
    running: Running, commit: str
) -> None:
    doors = (
        f"/{NAME}/resolve/{commit}/README.md",
        f"/{NAME}/resolve/main/README.md",
        f"/api/models/{NAME}",
        f"/api/models/{NAME}/tree/main",
        "/api/models",
        "/api/whoami-v2",
        f"/api/v1/models/{NAME}",
        f"/api/v1/models/{NAME}/repo/files",
        "/v2/",
        "/v2/token",
        f"/v2/{NAME}/manifests/latest",
        "/-/",
        "/nowhere/at/all",
    )
    with running(ReaderLimits(requests=1)) as mirror:
        assert asked(mirror, doors[0]) == 200
        for door in doors:
            refused = mirror.get(door)
            assert (refused.status, refused.header("Retry-After"), refused.header("Cache-Control")) == (
                429,
                "1",
                "no-store",
            ), door
            assert "again in a second" in (refused.header("X-Error-Message") or "")
            assert refused.header("Access-Control-Allow-Origin") == "*"
        assert mirror.get("/v2/").json["errors"][0]["code"] == "TOOMANYREQUESTS"
        assert mirror.get(f"/api/v1/models/{NAME}/repo/files").json["Code"] == 429
        assert asked(mirror, doors[0], "admins") == 200
        assert asked(mirror, doors[0], "admins") == 429
        assert asked(mirror, doors[0], "developers") == 200
        assert mirror.get(doors[0], X_Forwarded_For="10.9.8.7").status == 200
        assert {asked(mirror, "/healthz") for _ in range(3)} == {200}


def test_a_token_that_is_not_good_counts_for_the_address_it_comes_from(running: Running, commit: str) -> None:
    with running(ReaderLimits(requests=1)) as mirror:
        target = f"/{NAME}/resolve/{commit}/README.md"
        assert mirror.ask("GET", target, bearer("hf_strange")).status == 200
        assert {mirror.ask("GET", target, bearer(f"hf_{word}")).status for word in ("a", "b")} == {429}


def test_of_answers_at_once_no_reader_has_more_than_so_many(running: Running, commit: str) -> None:
    target = f"/{NAME}/resolve/{commit}/large.bin"
    with running(ReaderLimits(connections=2)) as mirror, ExitStack() as held:
        first = [held.enter_context(begun(mirror, target, "admins")) for _ in range(2)]
        assert [status(one) for one in first] == [200, 200]
        _until_full(mirror, target, held)
        assert asked(mirror, f"/{NAME}/resolve/{commit}/README.md", "developers") == 200
        assert asked(mirror, f"/{NAME}/resolve/{commit}/README.md") == 200


def _until_full(mirror: Mirror, target: str, held: ExitStack) -> None:
    """Ask until one is refused: serve lets as many wait as are answered, nginx none."""
    more = [held.enter_context(begun(mirror, target, "admins")) for _ in range(4)]
    answered = select(more, [], [], waiting.PATIENCE)[0]
    assert answered, "nobody was refused"
    assert {status(one) for one in answered} == {429}


@pytest.mark.parametrize("kind", ["serve"], indirect=True)
def test_who_is_over_is_answered_when_another_answer_of_theirs_has_ended(running: Running, commit: str) -> None:
    with running(ReaderLimits(connections=1)) as mirror, ExitStack() as held:
        first = held.enter_context(begun(mirror, f"/{NAME}/resolve/{commit}/large.bin"))
        assert status(first) == 200
        second = held.enter_context(begun(mirror, f"/{NAME}/resolve/{commit}/README.md"))
        first.close()
        assert status(second) == 200


def test_an_answer_comes_no_faster_than_its_reader_may_read(running: Running, commit: str) -> None:
    with running(ReaderLimits(bandwidth=MB)) as mirror:
        begins = time.monotonic()
        reply = mirror.get(f"/{NAME}/resolve/{commit}/middle.bin")
        assert (reply.status, len(reply.body)) == (200, 4 * MB)
        assert time.monotonic() - begins > 2


@pytest.mark.parametrize("kind", ["serve"], indirect=True)
def test_answers_of_one_reader_share_what_they_may_read(running: Running, commit: str) -> None:
    with running(ReaderLimits(bandwidth=2 * MB)) as mirror:
        begins = time.monotonic()
        threads = [Thread(target=asked, args=(mirror, f"/{NAME}/resolve/{commit}/middle.bin")) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - begins > 3


def test_a_turn_is_taken_from_all_processes_of_a_front() -> None:
    turns = ReaderTurns(ReaderLimits(requests=1), clock=lambda: 1000.0)
    process, told = _forked(turns)
    assert told.recv() == "held"
    with pytest.raises(Refusal, match="again in a second"):
        asyncio.run(_hold(turns))
    process.kill()
    process.join()


def test_what_a_process_that_died_was_answering_counts_no_longer() -> None:
    turns = ReaderTurns(ReaderLimits(connections=1), clock=partial(next, count(0, PATIENCE / 2)))
    process, told = _forked(turns)
    assert told.recv() == "held"
    with pytest.raises(Refusal, match="again in a second"):
        asyncio.run(_hold(turns))
    process.kill()
    process.join()
    asyncio.run(_hold(turns))


def test_of_more_readers_than_are_known_at_once_those_who_were_silent_longest_are_forgotten() -> None:
    turns = ReaderTurns(ReaderLimits(requests=1), clock=partial(next, count(1000)))
    for number in range(20_000):
        asyncio.run(_hold(turns, f"address {number}"))
    with pytest.raises(Refusal, match="again in a second"):
        asyncio.run(_hold(turns, "address 19999"))


def _forked(turns: ReaderTurns) -> tuple[ForkProcess, Connection]:
    """Another process that holds the turn of a reader until it is killed, and says so."""
    ours, theirs = Pipe()
    process = get_context("fork").Process(target=_hold_on, args=(turns, theirs))
    process.start()
    return process, ours


def _hold_on(turns: ReaderTurns, told: Connection) -> None:
    asyncio.run(_hold(turns, then=lambda: told.send("held") or time.sleep(600)))  # type: ignore[func-returns-value]


async def _hold(turns: ReaderTurns, reader: str = "token one", then: Callable[[], object] = lambda: None) -> None:
    async with turns.turn(reader):
        then()
