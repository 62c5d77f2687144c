"""A reader that never rests: it takes a repo and a name, and checks everything behind it against the truth.

It reads in two ways: the target's objects, as any front would, and the program's own front over HTTP, as a client does
that resolves a branch to a commit first and asks for everything by that commit.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

import urllib3

from tests.chaos.inspector import Inspector, Problem, judge
from tests.chaos.ledger import Ledger
from tests.chaos.shelf import Unreadable
from tests.chaos.tally import LOST, MIXED, WRONG, Tally
from tests.chaos.truth import Bytes, Files, RepoName, Truth

PAUSE = 0.05
"""Seconds between two snapshots, at least."""
_SHARE = 2.0
"""A pause is so many times as long as the reading before it: the program must get some of the machine, too."""
_FILES = 4
"""Files of a snapshot that are downloaded from the front at a time."""
_BY_FRONT = 0.3
_OK, _NOT_FOUND, _BUCKET = 200, 404, 502


class Client:
    """Reads a front over HTTP. Raises Problem, and Unreadable where the front cannot read its bucket."""

    def __init__(self, url: str, truth: Truth, dice: Random) -> None:
        self._url, self._truth, self._dice = url, truth, dice
        self._pool = urllib3.PoolManager(retries=False, timeout=20)

    def read(self, repo: RepoName, name: str) -> str | None:
        """Check what a name or commit stands for; returns the commit, None when there is no such name."""
        answer = self._get(f"/api/{repo.kind}/{repo.id}/revision/{quote(name, safe='')}")
        if answer.status == _NOT_FOUND:
            return None
        commit = str(answer.json()["sha"])
        files = self._truth.files(repo, commit)
        if files is None:
            raise Problem(MIXED, f"front, {repo.in_jobs} {name}: there never was a commit {commit}")
        self._check_listing(repo, commit, files)
        for path in self._dice.sample(sorted(files), min(_FILES, len(files))):
            self._check_file(repo, commit, path, files[path])
        return commit

    def _check_listing(self, repo: RepoName, commit: str, files: Files) -> None:
        listed = {
            entry["path"]: entry["size"]
            for page in self._pages(f"/api/{repo.kind}/{repo.id}/tree/{commit}?recursive=true")
            for entry in page
            if entry["type"] == "file"
        }
        if listed != {path: content.size for path, content in files.items()}:
            raise Problem(MIXED, f"front, {repo.in_jobs} at {commit}: lists {len(listed)} files, not {len(files)}")

    def _pages(self, path: str) -> Iterator[Any]:
        while path:
            answer = self._get(path)
            if answer.status != _OK:
                raise Problem("", f"front, {path}: {answer.status}")
            yield answer.json()
            link = re.search(r'<(?:https?://[^/]+)?([^>]+)>; rel="next"', answer.headers.get("Link", ""))
            path = link[1] if link else ""

    def _check_file(self, repo: RepoName, commit: str, path: str, content: Bytes) -> None:
        place = "datasets/" if repo.kind == "datasets" else ""
        url = f"/{place}{repo.id}/resolve/{commit}/{quote(path)}"
        answer = self._get(url)
        if answer.status != _OK:
            raise Problem("", f"front, {url}: {answer.status}")
        digest = hashlib.sha256(answer.data).hexdigest()
        if digest != content.sha256:
            raise Problem(WRONG, f"front, {url}: {len(answer.data)} bytes, {digest}, instead of {content}")
        if answer.headers.get("X-Repo-Commit") not in (None, commit):
            raise Problem(MIXED, f"front, {url}: says it is of {answer.headers['X-Repo-Commit']}")

    def _get(self, path: str) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._pool.request("GET", f"{self._url}{path}")
        except urllib3.exceptions.HTTPError as error:
            raise Unreadable(f"{path}: {error}") from error
        if answer.status == _BUCKET:
            # it may be a blob that is missing: read from the store, that has a name
            raise Unreadable(f"{path}: {answer.status}")
        return answer


@dataclass
class Reader:
    """Reads at random until it is told to stop."""

    truth: Truth
    ledger: Ledger
    inspector: Inspector
    client: Client
    dice: Random
    tally: Tally
    refusals: int = 0
    """How often a server did not answer, in a row."""
    unanswered: int = 0
    """How often in all."""
    patience: int = 20
    """How often in a row it may be: a finding then."""
    rest: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever wants that nothing is read."""

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`; what goes wrong in here is a finding, too, since nobody watches then."""
        took = 0.0
        while not stop.wait(max(PAUSE, took * _SHARE)):
            began = time.monotonic()
            try:
                with self.rest:
                    self.step()
                self.refusals = 0
            except Unreadable as error:
                self.refusals += 1
                self.unanswered += 1
                if self.refusals == self.patience:
                    self.ledger.say(MIXED, f"the reader gets no answer: {error}")
            except Exception:
                self.ledger.say(MIXED, f"the reader failed: {traceback.format_exc()}")
                return
            took = time.monotonic() - began

    def step(self) -> None:
        """One repo, one name or commit, everything behind it."""
        repo = self.dice.choice(self.truth.repos())
        published = self.ledger.look(repo)
        choices = [*published.names, *self.dice.sample(sorted(published.roots), min(2, len(published.roots)))]
        if not choices:
            return
        self.tally.checks += 1
        name = self.dice.choice(choices)
        if self.dice.random() < _BY_FRONT:
            self._ask_front(repo, name)
        else:
            judge(self.ledger, self.inspector, repo, published.names.get(name, name))

    def _ask_front(self, repo: RepoName, name: str) -> None:
        """The front remembers names for a second, so what it answers may be as old, but never wrong."""
        old = self.ledger.settled(repo, name)
        try:
            if self.client.read(repo, name) is None and old and self.ledger.settled(repo, name):
                self.ledger.say(LOST, f"front, {repo.in_jobs}: knows no {name}")
        except Problem as problem:
            commit = self.ledger.look(repo).names.get(name, name)
            if problem.kind:
                self.ledger.say(problem.kind, problem.seen)
            elif judge(self.ledger, self.inspector, repo, commit) and self.ledger.season.quiet:
                self.ledger.say(self.inspector.kind_of_gap(repo, commit), problem.seen)


@contextmanager
def reading(reader: Reader) -> Iterator[None]:
    """Let it read in a thread for as long as the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=reader.run, args=(stop,), name="reader", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
