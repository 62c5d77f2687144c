"""`serve` as a process: it starts, streams, and stops when it is told to."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.measure import tree
from mirror_sync.front.serve.uvicorn_server import ServeAt, serve, serving
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import model
from tests.front.mirrors import Mirror, by_serve
from tests.front.stores import WatchedStore
from tests.waiting import PATIENCE, until

PROGRAM = """
import sys
from pathlib import Path
from mirror_sync.front.serve.asgi import make_app
from mirror_sync.front.serve.uvicorn_server import ServeAt, serve
from mirror_sync.stores.directory.directory_store import DirectoryStore
app, processes = make_app(DirectoryStore(Path(sys.argv[1]))), int(sys.argv[2])
serve(app, ServeAt("127.0.0.1", 0, processes), on_ready=lambda url: print(url, flush=True))
print("stopped")
"""


def started(folder: Path, processes: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROGRAM, str(folder), str(processes)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_quietly_when_told_to(number: signal.Signals, processes: int, tmp_path: Path) -> None:
    running = started(tmp_path, processes)
    assert running.stdout is not None
    url = running.stdout.readline().strip()
    assert Mirror(url, DirectoryStore(tmp_path)).get("/healthz").status == 200
    running.send_signal(number)
    out, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, out, err) == (0, "stopped\n", "")


def test_a_process_that_dies_is_replaced_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    running = started(tmp_path, 2)
    assert running.stdout is not None
    url = running.stdout.readline().strip()
    mirror = Mirror(url, DirectoryStore(tmp_path))
    try:
        assert mirror.get("/healthz").status == 200
        for process in [one for one in tree(running.pid) if one != running.pid]:
            os.kill(process, signal.SIGKILL)
        assert [mirror.get("/healthz").status for _ in range(20)] == [200] * 20
    finally:
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=PATIENCE)
    *said, last = out.splitlines()  # its log goes there, as nobody has said where it goes
    assert (running.returncode, last, err) == (0, "stopped", "")
    assert said
    assert all("another takes its place" in line for line in said)


def test_an_address_that_is_taken_is_not_shared(tmp_path: Path) -> None:
    running = started(tmp_path, 2)
    assert running.stdout is not None
    try:
        port = urlsplit(running.stdout.readline().strip()).port or 0
        with pytest.raises(OSError, match="in use"):
            serve(lambda *_: None, ServeAt("127.0.0.1", port, 2))  # type: ignore[arg-type]
    finally:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("part", [slice(None), slice(70_000, 2_000_000)])
def test_a_large_file_comes_whole_and_in_parts_and_the_connection_serves_again(tmp_path: Path, part: slice) -> None:
    store, body = DirectoryStore(tmp_path), random.Random(1).randbytes(3_000_001)
    repo = model(store)
    commit = repo.publish({"big.bin": body})
    with by_serve(store) as mirror:
        connection = http.client.HTTPConnection(urlsplit(mirror.url).netloc, timeout=PATIENCE)
        ranged = {} if part.start is None else {"Range": f"bytes={part.start}-{part.stop - 1}"}
        for _ in range(3):
            connection.request("GET", f"{repo.at}/resolve/{commit}/big.bin", headers=ranged)
            assert connection.getresponse().read() == body[part]
        connection.close()


def test_an_address_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with by_serve(DirectoryStore(tmp_path)) as mirror:
        port = urlsplit(mirror.url).port or 0
        with pytest.raises(OSError, match="in use"), serving(lambda *_: None, port=port):  # type: ignore[arg-type]
            pass


def test_a_client_that_goes_away_ends_the_read(tmp_path: Path) -> None:
    store = WatchedStore(DirectoryStore(tmp_path))
    repo = model(store)
    commit = repo.publish({"big.bin": bytes(64 << 20)})
    with by_serve(store) as mirror:
        parts = urlsplit(mirror.url)
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.sendall(f"GET {repo.at}/resolve/{commit}/big.bin HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.recv(1000)
            assert store.open == 1
        until(lambda: not store.open, lambda: "the blob is still being read")


def test_a_fault_of_ours_is_a_clean_refusal_that_the_log_explains_and_no_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = WatchedStore(DirectoryStore(tmp_path))
    repo = model(store)
    repo.publish({"f": b"1"})
    with by_serve(store) as mirror:
        parts = urlsplit(mirror.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        for fault, status in ((RuntimeError("a fault"), 500), (None, 200)):
            store.fault = fault
            connection.request("GET", f"{repo.at}/resolve/main/f")
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == status
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            if fault is not None:
                assert json.loads(body) == {"error": answer.headers["X-Error-Message"]}
                assert answer.headers["Cache-Control"] == "no-store"
        connection.close()
    assert "a fault" in caplog.text


def test_every_stream_is_closed(tmp_path: Path) -> None:
    store = WatchedStore(DirectoryStore(tmp_path))
    repo = model(store)
    commit = repo.publish({"f": bytes(3 << 20)})
    with by_serve(store) as mirror:
        for headers in ({}, {"Range": "bytes=5-9"}, {"Range": "bytes=99999999-"}, {"If-None-Match": "*"}):
            mirror.ask("GET", f"{repo.at}/resolve/{commit}/f", headers)
    assert store.open == 0
