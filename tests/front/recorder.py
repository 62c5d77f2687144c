"""An S3-like server that tells what it was asked: what a front sends to a bucket, and what it makes of odd answers."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

BUCKET = "recorded"
OWN = ("X-Content-Type-Options", "Content-Security-Policy", "X-XSS-Protection", "Access-Control-Allow-Origin", "Vary")
"""Headers that S3 servers give beside those of an object."""
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass(frozen=True)
class Asked:
    method: str
    key: str
    headers: dict[str, str]
    """Names in lower case."""


@dataclass
class Recorder:
    """A bucket over a directory. `status`, when set, is the answer to everything, `faults` to a range of a key.

    `page`, when set, is the body of those answers, of its own media type: something else than S3 answers.
    """

    root: Path
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    status: int | None = None
    page: tuple[bytes, str] | None = None
    faults: dict[tuple[str, str], int] = field(default_factory=dict)

    def asked_keys(self) -> list[str]:
        return [one.key for one in self.asked]


@contextmanager
def recorder(root: Path) -> Iterator[Recorder]:
    one = Recorder(root)

    class Answering(_Answering):
        recorder = one

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        one.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield one
        finally:
            server.shutdown()
            thread.join()


class _Answering(BaseHTTPRequestHandler):
    recorder: Recorder

    def do_GET(self) -> None:
        key = unquote(self.path.partition("?")[0]).removeprefix(f"/{BUCKET}/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.recorder.asked.append(Asked(self.command, key, headers))
        file = self.recorder.root / key
        wanted = headers.get("range", "")
        status = self.recorder.status or self.recorder.faults.get((key, wanted)) or (200 if file.is_file() else 404)
        code = b"NoSuchKey" if status == 404 and self.recorder.status is None else b"Odd"
        body = file.read_bytes() if status == 200 else b"<Error><Code>%s</Code></Error>" % code
        media_type = "application/x-of-the-bucket" if status == 200 else "application/xml"
        if self.recorder.page is not None:
            (body, media_type), wanted = self.recorder.page, ""
        size, found = len(body), _RANGE.fullmatch(wanted)
        if status == 200 and found is not None:
            first, last = int(found[1]), min(int(found[2]), size - 1)
            status, body = (206, body[first : last + 1]) if first <= last else (416, b"")
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"of-the-bucket"')
        if self.recorder.page is None:
            self.send_header("x-amz-request-id", "1")
        for name in OWN:
            self.send_header(name, "of the bucket")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  http.server's naming

    def log_message(self, *_: object) -> None:
        """Quiet."""
