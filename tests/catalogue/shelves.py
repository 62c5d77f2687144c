"""Stores in memory that count their calls and fail when they are told to, and a machine that publishes into one."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from mirror_sync.catalogue.local_knowledge import KnownJob, LocalKnowledge
from mirror_sync.catalogue.object_writer import PublishRun
from mirror_sync.catalogue.publication import PublishResult, publish
from mirror_sync.domain.access.rights import OPEN_TO_PUBLIC, AccessRules
from mirror_sync.domain.catalogue.page_data import data_of, place_of
from mirror_sync.domain.catalogue.rows import Day, Overview, ShownJob
from mirror_sync.domain.content.keys import SITE
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.front_counts import FrontDay
from mirror_sync.domain.outcome.report import RepoState, RepoStatus
from mirror_sync.domain.repo import Kind
from mirror_sync.errors import KeyMissing
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Stat, Upload
from tests.front.bucket import Published, model

PAGE = 1000  # keys that a bucket lists for one call
ALWAYS = {"site/mirror.html", "site/status.json"}
"""What says when it was last looked."""
START = datetime(2026, 11, 20, 8, tzinfo=UTC)


class Bytes:
    """Implements `ports.ByteStream`."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def readinto(self, buffer: memoryview) -> int:
        taken = self._body[: len(buffer)]
        buffer[: len(taken)] = taken
        self._body = self._body[len(taken) :]
        return len(taken)


class Memory:
    """Implements `ports.Store`. `tells` the MD5 of each object in its lists, as a bucket does and a directory does not.

    `calls` counts by verb, a list for every 1,000 keys; `before` may raise in the place of any of them.
    """

    part_size = 8 << 20
    readers = 4
    confirm = False

    def __init__(self, *, tells: bool = True) -> None:
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.calls: Counter[str] = Counter()
        self.put_keys: list[str] = []
        self.before: Callable[[str, str], None] = lambda verb, key: None
        self._tells, self._clock, self._lock = tells, count(int(START.timestamp())), threading.Lock()

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        self._call("put", key)
        assert Sha256.of(body) == digest
        self.put_keys.append(key)
        self.objects[key] = bytes(body), float(next(self._clock))

    def stat(self, key: str) -> Stat | None:
        self._call("stat", key)
        found = self.objects.get(key)
        return None if found is None else Stat(key, len(found[0]), found[1])

    @contextmanager
    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[ByteStream]:
        self._call("get", key)
        if key not in self.objects:
            raise KeyMissing(key)
        yield Bytes(self.objects[key][0][start:stop])

    def list(self, prefix: str) -> Iterator[Stat]:
        for number, key in enumerate(sorted(key for key in self.objects if key.startswith(prefix)) or [""]):
            if number % PAGE == 0:
                self._call("list", prefix)
            if key:
                body, modified = self.objects[key]
                md5 = hashlib.md5(body, usedforsecurity=False).hexdigest() if self._tells else None
                yield Stat(key, len(body), modified, md5)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._call("delete", key)
            self.objects.pop(key, None)

    def begin(self, key: str, size: int, token: str | None = None) -> Upload:
        raise NotImplementedError

    def touch(self, key: str) -> None:
        raise NotImplementedError

    def sweep(self, older_than: float) -> int:
        return 0

    def free(self) -> int | None:
        return None

    @property
    def site(self) -> dict[str, bytes]:
        """The catalogue, by what stands after `site/`."""
        return {key.removeprefix(SITE): body for key, (body, _) in self.objects.items() if key.startswith(SITE)}

    def document(self, name: str, volume: str = "") -> bytes:
        """Of the catalogue, whether it is an object or a part of a page."""
        place = place_of(name)
        found = None if place is None else data_of(self.site[f"{volume}{place[0]}"], name)
        return self.site[f"{volume}{name}"] if found is None else found

    @contextmanager
    def counted(self) -> Iterator[Counter[str]]:
        """The calls of a block, and the keys that it puts."""
        before, self.put_keys = self.calls.copy(), []
        found: Counter[str] = Counter()
        yield found
        found.update(self.calls - before)

    def _call(self, verb: str, key: str) -> None:
        self.before(verb, key)
        with self._lock:
            self.calls[verb] += 1


class Remembering:
    """Implements `ports.ReadCache`."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, bytes]] = {}

    def recall(self, name: str, version: str) -> bytes | None:
        kept = self.kept.get(name)
        return kept[1] if kept is not None and kept[0] == version else None

    def remember(self, name: str, version: str, body: bytes) -> None:
        self.kept[name] = version, body

    def recall_all(self, names: Collection[str]) -> Mapping[str, tuple[str, bytes]]:
        return {name: self.kept[name] for name in names if name in self.kept}

    def remember_all(self, kept: Mapping[str, tuple[str, bytes]]) -> None:
        self.kept.update(kept)


def line(repo: str, state: RepoState = RepoState.PUBLISHED, job: str = "all", **more: str) -> RepoStatus:
    return RepoStatus(job, Kind.MODEL, repo, "main", state, **more)  # type: ignore[arg-type]  # only words are given


def job(name: str, machine: str = "one", at: str = "2026-11-20T08:00:00Z") -> KnownJob:
    shown = ShownJob(name, "every 6h", 1, 1, "2026-11-20T07:00:00Z", "2026-11-20T07:30:00Z", "complete", None)
    return KnownJob(shown, machine, at, "https://hub.example", "2026-11-20T07:30:00Z")


@dataclass
class Machine:
    """Publishes the catalogue of one store, and remembers what it read of it."""

    store: Memory
    name: str = "one"
    jobs: tuple[KnownJob, ...] = ()
    lines: tuple[RepoStatus, ...] = ()
    read_cache: Remembering = field(default_factory=Remembering)
    at: datetime = START
    go_on: Callable[[], None] = lambda: None
    title: str = ""
    url: str = ""
    principal: str = ""
    access: AccessRules = OPEN_TO_PUBLIC
    grow: Callable[[Overview], tuple[Day, ...]] = lambda today: ()
    front: FrontDay | None = None
    apart: bool = False

    def publish(self, *, anew: bool = False) -> PublishResult:
        """A minute after the last time."""
        self.at += timedelta(minutes=1)
        jobs = self.jobs or (job("all", self.name),)
        known = LocalKnowledge(self.name, "1.0", self.at, self.lines, jobs, self.title, url=self.url, grow=self.grow)
        known = replace(known, principal=self.principal, front=self.front, apart=self.apart)
        return publish(PublishRun(self.store, self.read_cache, self.go_on, anew), known, self.access)


def filled(store: Memory, count: int = 3) -> list[Published]:
    """Repos of two files each, as they were published."""
    repos = [model(store, f"acme/m{number}") for number in range(count)]
    for repo in repos:
        repo.publish({"README.md": b"hello", "weights.bin": b"w" * 2000})
    return repos


def status(store: Memory) -> dict[str, object]:
    """The published status.json."""
    found: dict[str, object] = json.loads(store.site["status.json"])
    return found
