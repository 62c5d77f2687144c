"""``python -m bench.paged_hub 1000000``: a Hub with one repo of so many files, whose listing it makes page by page.

The stand-in of the tests holds every file and its tree, which a million of them is too many for. This one works out
what it answers, a page at a time, and holds nothing of a file. Contents are few, so that most of a first publication is
what the listing costs. ``GET /__change__/NUMBER`` is a new commit that changes this file.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.content import CARD
from bench.places import ROOT
from tests.servers.child import child
from tests.servers.ports import LOOPBACK

REPO = "bench/many"
DISTINCT = 16  # contents among all files
A_FOLDER, A_PAGE = 1000, 1000  # files, entries
DATE = "2026-01-01T00:00:00.000Z"


def blob(content: bytes) -> str:
    """The git id of a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Repo:
    """What there is of each file, by its number; `changed` are those that are not as they were at first."""

    def __init__(self, files: int) -> None:
        self._contents = [b"%d\n" % number for number in range(DISTINCT)]
        self._blobs = [blob(content) for content in self._contents]
        self.files, self.changed = files, dict[int, bytes]()

    @property
    def commit(self) -> str:
        """Another one after each change."""
        return hashlib.sha1(repr((self.files, self.changed)).encode(), usedforsecurity=False).hexdigest()

    def content(self, path: str) -> bytes:
        """The bytes of a file."""
        if path == "README.md":
            return CARD
        number = int(path[-11:-4])
        return self.changed.get(number, self._contents[number % DISTINCT])

    def page(self, start: int) -> list[dict[str, Any]]:
        """Entries from a number on, in git's order: the card first, each folder before what is in it."""
        found = [_file("README.md", len(CARD), blob(CARD))] if start == 0 else []
        for number in range(start, min(start + A_PAGE, self.files)):
            folder = f"data/{number // A_FOLDER:04}"
            if number % A_FOLDER == 0:
                found.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": folder})
            body = self.changed.get(number)
            size = len(self._contents[number % DISTINCT] if body is None else body)
            oid = self._blobs[number % DISTINCT] if body is None else blob(body)
            found.append(_file(f"{folder}/{number:07}.txt", size, oid))
        return found


def _file(path: str, size: int, oid: str) -> dict[str, Any]:
    return {"type": "file", "oid": oid, "size": size, "path": path}


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    repo: Repo

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        repo, parts = self.repo, urlsplit(self.path)
        words = parts.path.strip("/").split("/")
        if words[0] == "__change__":
            repo.changed[int(words[1])] = f"changed {words[1]}\n".encode()
            self._json({})
        elif words[0] != "api":
            self._send(repo.content("/".join(words[4:])), {"X-Repo-Commit": repo.commit})
        elif words[4] == "tree":
            start = int(parse_qs(parts.query).get("cursor", ["0"])[0])
            ends = start + A_PAGE >= repo.files
            where = f"http://{self.headers['Host']}{parts.path}?recursive=True&expand=False&cursor={start + A_PAGE}"
            self._json(repo.page(start), {} if ends else {"Link": f'<{where}>; rel="next"'})
        else:
            self._json(self._about(words[4]))

    def _about(self, what: str) -> Any:
        commit = self.repo.commit
        if what == "commits":
            return [{"id": commit, "title": "a commit", "date": DATE, "authors": [{"user": "bench"}]}]
        if what == "refs":
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": commit}
            return {"branches": [main], "tags": [], "converts": []}
        card = {"id": REPO, "sha": commit, "cardData": {"license": "mit"}, "tags": ["license:mit"]}
        return {**card, "private": False, "gated": False, "disabled": False, "lastModified": DATE}

    def _json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(value, separators=(",", ":")).encode(), headers or {})

    def _send(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body)), "ETag": f'"{blob(body)}"'}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def paged_hub(files: int, log: Path) -> Iterator[str]:
    """Its URL, for as long as the block lasts: in a process of its own. ServerError when it does not start."""
    with child([sys.executable, "-m", "bench.paged_hub", str(files)], log, {"PYTHONPATH": str(ROOT)}) as running:
        running.wait_until(lambda: "\n" in log.read_text(), 120)
        yield log.read_text().split()[0]


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until it is ended."""
    words = sys.argv[1:] if argv is None else argv
    answers = type("_AnswersOfOne", (_Answers,), {"repo": Repo(int(words[0]))})
    with ThreadingHTTPServer((LOOPBACK, 0), answers) as server:
        sys.stdout.write(f"http://{LOOPBACK}:{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
