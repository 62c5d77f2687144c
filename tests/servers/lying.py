"""A relay in front of an S3 server that confirms PUTs and passes none of those on that a test names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.servers.ports import LOOPBACK
from tests.waiting import PATIENCE


@dataclass
class Lying:
    """Where it answers, which paths it drops the bodies of, and every request as (method, path)."""

    endpoint_url: str = ""
    drops: Callable[[str], bool] = lambda _path: False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for name, path in self.asked if name == method and part in path)


@contextmanager
def lying(upstream: str) -> Iterator[Lying]:
    """Relays to the server at this address, for as long as the block lasts. Host headers stay, so signatures hold."""
    state = Lying()
    server = ThreadingHTTPServer((LOOPBACK, 0), _handler(state, urlsplit(upstream).netloc))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.endpoint_url = f"http://{LOOPBACK}:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(state: Lying, upstream: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.asked.append((self.command, self.path))
            if self.command == "PUT" and state.drops(self.path):
                self._answer(200, {"ETag": '"0"', "Content-Length": "0"}, b"")
                return
            line = HTTPConnection(upstream, timeout=PATIENCE)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            line.request(self.command, self.path, body, headers)
            answer = line.getresponse()
            content = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_THE_HOP}
            if self.command != "HEAD":
                kept["Content-Length"] = str(len(content))
            line.close()
            self._answer(answer.status, kept, content)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _relay  # noqa: N815  the names that http.server calls

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    return Handler


_OF_THE_HOP = ("connection", "keep-alive", "transfer-encoding")
