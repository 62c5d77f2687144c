"""A daemon over the small world, for a moment: what its socket and its HTTP answer, and what lies in its folder."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cli.program import PATIENCE, Program

SECRET = "webhook-secret"
TOLD = {"event": {"action": "update", "scope": "repo.content"}, "repo": {"type": "model", "name": "acme/one"}}
ELSEWHERE = {"event": {"action": "update", "scope": "discussion"}, "repo": {"type": "model", "name": "acme/one"}}

# What is sent to the socket, and what is asked over HTTP.
LINES = (
    '{"trigger": "part"}',
    '{"trigger": "acme/one"}',
    '{"trigger": "nothing"}',
    '{"role": ""}',
    '{"other": 1}',
    "no JSON",
)
CALLS: tuple[tuple[str, str, dict[str, str], object], ...] = (
    ("GET", "/metrics", {}, None),
    ("GET", "/metrics", {"Accept": "application/openmetrics-text; version=1.0.0"}, None),
    ("GET", "/healthz", {}, None),
    ("GET", "/readyz", {}, None),
    ("POST", "/webhook", {"X-Webhook-Secret": SECRET}, TOLD),
    ("POST", "/webhook", {"X-Webhook-Secret": SECRET}, ELSEWHERE),
    ("POST", "/webhook", {"X-Webhook-Secret": SECRET}, ["no payload"]),
    ("POST", "/webhook", {"X-Webhook-Secret": "another"}, TOLD),
    ("GET", "/webhook", {}, None),
    ("GET", "/other", {}, None),
)


@dataclass(frozen=True)
class Running:
    """`said` by what was sent to the socket; `answered` by CALLS: status, media type, body.

    `files` of the state folder; `mode` of the socket; `code` with which SIGTERM ended the daemon.
    """

    said: Mapping[str, str]
    answered: tuple[tuple[int, str, str], ...]
    files: tuple[str, ...]
    mode: str
    code: int


def running(program: Program, state: Path, port: int) -> Running:
    """Start the daemon, ask it, end it."""
    log = program.folder / "daemon.log"
    with (
        log.open("w", encoding="utf-8") as stderr,
        program.started("daemon", streams=stderr.fileno(), WEBHOOK_SECRET=SECRET) as child,
    ):
        _until_logged(child, log, "daemon.started")
        said = {line: _ask_socket(state / "daemon.sock", line) for line in LINES}
        _until_logged(child, log, "run.finished")
        answered = tuple(_ask(port, *call) for call in CALLS)
        files = tuple(str(path.relative_to(state)) for path in sorted(state.rglob("*")) if not path.is_dir())
        mode = oct((state / "daemon.sock").stat().st_mode & 0o777)
        child.send_signal(signal.SIGTERM)
        return Running(said, answered, files, mode, child.wait(PATIENCE))


def _until_logged(child: subprocess.Popen[str], log: Path, text: str) -> None:
    end = time.monotonic() + PATIENCE
    while text not in log.read_text(encoding="utf-8"):
        assert child.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < end, f"{text!r} was not logged:\n{log.read_text(encoding='utf-8')}"
        time.sleep(0.05)


def _ask_socket(path: Path, line: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(PATIENCE)
        one.connect(str(path))
        one.sendall(line.encode() + b"\n")
        with one.makefile("r", encoding="utf-8") as answer:
            return answer.readline()


def _ask(port: int, method: str, path: str, headers: dict[str, str], body: object) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"] or "", answer.read().decode()
    finally:
        connection.close()
