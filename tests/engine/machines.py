"""Machines that share one target in memory, under a clock that only tests move: everything in them is deterministic."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key, blob_of
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.upstream import Commit, Resolved
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.outcome.report import PruneReport, RepoReport
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.policy.terms import Terms
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import mirrored_repos, read_refs
from mirror_sync.engine.run import sync_jobs
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import FileNotFound, KeyMissing, MirrorError, NotFoundOrPrivate
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.ports.store import Stat, Upload, read_document
from mirror_sync.stores.two_places import TwoPlaces

HOUR = 3600.0
GRACE = timedelta(hours=48)
Step = Callable[[str, str], None]


class Clock:
    """Seconds since the epoch, by the store and by every machine, which may be wrong by `skew`."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def wall(self, skew: float = 0.0) -> datetime:
        return datetime.fromtimestamp(self.now + skew, UTC)


class _Bytes:
    def __init__(self, body: bytes) -> None:
        self._left = memoryview(body)

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class Shelf:
    """What a target holds: key -> bytes and time of change, by a clock of its own that is `behind` so many seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.behind = clock, 0.0
        self.objects: dict[str, tuple[bytes, float]] = {}

    @property
    def now(self) -> float:
        return self.clock.now - self.behind


class View:
    """A Store over a shelf, as one machine sees it; `before` is called before each verb has its effect."""

    part_size = 1024 * 1024
    readers = 4
    confirm = False

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.before: Step = lambda verb, key: None
        self.after: Step = lambda verb, key: None
        self.deleted: list[tuple[str, float]] = []  # blobs, with their age
        self._lock = threading.RLock()

    def stat(self, key: str) -> Stat | None:
        self._step("stat", key)
        found = self.shelf.objects.get(key)
        self.after("stat", key)
        return None if found is None else Stat(key, len(found[0]), found[1])

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        self._step("read", key)
        if key not in self.shelf.objects:
            raise KeyMissing(key)
        return nullcontext(_Bytes(self.shelf.objects[key][0][start:stop]))

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        self._step("put", key)
        self.shelf.objects[key] = (bytes(body), self.shelf.now)

    def touch(self, key: str) -> None:
        self._step("touch", key)
        if key not in self.shelf.objects:
            raise KeyMissing(key)
        self.shelf.objects[key] = (self.shelf.objects[key][0], self.shelf.now)

    def list(self, prefix: str) -> Iterator[Stat]:
        self._step("list", prefix)
        found = sorted(self.shelf.objects.items())
        return iter([Stat(key, len(body), when) for key, (body, when) in found if key.startswith(prefix)])

    def delete(self, keys: Iterable[str]) -> None:
        named = list(keys)
        self._step("delete", named[0] if named else "")
        for key in named:
            found = self.shelf.objects.pop(key, None)
            if found is not None and blob_of(key) is not None:
                self.deleted.append((key, self.shelf.now - found[1]))
        self.after("delete", "")

    def begin(self, key: str, size: int, token: str | None = None) -> Upload:
        raise NotImplementedError("these tests have small files only")

    def sweep(self, older_than: float) -> int:
        return 0

    def free(self) -> int | None:
        return None

    def _step(self, verb: str, key: str) -> None:
        with self._lock:  # what a step does happens at once for all other threads of this machine
            self.before(verb, key)


class Upstream(Source):
    """In memory."""

    def __init__(self) -> None:
        self.commits: dict[Repo, list[tuple[CommitId, dict[str, bytes]]]] = defaultdict(list)
        self.fetched: list[str] = []

    def commit(self, repo: str, files: Mapping[str, bytes]) -> CommitId:
        commits = self.commits[Repo.parse(repo)]
        commits.append((CommitId(Sha256.of(f"{repo} {len(commits)}".encode())[:40]), dict(files)))
        return commits[-1][0]

    def search(self, sought: Sought) -> Iterator[Resolved]:
        pattern = sought.pattern if isinstance(sought, Ranking) else sought
        return (self.resolve(repo, "main") for repo in list(self.commits) if pattern.matches(repo))

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        commit = self._find(repo, revision)[0]
        described = {"private": False, "gated": False}
        return Resolved(repo, repo, commit, Terms(frozenset({"mit"}), frozenset({"mit"})), described)

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        return (Ref("branches", "main", "refs/heads/main", self._find(repo, "main")[0]),)

    def authorize(self, repo: Repo) -> None:
        pass

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        files = self._find(repo, commit)[1]
        return (RemoteFile(path, len(body), GitOid.of_blob(body)) for path, body in files.items())

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        return (Commit(commit, "a commit", "2026-01-01T00:00:00.000Z"),)

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        self.fetched.append(file.path)
        body = self._find(repo, commit)[1].get(file.path)
        if body is None:
            raise FileNotFound(f"{repo} has no {file.path}")
        return nullcontext(_Bytes(body[start:stop]))

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        raise AssertionError(f"{repo} {file.path}: memory gave wrong bytes")

    def prove(self) -> TokenStatus:
        return TokenStatus.PROVED

    def _find(self, repo: Repo, revision: str) -> tuple[CommitId, dict[str, bytes]]:
        commits = self.commits.get(repo)
        if not commits:
            raise NotFoundOrPrivate(f"not found or private: {repo}")
        if revision == "main":
            return commits[-1]
        return next(pair for pair in commits if pair[0] == revision)


@dataclass
class Index:
    """A ContentIndex in memory."""

    pairs: dict[GitOid, Sha256] = field(default_factory=dict)
    claimed: dict[GitOid, Sha256] = field(default_factory=dict)
    complete: bool = False

    def known(self, oids: Iterable[GitOid], *, proved: bool) -> Mapping[GitOid, Sha256]:
        if proved:
            return {oid: self.pairs[oid] for oid in oids if oid in self.pairs}
        return {oid: self.claimed[oid] for oid in oids if oid in self.claimed and oid not in self.pairs}

    def remember(self, pairs: Mapping[GitOid, Sha256], *, proved: bool) -> None:
        (self.pairs if proved else self.claimed).update(pairs)

    def mark_complete(self) -> None:
        self.complete = True


class Machine:
    """One machine: its own view of the shelf, its own index and locks."""

    def __init__(
        self, upstream: Upstream, shelf: Shelf, *, skew: float = 0.0, grace: timedelta = GRACE, settle: bool = True
    ) -> None:
        self.view, self.index, self.upstream = View(shelf), Index(), upstream
        locks: dict[Repo, threading.Lock] = defaultdict(threading.Lock)
        clock = shelf.clock
        self.context = RunContext(
            sources={"hub": upstream},
            targets={"bucket": Target("bucket", self.view, self.index, lambda repo: locks[repo], grace=grace)},
            tell=lambda event: None,
            clock=partial(clock.wall, skew),
            stop=threading.Event(),
            monotonic=lambda: clock.now,
            sleep=clock.advance if settle else lambda seconds: None,
            actor=BY_DAEMON,
        )

    def tiered(self, cold: Shelf) -> TwoPlaces:
        """From now on what it has may lie on that shelf, too."""
        both = TwoPlaces(self.view, View(cold))
        both.ready(begun=False)
        target = replace(self.context.targets["bucket"], store=both, tiering=both)
        self.context = replace(self.context, targets={"bucket": target})
        return both

    def sync(self, job: Job, among: Sequence[Job] = ()) -> RepoReport:
        (report,) = sync_jobs(self.context, [job], [job, *among]).repos
        return report

    def prune(self, *jobs: Job, dry_run: bool = False) -> PruneReport:
        return Prune(self.context, jobs, dry_run=dry_run).run()


def refs_of(shelf: Shelf, repo: str) -> Refs:
    return read_refs(View(shelf), Repo.parse(repo))


def blobs_of(shelf: Shelf) -> set[str]:
    return {key for key in shelf.objects if blob_of(key) is not None}


def named(shelf: Shelf) -> set[str]:
    """The keys of all blobs that are named by what is published; the test fails where a document cannot be read."""
    view = View(shelf)

    def fail(place: Place, digest: Sha256, error: MirrorError) -> None:
        raise AssertionError(f"{place} {digest}: {error}")

    walk = Walk(partial(read_document, view), fail)
    return {blob_key(node.digest) for repo in mirrored_repos(view) for node in walk.repo(repo, read_refs(view, repo))}


def expect_complete(shelf: Shelf) -> None:
    """Every ref resolves to a complete snapshot, and every byte of it is right."""
    for key in named(shelf):
        digest = blob_of(key)
        assert key in shelf.objects, f"{key} is named by a published snapshot and is gone"
        assert Sha256.of(shelf.objects[key][0]) == digest
