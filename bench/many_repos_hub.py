"""``python -m bench.many_repos_hub 1000000 1000``: a Hub of so many repos of so many authors, none of which has bytes.

It works out what it answers from a repo's number, and holds nothing of one: so a million repos take no memory here.
Each has the same two small files, and a commit of its own. ``GET /__move__/NUMBER`` gives a repo a new commit, and
``GET /__calls__`` tells how many requests came since it was asked last, by kind.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from bench.content import CARD
from bench.paged_hub import DATE, blob
from bench.places import ROOT
from tests.servers.child import child
from tests.servers.ports import LOOPBACK

FILES = {"README.md": CARD, "config.json": b"{}\n"}
A_PAGE = 1000  # repos


@dataclass
class Crowd:
    """Repos, each with a number: those of one author are `authors` apart. `moved` have a second commit."""

    repos: int
    authors: int
    moved: set[int] = field(default_factory=set)

    def id(self, number: int) -> str:
        """A repo's id."""
        return f"author-{number % self.authors:05}/repo-{number:07}"

    def commit(self, number: int) -> str:
        """Its newest commit."""
        return hashlib.sha1(b"%d %d" % (number, number in self.moved), usedforsecurity=False).hexdigest()

    def about(self, number: int) -> dict[str, Any]:
        """What the Hub says of it; in its list and alone."""
        return {
            "_id": f"{number:024x}",
            "id": self.id(number),
            "modelId": self.id(number),
            "author": self.id(number).partition("/")[0],
            "sha": self.commit(number),
            "cardData": {"license": "mit"},
            "createdAt": DATE,
            "lastModified": DATE,
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": ["license:mit", "safetensors", "text-generation", "region:us"],
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
        }

    def tree(self) -> list[dict[str, Any]]:
        """The listing of any commit."""
        return [{"type": "file", "oid": blob(body), "size": len(body), "path": path} for path, body in FILES.items()]

    def page(self, author: int, start: int) -> tuple[list[dict[str, Any]], bool]:
        """Repos of an author, and whether there are more behind them."""
        numbers = range(author, self.repos, self.authors)[start : start + A_PAGE]
        return [self.about(number) for number in numbers], bool(numbers) and numbers[-1] + self.authors < self.repos


class _Connection(asyncio.Protocol):
    """One request after the other, as fast as Python may be: what it takes is not ours, and slows down who measures."""

    crowd: Crowd
    calls: Counter[str]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._rest = cast("asyncio.Transport", transport), b""

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for head in heads:
            target, _, rest = head.partition(b" ")[2].partition(b" ")
            host = rest.lower().partition(b"\r\nhost:")[2].partition(b"\r\n")[0].strip()
            parts = urlsplit(target.decode())
            body, headers = self._answer(parts.path.strip("/").split("/"), parts.query, host.decode())
            told = {"Content-Length": str(len(body)), "ETag": f'"{blob(body)}"', **headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            self._transport.write(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body)

    def _answer(self, words: Sequence[str], query: str, host: str) -> tuple[bytes, dict[str, str]]:
        crowd = self.crowd
        if words[0] == "__calls__":
            told = json.dumps(self.calls).encode()
            self.calls.clear()
            return told, {}
        if words[0] == "__move__":
            crowd.moved.add(int(words[1]))
            return b"{}", {}
        self.calls["list" if len(words) == 2 else words[4] if len(words) > 4 else "look"] += 1
        if words[0] != "api":
            return FILES[words[-1]], {"X-Repo-Commit": words[3]}
        if len(words) == 2:
            return self._list(parse_qs(query), host)
        return json.dumps(self._of_repo(int(words[3].rpartition("-")[2]), words[4:5])).encode(), {}

    def _of_repo(self, number: int, what: Sequence[str]) -> Any:
        commit = self.crowd.commit(number)
        if what == ["tree"]:
            return self.crowd.tree()
        if what == ["commits"]:
            return [{"id": commit, "title": "a commit", "date": DATE, "authors": [{"user": "bench"}]}]
        if what == ["refs"]:
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": commit}
            return {"branches": [main], "tags": [], "converts": []}
        return self.crowd.about(number)

    def _list(self, asked: dict[str, list[str]], host: str) -> tuple[bytes, dict[str, str]]:
        author, start = asked["author"][0], int(asked.get("cursor", ["0"])[0])
        items, more = self.crowd.page(int(author.rpartition("-")[2]), start)
        following = f"<http://{host}/api/models?author={author}&limit={A_PAGE}&cursor={start + A_PAGE}>"
        return json.dumps(items).encode(), {"Link": f'{following}; rel="next"'} if more else {}


@dataclass(frozen=True)
class CrowdedHub:
    """A running one."""

    url: str

    def calls(self) -> dict[str, int]:
        """Requests since the last question, by kind."""
        with urllib.request.urlopen(f"{self.url}/__calls__", timeout=60) as answer:
            return dict(json.load(answer))

    def move(self, number: int) -> None:
        """Give a repo a new commit."""
        urllib.request.urlopen(f"{self.url}/__move__/{number}", timeout=60).close()


@contextmanager
def crowded_hub(crowd: Crowd, log: Path) -> Iterator[CrowdedHub]:
    """One in a process of its own, for as long as the block lasts. ServerError when it does not start."""
    words = [sys.executable, "-m", "bench.many_repos_hub", str(crowd.repos), str(crowd.authors)]
    with child(words, log, {"PYTHONPATH": str(ROOT)}) as running:
        running.wait_until(lambda: "\n" in log.read_text(), 120)
        yield CrowdedHub(log.read_text().split()[0])


async def _serve(crowd: Crowd, port: int) -> None:
    answers = type("_ConnectionOfOne", (_Connection,), {"crowd": crowd, "calls": Counter()})
    server = await asyncio.get_running_loop().create_server(answers, LOOPBACK, port)
    sys.stdout.write(f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until it is ended."""
    repos, authors, *port = map(int, sys.argv[1:] if argv is None else argv)
    asyncio.run(_serve(Crowd(repos, authors), *(port or [0])))


if __name__ == "__main__":
    main()
