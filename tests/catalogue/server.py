"""Serves pages as the fronts do: below a folder, with the policy that forbids all that a page does not need."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.servers.ports import LOOPBACK

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Site:
    """Where it answers, and the paths that were asked for. `pages` may be changed while it is served."""

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self.pages = dict(pages)
        self.asked: list[str] = []
        self.url = ""


@contextmanager
def served(pages: Mapping[str, bytes], folder: str = "/-/") -> Iterator[Site]:
    """Keys below `site/` are served below `folder`."""
    site = Site(pages)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            site.asked.append(path)
            body = site.pages.get(f"site/{path.removeprefix(folder) or 'index.html'}")
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", _TYPES.get(path.rpartition(".")[2], _TYPES["html"]))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        site.url = f"http://{LOOPBACK}:{server.server_port}{folder}"
        try:
            yield site
        finally:
            server.shutdown()
