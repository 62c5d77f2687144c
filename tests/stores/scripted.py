"""An S3 server that answers what a test says: for answers that no real server gives on request."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.ports import LOOPBACK


@dataclass(frozen=True)
class Asked:
    """A request as it came; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """`cut` closes the connection after so many bytes of the body, which its length still promises; `raw` is sent in
    place of all else, and the connection closed.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    raw: bytes | None = None


@dataclass(frozen=True)
class Scripted:
    """A running server, all that it was asked, and the client's end of each connection."""

    endpoint_url: str
    asked: list[Asked]
    connections: list[tuple[str, int]]


def fault(code: str, status: int, message: str = "because") -> Answer:
    """An answer in the shape of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""
    return Answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


LISTING = Answer(body=b"<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>")


def is_listing(asked: Asked) -> bool:
    return asked.method == "GET" and "list-type=2" in asked.target


@contextmanager
def scripted(script: Callable[[Asked], Answer], tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Answers every request as the script says, for as long as the block lasts."""
    asked: list[Asked] = []
    connections: list[tuple[str, int]] = []
    server = ThreadingHTTPServer((LOOPBACK, 0), _handler(script, asked, connections))
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Scripted(f"{'https' if tls else 'http'}://{LOOPBACK}:{server.server_address[1]}", asked, connections)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(
    script: Callable[[Asked], Answer], asked: list[Asked], connections: list[tuple[str, int]]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            connections.append(self.client_address)
            super().setup()

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.command, self.path, headers, body))
            answer = script(asked[-1])
            if answer.raw is not None:
                self.wfile.write(answer.raw)
                self.close_connection = True
                return
            self.send_response_only(answer.status)  # no date but the script's
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.cut])
            self.close_connection = answer.cut is not None

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _respond  # noqa: N815  the names that http.server calls

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    return Handler
