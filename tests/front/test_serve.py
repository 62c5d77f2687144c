"""`serve` as a process: it starts, streams, and stops when it is told to."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import model
from tests.front.mirrors import Mirror, by_serve
from tests.front.stores import WatchedStore

PROGRAM = """
import sys
from pathlib import Path
from mirror_sync.front.serve.asgi import make_app
from mirror_sync.front.serve.uvicorn_server import serve
from mirror_sync.stores.directory.directory_store import DirectoryStore
serve(make_app(DirectoryStore(Path(sys.argv[1]))), "127.0.0.1", 0, on_ready=lambda url: print(url, flush=True), grace=1)
print("stopped")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_quietly_when_told_to(number: signal.Signals, tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    url = running.stdout.readline().strip()
    assert Mirror(url, DirectoryStore(tmp_path)).get("/healthz").status == 200
    running.send_signal(number)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (0, "stopped\n", "")


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
        limit = time.monotonic() + 60
        while store.open:
            assert time.monotonic() < limit, "the blob is still being read"
            time.sleep(0.05)


def test_a_fault_of_ours_is_a_clean_refusal_that_the_log_explains_and_no_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = WatchedStore(DirectoryStore(tmp_path))
    repo = model(store)
    repo.publish({"f": b"1"})
    with by_serve(store) as mirror:
        parts = urlsplit(mirror.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
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
