"""A server between a client and a front, which passes on what it is asked, or answers otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from tests.front.mirrors import Mirror, Reply
from tests.servers.ports import LOOPBACK

_PASSED = ("Content-Type", "Content-Range", "ETag", "Link", "X-Repo-Commit", "X-Error-Code", "X-Error-Message")


@dataclass
class Between:
    """`lies` makes of a path and the front's answer (status, body) what is said; None leaves it. `asked`: path, range.

    The first requests for a path in `busy` are answered 503, as many as it says; `cut`: bodies that end at half.
    """

    mirror: Mirror
    lies: Callable[[str, Reply], tuple[int, bytes] | None] = lambda _path, _reply: None
    busy: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[Between]:
        between, lock = self, Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    between.asked.append((self.path, self.headers.get("Range", "")))
                    busy, cut = between.busy.get(self.path, 0), between.cut.get(self.path, 0)
                    between.busy[self.path], between.cut[self.path] = busy - 1, cut - 1
                if busy > 0:
                    self.send_response(503)
                    self.send_header("Retry-After", "0")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                told = {name: value for name in ("Range", "Authorization") if (value := self.headers.get(name))}
                reply = between.mirror.ask("GET", self.path, told)
                status, body = between.lies(self.path, reply) or (reply.status, reply.body)
                self.send_response(status)
                for name in _PASSED:
                    if value := reply.header(name):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if cut > 0 else body)
                return None

            def log_message(self, *_: object) -> None:
                """Nothing to the tests' own output."""

        with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
            thread = Thread(target=server.serve_forever, daemon=True)
            thread.start()
            self.url = f"http://{LOOPBACK}:{server.server_port}"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
