"""A site for tests: real adapters over a stand-in Hub and a directory, and everything it wrote and told on record."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mirror_sync.domain.audit_record import Actor, ActorKind
from mirror_sync.domain.content.keys import blob_key, blob_of
from mirror_sync.domain.content.manifest import Manifest
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.outcome.events import Event
from mirror_sync.domain.outcome.report import PlanReport, RepoPlan, RepoReport, RunReport, VerifyReport
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.policy.licences import LicensePolicy
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import read_listing, read_refs, read_root
from mirror_sync.engine.run import plan_jobs, sync_jobs
from mirror_sync.engine.upkeep.verify import Scope, Verification
from mirror_sync.errors import MirrorError
from mirror_sync.net.transport import Transport
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.memory import Checkpoint
from mirror_sync.ports.source import Source
from mirror_sync.ports.store import Store, Upload, read_all
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from mirror_sync.sources.wrappers.source_wrapper import Wrapper
from mirror_sync.state.target_memory import SqliteIndex, SqliteNotes
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.wrapped_store import WrappedStore

ACTOR = Actor(ActorKind.USER, "tester@here")
PART = 1024 * 1024  # bytes: the smallest, so that a file of some megabytes has parts
MIT = LicensePolicy(allow=frozenset({"mit", "apache-2.0"}))


class Recording(WrappedStore):
    """A Store that remembers which keys were written and read, in order."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.written: list[str] = []
        self.reads: list[str] = []
        self.before_put: Callable[[str], None] = lambda key: None

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        self.before_put(key)
        super().put(key, body, digest)
        self.written.append(key)

    def begin(self, key: str, size: int, token: str | None = None) -> Upload:
        self.before_put(key)
        self.written.append(key)
        return super().begin(key, size, token)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        self.reads.append(key)
        return super().read(key, start, stop)

    def touch(self, key: str) -> None:
        body = read_all(self.store, key, 1 << 30)
        self.put(key, body, Sha256.of(body))


class Proving(Wrapper):
    """A Source that says of its token what its workshop wants."""

    def __init__(self, source: Source, workshop: Workshop) -> None:
        super().__init__(source)
        self._workshop = workshop

    def prove(self) -> TokenStatus:
        if isinstance(self._workshop.proved, MirrorError):
            raise self._workshop.proved
        return self._workshop.proved


class Workshop:
    """One upstream `hub`, one target `bucket`, and the verbs of the engine."""

    def __init__(self, url: str, root: Path, token: str | None = None, store: Store | None = None) -> None:
        self.folder = root
        self.ahead = timedelta(0)  # of the true time, by this machine's clock
        self.proved: TokenStatus | MirrorError = TokenStatus.PROVED if token else TokenStatus.ANONYMOUS
        """What the upstream says of our token when it is asked."""
        self.store = Recording(store or DirectoryStore(root / "bucket", part_size=PART))
        self.index = SqliteIndex(root / "index.db", "bucket")
        self.notes = SqliteNotes(root / "uploads.db", "bucket")
        self.events: list[Event] = []
        self.stop = threading.Event()
        self.waits: list[float] = []
        transport = Transport(timeouts=Timeouts(connect=5, stall=5))
        policy = RetryPolicy(attempts=3)
        locks: dict[Repo, threading.Lock] = defaultdict(threading.Lock)
        source = RetryingSource(HubSource(url, token, transport), policy, self.events.append, self.waits.append, float)
        self.context = RunContext(
            sources={"hub": Proving(source, self)},
            targets={"bucket": Target("bucket", self.store, self.index, lambda repo: locks[repo], self.notes)},
            tell=self.events.append,
            clock=lambda: datetime.now(UTC) + self.ahead,
            stop=self.stop,
            sleep=self.waits.append,
            actor=ACTOR,
        )

    def use(self, store: Recording) -> None:
        """Reach the target through another recording from now on."""
        self.store = store
        self.context = replace(self.context, targets={"bucket": replace(self.context.targets["bucket"], store=store)})

    def sync(self, *jobs: Job, among: Sequence[Job] = ()) -> RunReport:
        self.store.written.clear()
        self.events.clear()
        return sync_jobs(self.context, jobs, (*jobs, *among))

    def sync_one(self, job: Job, among: Sequence[Job] = ()) -> RepoReport:
        (report,) = self.sync(job, among=among).repos
        return report

    def plan(self, *jobs: Job) -> PlanReport:
        return plan_jobs(self.context, jobs, jobs)

    def plan_one(self, job: Job) -> RepoPlan:
        (plan,) = self.plan(job).repos
        return plan

    def verify(self, *jobs: Job, checkpoint: Checkpoint | None = None, **wanted: Any) -> VerifyReport:
        return Verification(self.context, Scope(**wanted), jobs, checkpoint).run()

    def path(self, digest: Sha256) -> Path:
        """The file of a blob, to damage it."""
        return self.folder / "bucket" / blob_key(digest)

    def refs(self, repo: str) -> Refs:
        return read_refs(self.store, Repo.parse(repo))

    def root(self, repo: str, revision: str = "main") -> Root:
        digest = self.refs(repo).root_of(revision)
        assert digest is not None, f"{repo} at {revision} is not published"
        return read_root(self.store, digest)

    def manifest(self, repo: str, revision: str = "main") -> Manifest:
        found = read_listing(self.store, self.root(repo, revision))
        return {entry.path: entry.file for entry in found}

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """The published tree, every file read through its blob."""
        found = self.manifest(repo, revision)
        return {path: read_all(self.store, blob_key(file.sha256), 1 << 30) for path, file in found.items()}

    def commit(self, repo: str, revision: str = "main") -> CommitId | None:
        return self.refs(repo).commit_of(revision)

    def blobs(self) -> set[Sha256]:
        return {digest for stat in self.store.list("blobs/") if (digest := blob_of(stat.key))}


def job(*repos: str, name: str = "job", **changes: object) -> Job:
    """A job that mirrors `repos` at main under permissive licences, with these fields changed."""
    plain = Job(name, tuple(map(RepoPattern.parse, repos)), "hub", "bucket", policy=MIT)
    return replace(plain, **changes)  # type: ignore[arg-type]
