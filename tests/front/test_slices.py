"""Large files over S3: nginx reads them in slices, which it keeps, and no slice that fails shows as a file's bytes."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.front.nginx.nginx_files import SLICE_SIZE, NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, model
from tests.front.mirrors import Mirror, by_nginx
from tests.front.recorder import BUCKET, Recorder, recorder
from tests.requirements import need
from tests.waiting import PATIENCE

LARGE = b"".join(number.to_bytes(8, "big") for number in range(2 * SLICE_SIZE // 8 + 5))  # two slices and 40 bytes
LAST = len(LARGE) - 1
KEY = blob_key(Sha256.of(LARGE))
SLICES = [f"bytes={at}-{at + SLICE_SIZE - 1}" for at in range(0, len(LARGE), SLICE_SIZE)]


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Recorder]:
    need("nginx")
    with recorder(tmp_path / "bucket") as running:
        yield running


@pytest.fixture(params=["private", "public"])
def options(request: pytest.FixtureRequest, bucket: Recorder) -> NginxOptions:
    public = S3Target(BUCKET, bucket.url)
    return NginxOptions(
        replace(public, access_key="key", secret_key="secret") if request.param == "private" else public
    )


@pytest.fixture
def mirror(bucket: Recorder, options: NginxOptions, tmp_path: Path) -> Iterator[Mirror]:
    with by_nginx(DirectoryStore(bucket.root), options, tmp_path / "nginx") as running:
        yield running


@pytest.fixture
def repo(mirror: Mirror) -> Published:
    return model(mirror.store)


def ranges(bucket: Recorder) -> list[str]:
    """What was asked of the large file."""
    return [asked.headers.get("range", "") for asked in bucket.asked if asked.key == KEY]


def test_every_slice_is_asked_for_once_whoever_reads_what(mirror: Mirror, bucket: Recorder, repo: Published) -> None:
    commit = repo.publish({"f": LARGE, "g": LARGE})
    for revision in (commit, "main"):
        for path in ("f", "g"):
            target = f"{repo.at}/resolve/{revision}/{path}"
            assert mirror.get(target).body == LARGE
            part = mirror.get(target, Range=f"bytes={SLICE_SIZE - 3}-{SLICE_SIZE + 2}")
            assert (part.status, part.body) == (206, LARGE[SLICE_SIZE - 3 : SLICE_SIZE + 3])
    assert ranges(bucket) == SLICES


def test_a_range_asks_for_no_slice_but_its_own(mirror: Mirror, bucket: Recorder, repo: Published) -> None:
    commit = repo.publish({"f": LARGE})
    reply = mirror.get(f"{repo.at}/resolve/{commit}/f", Range=f"bytes={SLICE_SIZE + 7}-{SLICE_SIZE + 9}")
    assert reply.body == LARGE[SLICE_SIZE + 7 : SLICE_SIZE + 10]
    assert reply.header("Content-Range") == f"bytes {SLICE_SIZE + 7}-{SLICE_SIZE + 9}/{len(LARGE)}"
    assert ranges(bucket) == SLICES[1:2]


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [("-3", -3, None), (f"{SLICE_SIZE}-", SLICE_SIZE, None), (f"{LAST}-{LAST}", LAST, None), ("0-", 0, None)],
)
def test_any_range_brings_its_bytes(mirror: Mirror, repo: Published, wanted: str, start: int, stop: int | None) -> None:
    commit = repo.publish({"f": LARGE})
    for _ in range(2):
        reply = mirror.get(f"{repo.at}/resolve/{commit}/f", Range=f"bytes={wanted}")
        assert (reply.status, reply.body == LARGE[start:stop]) == (206, True)


@pytest.mark.parametrize("status", [403, 404, 416, 500, 503])
@pytest.mark.parametrize("start", [0, SLICE_SIZE - 1])
def test_a_slice_that_fails_ends_the_answer_among_the_files_own_bytes(
    mirror: Mirror, bucket: Recorder, repo: Published, status: int, start: int
) -> None:
    """A client goes on after the bytes that it has, and checks nothing but their number."""
    commit = repo.publish({"f": LARGE})
    target = f"{repo.at}/resolve/{commit}/f"
    bucket.faults[KEY, SLICES[1]] = status
    got = _until_cut(mirror, target, f"bytes={start}-")
    assert len(got) <= SLICE_SIZE - start
    assert got == LARGE[start : start + len(got)]
    del bucket.faults[KEY, SLICES[1]]
    assert mirror.get(target, Range=f"bytes={start}-").body == LARGE[start:]


def test_a_first_slice_that_fails_is_the_buckets_fault(mirror: Mirror, bucket: Recorder, repo: Published) -> None:
    commit = repo.publish({"f": LARGE})
    target = f"{repo.at}/resolve/{commit}/f"
    for status in (403, 404, 503):
        bucket.faults[KEY, SLICES[0]] = status
        assert mirror.get(target).status == 502
    bucket.faults.clear()
    assert mirror.get(target).body == LARGE


def test_a_front_without_room_keeps_no_large_file(bucket: Recorder, options: NginxOptions, tmp_path: Path) -> None:
    with by_nginx(DirectoryStore(bucket.root), replace(options, cache_size=0), tmp_path / "nginx") as mirror:
        repo = model(mirror.store)
        target = f"{repo.at}/resolve/{repo.publish({'f': LARGE})}/f"
        for _ in range(2):
            assert mirror.get(target).body == LARGE
            assert mirror.get(target, Range="bytes=1-2").body == LARGE[1:3]
    assert ranges(bucket) == ["", "bytes=1-2"] * 2


def _until_cut(mirror: Mirror, target: str, wanted: str) -> bytes:
    """The bytes of a body that the server is expected not to finish; none when it did not even begin."""
    parts = urlsplit(mirror.url)
    connection, got = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE), b""
    try:
        connection.connect()
        # room for little: what nginx has still to send when the next slice fails is sent together with what follows it
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
        connection.request("GET", target, headers={"Range": wanted})
        with suppress(http.client.RemoteDisconnected, ConnectionResetError):
            answer = connection.getresponse()
            assert answer.status == 206
            while piece := answer.read1(64 << 10):
                got += piece
    finally:
        connection.close()
    return got
