"""The stand-in as a process of its own, steered from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, snapshot_download

from tests.standin import Hub
from tests.standin.__main__ import arguments
from tests.standin.folders import add_folder, add_spec
from tests.waiting import PATIENCE

from .conftest import Ask

ROOT = Path(__file__).parents[2]


@contextmanager
def running(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A stand-in process and its URL; it is killed at the end if it still runs."""
    command = [sys.executable, "-m", "tests.standin", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("hub ").strip(), process
        finally:
            process.kill()


def command(ask: Ask, url: str, do: str, **rest: Any) -> Any:
    """Send one command and return its answer."""
    answer = ask(f"{url}/__control__", "POST", json.dumps({"do": do, **rest}).encode())
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_folder_is_served_as_a_repo_until_a_signal(tmp_path: Path, ending: signal.Signals) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.onnx").write_bytes(os.urandom(1000))
    (tmp_path / "config.json").write_text("{}")
    with running("--folder", f"acme/tiny={tmp_path},license=apache-2.0") as (url, process):
        found = HfApi(endpoint=url, token=False).model_info("acme/tiny", files_metadata=True)
        got = Path(snapshot_download("acme/tiny", endpoint=url, cache_dir=tmp_path / "cache", token=False))
        assert (got / "sub" / "w.onnx").read_bytes() == (tmp_path / "sub" / "w.onnx").read_bytes()
        process.send_signal(ending)
        assert process.wait(timeout=PATIENCE) == 0
    assert {file.rfilename: file.lfs is not None for file in found.siblings or []} == {
        "config.json": False,
        "sub/w.onnx": True,
    }
    assert found.card_data is not None
    assert found.card_data.license == "apache-2.0"


def test_a_steerable_process_obeys(tmp_path: Path, ask: Ask) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("repos: [{id: acme/a, license: mit, commits: [{files: {x: hello}}], tags: [v1]}]")
    with running("--repo", str(spec), "--steerable") as (url, _):
        api = HfApi(endpoint=url, token=False)
        assert [ref.name for ref in api.list_repo_refs("acme/a").tags] == ["v1"]
        weights = {"size": 5000, "seed": 3, "lfs": True}
        made = command(ask, url, "commit", repo="acme/a", files={"w": weights, "t": "x"}, delete=["x"], title="Next")
        assert api.model_info("acme/a").sha == made["commit"]
        command(ask, url, "fault", fault="status", code=500, body="no", match="/api/models/*", times=1)
        assert ask(f"{url}/api/models/acme/a").status == 500
        command(ask, url, "set", repo="acme/a", gated="auto")
        assert api.model_info("acme/a").gated == "auto"
        log = command(ask, url, "log", match="GET /api/models/acme/a")
        assert [record["status"] for record in log] == [200, 500, 200]
        command(ask, url, "clear")
        assert command(ask, url, "log") == []
        assert ask(f"{url}/__control__", "POST", b'{"do": "nothing"}').status == 400


def test_nobody_steers_a_hub_that_is_not_steerable(hub: Hub, ask: Ask) -> None:
    assert ask(f"{hub.url}/__control__", "POST", b'{"do": "clear"}').status == 404


def test_a_spec_file_may_name_folders_and_tokens(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a")
    spec = tmp_path / "spec.yaml"
    spec.write_text("repos: [{id: a/b, kind: dataset, folder: files, gated: auto}]\ntokens: {hf_x: {approved: [a/b]}}")
    with Hub() as hub:
        add_spec(hub, spec)
        folder = Path(snapshot_download("a/b", repo_type="dataset", endpoint=hub.url, cache_dir=tmp_path, token="hf_x"))
        assert (folder / "a.txt").read_text() == "a"
        with pytest.raises(NotADirectoryError):
            add_folder(hub, f"a/c={tmp_path / 'nowhere'}")


def test_ports_can_be_fixed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert arguments(["--port", str(port)]).port == port
    with Hub(port=port) as hub:
        assert hub.url == f"http://127.0.0.1:{port}"


def test_a_hub_that_went_down_comes_back_at_its_address(ask: Ask) -> None:
    hub = Hub()
    hub.model("a/b").commit({"x": "x"})
    with hub:
        url = f"{hub.url}/api/models/a/b"
        assert ask(url).status == 200
    with pytest.raises(ConnectionRefusedError):
        ask(url)
    with hub:
        assert ask(url).status == 200


def test_many_clients_at_once_are_all_answered(hub: Hub, ask: Ask) -> None:
    failures: list[int] = []

    def client() -> None:
        statuses = [ask(f"{hub.url}/acme/tiny/resolve/main/config.json").status for _ in range(20)]
        failures.extend(status for status in statuses if status != 200)

    threads = [threading.Thread(target=client) for _ in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert hub.calls("GET") == 500


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 70_000, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET /nowhere/at/all HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    ],
)
def test_odd_requests_get_an_answer(hub: Hub, sent: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(hub.url.rpartition(":")[2])), timeout=PATIENCE) as sock:
        sock.sendall(sent)
        assert sock.recv(100).split()[1] == status
