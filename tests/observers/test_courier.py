"""Hooks get every notice, over real processes and sockets; what they do wrong is logged and harms nobody."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog

from mirror_sync.domain.outcome.notices import (
    Alarm,
    HookCommand,
    HookPost,
    Notice,
    Shape,
    StateChange,
    ToldRepo,
    unmarked,
)
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.outcome.traffic import Oddity, Unusual
from mirror_sync.domain.repo import Kind
from mirror_sync.observe.notify.hook_delivery import HookDelivery

REPORT = RepoReport(
    "models", Kind.MODEL, "acme/one", "main", RepoOutcome.FAILED, reason="no answer", code="unreachable"
)
NOTICE = Notice(StateChange.FAILED, "2026-01-01T00:00:00Z", "run1", (ToldRepo(REPORT, RepoOutcome.PUBLISHED),))


class Receiver(ThreadingHTTPServer):
    """Takes POSTs; answers with `answers` in turn, the last one for ever."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.answers = list(answers)
        self.taken: list[tuple[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/secret-path"


class _Taking(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.headers["Content-Type"], json.loads(body)))
        answers = self.server.answers
        status, said = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def receiver(*answers: tuple[int, bytes]) -> Iterator[Receiver]:
    with Receiver(*answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def deliver(*hooks: HookCommand | HookPost, notices: int = 1, patience: float = 60) -> list[Any]:
    """The log of some notices brought to some hooks."""
    with structlog.testing.capture_logs() as log:
        courier = HookDelivery({StateChange.FAILED: hooks})
        for _ in range(notices):
            courier(NOTICE)
        courier.close(patience)
    return [(line["event"], line.get("reason", line.get("line", ""))) for line in log]


def python(code: str, timeout: float = 30, env: tuple[str, ...] = ()) -> HookCommand:
    return HookCommand((sys.executable, "-c", code), timedelta(seconds=timeout), env)


def test_a_command_reads_the_notice_and_its_output_is_logged(tmp_path: Path) -> None:
    took = tmp_path / "took.json"
    code = f"import sys; open({str(took)!r}, 'w').write(sys.stdin.read()); print('one'); print('two', file=sys.stderr)"
    log = deliver(python(code))
    assert sorted(log) == [("hook.done", ""), ("hook.output", "one"), ("hook.output", "two")]
    said = json.loads(took.read_text())
    assert (said["event"], said["repo"], said["reason"], said["before"]) == (
        "failed", "acme/one", "no answer", "published"
    )  # fmt: skip


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    late = tmp_path / "late"
    code = f"import subprocess; subprocess.run(['sh', '-c', 'sleep 5; touch {late}'])"
    log = deliver(python(code, timeout=0.5))
    assert log == [("hook.failed", "took longer than 0.5 s, and was ended")]
    assert not late.exists()


def test_a_command_gets_no_more_of_our_environment_than_it_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-secret-of-ours")
    monkeypatch.setenv("TICKET_TOKEN", "a-secret-of-its-own")
    log = deliver(
        python("import os; print(sorted(os.environ)); print(os.environ['TICKET_TOKEN'])", env=("TICKET_TOKEN",))
    )
    said = " ".join(line for event, line in log if event == "hook.output")
    assert "TICKET_TOKEN" in said
    assert "HF_TOKEN" not in said
    assert "a-secret" not in said, "what it was given is not repeated in the log"


def test_of_a_command_that_says_much_the_beginning_is_logged_and_it_comes_to_its_end() -> None:
    log = deliver(python("print('x' * 10_000_000); print('end')"))
    [(_, line)] = [each for each in log if each[0] == "hook.output"]
    assert len(line) == 64 * 1024
    assert ("hook.done", "") in log


def test_the_time_of_an_address_is_one_for_all_of_it_however_slowly_it_answers() -> None:
    """Its bytes come so often that no single read of them ever takes long."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def trickle() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):
                line.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.05):
                    line.sendall(b"X-More: x\r\n")

        thread = threading.Thread(target=trickle)
        thread.start()
        post = HookPost(f"http://127.0.0.1:{server.getsockname()[1]}/secret-path", timeout=timedelta(seconds=0.5))
        try:
            assert deliver(post, patience=200) == [("hook.failed", "no whole answer within 0.5 s")]
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        (python("raise SystemExit(3)"), "ended with code 3"),
        (HookCommand(("/no/such/program",)), "No such file or directory"),
    ],
)
def test_a_command_that_fails_is_logged_and_the_next_one_runs(hook: HookCommand, reason: str) -> None:
    assert deliver(hook, python("")) == [("hook.failed", reason), ("hook.done", "")]


def test_an_address_gets_the_body_of_its_shape() -> None:
    with receiver((200, b'{"errcode": 0}')) as server:
        assert deliver(HookPost(server.url, Shape.WECOM)) == [("hook.done", "")]
    assert server.taken == [("application/json", {"msgtype": "text", "text": {"content": unmarked(NOTICE.text)}})]


def test_an_address_that_is_ill_for_a_moment_is_asked_again() -> None:
    with receiver((503, b""), (200, b"ok")) as server:
        assert deliver(HookPost(server.url)) == [("hook.done", "")]
    assert len(server.taken) == 2


@pytest.mark.parametrize(
    ("shape", "answer", "reason"),
    [
        (Shape.JSON, (404, b""), "answered 404"),
        (Shape.JSON, (302, b""), "answered 302"),
        (Shape.WECOM, (200, b'{"errcode": 93000, "errmsg": "invalid"}'), "answered errcode 93000"),
        (Shape.DINGTALK, (200, b'{"errcode": 310000}'), "answered errcode 310000"),
        (Shape.FEISHU, (200, b'{"code": 9499}'), "answered code 9499"),
        (Shape.FEISHU, (200, b'{"StatusCode": -1}'), "answered StatusCode -1"),
    ],
)
def test_a_refusal_is_logged_once_and_not_asked_again(shape: Shape, answer: tuple[int, bytes], reason: str) -> None:
    with receiver(answer) as server:
        assert deliver(HookPost(server.url, shape)) == [("hook.failed", reason)]
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (Shape.JSON, b'{"code": 200, "msg": "ok"}'),
        (Shape.JSON, b'{"code": "OK"}'),
        (Shape.JSON, b'{"errcode": 1}'),
        (Shape.JSON, b"[1, 2"),
        (Shape.SLACK, b"ok"),
        (Shape.SLACK, b'{"code": 200}'),
        (Shape.WECOM, b'{"errcode": 0, "code": 200}'),
        (Shape.FEISHU, b'{"StatusCode": 0, "code": 0, "msg": "success"}'),
        (Shape.FEISHU, b'{"code": "OK", "StatusCode": true}'),
        (Shape.DINGTALK, b'["errcode"]'),
        (Shape.DINGTALK, b"<html>"),
    ],
)
def test_what_was_taken_is_delivered_whatever_else_the_answer_says(shape: Shape, body: bytes) -> None:
    """Only the services of the chats say in a 200 that they took nothing, each in its own word, by a whole number."""
    with receiver((200, body)) as server:
        assert deliver(HookPost(server.url, shape)) == [("hook.done", "")]
    assert len(server.taken) == 1


def test_an_address_that_nobody_listens_at_is_named_by_no_part_of_it() -> None:
    [(event, reason)] = deliver(HookPost("http://127.0.0.1:1/secret-path"))
    assert event == "hook.failed"
    assert "secret-path" not in reason
    assert "secret-path" not in repr(HookPost("http://127.0.0.1:1/secret-path"))


def test_what_cannot_be_brought_before_the_end_is_dropped_and_logged() -> None:
    log = deliver(python("import time; time.sleep(5)"), notices=3, patience=1)
    assert log.count(("hook.dropped", "the program ends")) == 2


def test_nobody_is_told_of_what_no_hook_asks_for() -> None:
    with structlog.testing.capture_logs() as log:
        courier = HookDelivery({StateChange.HELD: (python(""),)})
        courier(NOTICE)
        courier.close(1)
    assert log == []


def test_unusual_clients_are_told_in_each_shape_and_mention_nobody() -> None:
    odd = Unusual(Oddity.SWEEP, "<@all> 10.0.0.7", date(2026, 11, 8), 5, 1, 30, 2)
    alarm = Alarm("disk", "2026-11-09T00:00:00Z", (odd,))
    with receiver((200, b"{}")) as server:
        courier = HookDelivery({StateChange.UNUSUAL: tuple(HookPost(server.url, shape) for shape in Shape)})
        courier(alarm)
        courier.close(60)
    bodies = [body for _, body in server.taken]
    assert len(bodies) == len(Shape)
    assert bodies[0]["clients"][0] == {
        "kind": "sweep", "client": "<@all> 10.0.0.7", "day": "2026-11-08", "bytes": 5, "usual_bytes": 1,
        "repos": 30, "usual_repos": 2,
    }  # fmt: skip
    assert (bodies[0]["event"], bodies[0]["target"], bodies[0]["count"]) == ("unusual", "disk", 1)
    assert "30 repos" in bodies[0]["text"]
    assert not any("<@all>" in json.dumps(body, ensure_ascii=False) for body in bodies[1:])
