"""A chain follows by itself: what the hub tells the mirror's daemon, that one tells the edge's."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.daemon.webhook import Payload
from mirror_sync.domain.outcome.notices import NameNotice, Shape
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import ConfigError
from tests.daemon.living import Living, living
from tests.front.mirrors import by_serve
from tests.mirrors.chain import Node
from tests.servers.ports import free_ports
from tests.standin import Hub
from tests.waiting import PATIENCE

SECRET, SECOND = "of-the-middle-1234", "of-the-edge-5678"
CARD = "---\nlicense: mit\n---\n"


@contextmanager
def daemon(node: Node, port: int, **environ: str) -> Iterator[Living]:
    node.more["http"] = {"listen": f"127.0.0.1:{port}", "webhook_secret": "${SECRET}"}
    node.environ = environ
    command = ["-m", "mirror_sync", "-c", str(node.jobs_yaml()), "daemon"]
    with living(command, node.folder, NO_PROXY="*", **environ) as running:
        running.until_logged("daemon.started")
        yield running


def told(port: int, secret: str, repo: str) -> int:
    """What a daemon answers to the Hub's word that a repo has changed."""
    body = {"event": {"action": "update", "scope": "repo.content"}, "repo": {"type": "model", "name": repo}}
    headers = {"X-Webhook-Secret": secret}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/webhook", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        return int(answer.status)


def test_a_change_at_the_hub_comes_to_the_edge_through_two_daemons(tmp_path: Path) -> None:
    with Hub() as hub:
        hub.model("acme/one").commit({"README.md": CARD, "config.json": "1"})
        middle = Node(tmp_path / "middle", {"kind": "huggingface", "endpoints": [hub.url]})
        middle.job |= {"repos": ["acme/one"], "schedule": {"every": "999d"}}
        middle.sync()
        first, second = free_ports(2)
        post = {"post": f"http://127.0.0.1:{second}/webhook", "shape": "hub-webhook"}
        middle.more["on"] = {"published": [{**post, "headers": {"X-Webhook-Secret": "${NEXT}"}}]}
        middle.environ = {"NEXT": SECOND}
        with by_serve(middle.store, by_digest=False) as front:
            edge = Node(tmp_path / "edge", {"kind": "mirror", "url": front.url}, profile="edge")
            edge.job["schedule"] = {"every": "999d"}
            edge.sync()
            with (
                daemon(edge, second, SECRET=SECOND),
                daemon(middle, first, SECRET=SECRET, NEXT=SECOND) as running,
            ):
                commit = hub.model("acme/one").commit({"config.json": "2"})
                assert told(first, SECRET, "acme/one") == 202
                end = time.monotonic() + PATIENCE
                while edge.refs("acme/one").commit_of("main") != commit:
                    assert time.monotonic() < end, running.log
                    time.sleep(0.05)
                running.until_logged("hook.done")
                assert SECOND not in running.log


class Sink(BaseHTTPRequestHandler):
    """Answers what its server says, and keeps what came."""

    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append((self.headers.get("X-Webhook-Secret"), json.loads(body)))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    server.came, server.answers = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def local(folder: Path, post: dict[str, Any], turn: str = "published") -> Node:
    """A mirror of a folder that tells somebody of what it publishes."""
    repo = folder / "upstream/acme/one"
    repo.mkdir(parents=True)
    (repo / "README.md").write_text(CARD, encoding="utf-8")
    node = Node(folder, {"kind": "directory", "url": (folder / "upstream").as_uri()}, on={turn: [post]})
    node.job["repos"] = ["acme/one"]
    return node


def test_what_is_posted_is_what_a_webhook_takes_and_comes_again_after_too_many(sink: Any, tmp_path: Path) -> None:
    sink.answers = [429, 503]
    headers = {"X-Webhook-Secret": "secret of two words"}
    url = f"http://127.0.0.1:{sink.server_port}/webhook"
    node = local(tmp_path, {"post": url, "shape": "hub-webhook", "headers": headers})
    node.sync()
    assert [secret for secret, _ in sink.came] == ["secret of two words"] * 3
    payload = Payload.model_validate(sink.came[-1][1])
    assert payload.wanted == Repo.parse("acme/one")
    assert payload.revisions == {"main", "refs/heads/main"}
    assert sink.came[-1][1]["repo"]["headSha"] == node.refs("acme/one").commit_of("main")


def test_a_name_that_moves_is_told_as_a_change_of_the_repo() -> None:
    moved = NameNotice("it", "dataset:acme/rows", "stable", "promote", None, "0" * 40, "me", "", "2026-01-01T00:00:00Z")
    payload = Payload.model_validate(moved.body(Shape.HUB_WEBHOOK))
    assert (payload.wanted, payload.revisions) == (Repo.parse("dataset:acme/rows"), frozenset())


def test_a_downstream_that_is_dead_fails_no_run(tmp_path: Path) -> None:
    with socket.socket() as deaf:  # it is connected to, and nobody answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/webhook"
        node = local(tmp_path, {"post": url, "shape": "hub-webhook", "timeout": "1s"})
        assert node.sync()["acme/one@main"].outcome == "published"


@pytest.mark.parametrize(
    ("post", "turn", "said"),
    [
        ({"shape": "hub-webhook"}, "failed", "shape hub-webhook is for published and moved"),
        ({"headers": {"Host": "x"}}, "published", "is no header that can be added"),
        ({"headers": {"X Y": "x"}}, "published", "is no header that can be added"),
        ({"headers": {"X-A": "a\nb"}}, "published", "must be one word of plain characters"),
    ],
)
def test_what_no_webhook_takes_is_refused(tmp_path: Path, post: dict[str, Any], turn: str, said: str) -> None:
    node = local(tmp_path, {"post": "http://127.0.0.1:1/webhook", **post}, turn)
    with pytest.raises(ConfigError, match=said) as refused, node.program():
        pass
    assert "a\nb" not in str(refused.value)
