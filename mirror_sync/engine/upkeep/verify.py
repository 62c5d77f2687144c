"""Walks down from refs and re-hashes what is published: documents on the way, then every blob once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sample, Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import Verified
from mirror_sync.domain.outcome.report import BlobFault, VerifyReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import mirrored_repos, published_at, read_refs
from mirror_sync.engine.published_names import published_as
from mirror_sync.engine.upkeep.checkpoint import VerifyProgress
from mirror_sync.engine.upkeep.hashing import ATTEMPTS, BlobFinding, BlobHasher
from mirror_sync.engine.upkeep.throttle import Throttle
from mirror_sync.engine.vanished import Expected
from mirror_sync.engine.walk import Node, Place, Walk
from mirror_sync.errors import (
    DocumentError,
    Interrupted,
    KeyMissing,
    MirrorError,
    StoreError,
    StoreUnavailable,
    Vanished,
)
from mirror_sync.ports.memory import Checkpoint, NoCheckpoint

if TYPE_CHECKING:
    from mirror_sync.engine.upkeep.repair import Repair

_ENOUGH = 16  # reads that are refused one after the other until a target is asked whether it answers at all
_VANISHED = "was published here, and is not there any more"
# blobs that are read, or wait to be, before the oldest of them is noted: more where they are large on average, so that
# what lies behind a large one keeps the other readers busy; bounded by bytes, which an interrupt costs
_AHEAD, _AHEAD_IF_LARGE, _LARGE, _AHEAD_BYTES = 48, 256, 1024 * 1024, 2 * 1024 * 1024 * 1024
_BATCH = 64  # blobs between two checkpoints,
_BATCH_BYTES = 512 * 1024 * 1024  # unless they are as large together


@dataclass(frozen=True, slots=True)
class Scope:
    """What to verify and how: `sample` is a share of all blobs, `since` the earliest time of publication (aware).

    `rate` in bytes a second over all reads. `round` chooses the sample; None: the one after the last. `repo` None for
    all that there are.
    """

    sample: float = 1.0
    since: datetime | None = None
    repair: bool = False
    rate: float | None = None
    round: int | None = None
    repo: Repo | None = None

    @property
    def whole(self) -> bool:
        """Whether it says of a target that all of it was looked at, or a sample of all."""
        return self.since is None and self.repo is None

    @property
    def place(self) -> str:
        """The name of the checkpoint that it goes by: no other kind of question undoes how far one of this kind came,
        nor which round of samples is next.
        """
        kinds = {"one": self.repo is not None, "since": self.since is not None, "repair": self.repair}
        sample = [f"sample-{100 * self.sample:.4g}"] if self.sample < 1 else []
        return "-".join(["verify", *(kind for kind, is_so in kinds.items() if is_so), *sample])

    @property
    def question(self) -> str:
        """Tells two scopes apart whose answers cannot be added up."""
        return f"sample={self.sample} round={self.round} since={self.since} repair={self.repair}" + (
            f" repo={self.repo}" if self.repo else ""
        )


class Verification:
    """Verifies targets one after the other, and counts. `jobs` say which upstream a repair asks."""

    def __init__(
        self,
        context: RunContext,
        scope: Scope | None = None,
        jobs: Sequence[Job] = (),
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._context, self._scope, self._jobs = context, scope or Scope(), jobs
        self._checkpoint = checkpoint or NoCheckpoint()

    def run(self) -> VerifyReport:
        """Every fault of every target, named by repo, path and SHA-256; an interrupt ends it early, and says so.

        A target that cannot be walked to its end is in `unreadable`, by its name alone, and missing in `targets`.
        An interrupted one is gone on with by the next that asks the same.
        """
        scope, done = self._scope, VerifyProgress.load(self._checkpoint, self._scope.question)
        sample = Sample(scope.sample, done.round if scope.round is None else scope.round)
        throttle = Throttle(scope.rate, self._context.monotonic, self._context.pause)
        try:
            with self._repair() as repair:
                asked = _VerifyRequest(scope, sample, repair)
                for target in self._context.targets.values():
                    hasher = BlobHasher(self._context, target.store, throttle)
                    with ThreadPoolExecutor(target.store.readers, "verify") as readers:
                        one = _OneTarget(self._context, target, asked, hasher, readers, (done, self._checkpoint))
                        _verify_or_say(one, target, done)
        except Interrupted:
            return done.report(scope.sample, interrupted=True)
        done.finish(self._checkpoint, sampled=scope.sample < 1)
        return done.report(scope.sample, interrupted=False)

    def _repair(self) -> AbstractContextManager[Repair | None]:
        """None where nothing is to be repaired: all that a sync needs is imported for it."""
        if not self._scope.repair:
            return nullcontext()
        from mirror_sync.engine.upkeep.repair import Repair

        return Repair(self._context, self._jobs)


def _verify_or_say(one: _OneTarget, target: Target, done: VerifyProgress) -> None:
    """What one target does not give is no reason to look at no other."""
    try:
        one.verify()
    except Interrupted:
        raise
    except MirrorError as error:
        problem = f"not verified to its end: {error}"
        done.refuse(BlobFault(target.name, None, "", "", "", "", problem, code=error.code))


@dataclass(frozen=True, slots=True)
class _VerifyRequest:
    scope: Scope
    sample: Sample
    repair: Repair | None


class _OneTarget:
    """Verifies one target, noting progress after every batch."""

    def __init__(
        self,
        context: RunContext,
        target: Target,
        asked: _VerifyRequest,
        hasher: BlobHasher,
        readers: ThreadPoolExecutor,
        notes: tuple[VerifyProgress, Checkpoint],
    ) -> None:
        self._context, self._target, self._asked, self._hasher, self._readers = context, target, asked, hasher, readers
        self._done, self._checkpoint = notes
        self._walk = Walk(self._document, self._document_fault, readers.map, claims=True)
        self._in_a_row = 0  # reads that were refused
        self._good = ""  # the key of a document that was given a moment ago
        self._attempts = ATTEMPTS  # of a blob; one in a bad stretch
        self._given_up = False
        self._broken: list[tuple[Place, BlobFault]] = []  # documents of the repo that is being walked

    def verify(self) -> None:
        if self._done.is_over(self._target.name):
            return
        asked, store = self._asked.scope.repo, self._target.store
        # first: what is published from now on may not be listed
        expected = Expected(self._target, self._context.remembered(self._target.name))
        listed = list(mirrored_repos(store))
        unlisted = expected.missing(listed)
        lagging = [repo for repo in unlisted if store.stat(refs_key(repo)) is not None]
        only = asked and published_as(store, asked, {*listed, *unlisted})
        repos = sorted([*listed, *lagging], key=refs_key)
        self._good = refs_key(repos[-1]) if repos else ""  # nothing was given yet: what lies farthest off
        for repo in repos:
            self._context.go_on()
            if asked is None or repo == only:
                self._repo(repo, self._refs(repo))
        for repo in unlisted:
            if repo not in lagging and (asked is None or repo == only):
                self._done.note(replace(self._refs_fault(repo, _VANISHED), code=Vanished.code))
        self._done.targets.append(self._target.name)
        if not (listed or unlisted):
            self._done.empty.append(self._target.name)

    def _refs(self, repo: Repo) -> Refs:
        """Empty where they cannot be read, which is noted."""
        try:
            return self._in_scope(read_refs(self._target.store, repo))
        except (DocumentError, KeyMissing) as error:
            self._done.note(self._refs_fault(repo, str(error)))
        except StoreError as error:
            self._refused(self._refs_fault(repo, f"not readable: {error}"))
        return Refs()

    def _refs_fault(self, repo: Repo, problem: str) -> BlobFault:
        return BlobFault(self._target.name, repo.kind, repo.id, "", "refs.json", "", problem)

    def _repo(self, repo: Repo, refs: Refs) -> None:
        key, digest = refs_key(repo), str(Sha256.of(refs.encode()))
        passed = self._done.passed(self._target.name, key, digest)
        self._blobs(self._walk.repo(repo, refs), (key, digest), passed)
        if passed is None:
            return
        self._done.repos += 1
        self._done.snapshots += len(refs.snapshots)
        if self._repair_documents():  # what the lost documents named was not looked at
            self._blobs(self._walk.repo(repo, self._refs(repo)), (key, digest), 0)
        self._save_checkpoint(key + "\0", "", 0)  # after this repo, before any other

    def _blobs(self, nodes: Iterator[Node], at: tuple[str, str], passed: int | None) -> None:
        """Noted in the order of the walk, while the readers are ahead by some blobs: none of them waits for the others
        to end with a large one.
        """
        ahead, interval = _Ahead(self._target.store.readers), _CheckpointInterval()
        try:
            for position, node in enumerate(nodes, 1):
                if passed is None or position <= passed:
                    continue
                self._context.go_on()
                wanted = self._wants(node)
                ahead.add(position, node, self._readers.submit(self._hash, node) if wanted else None)
                while ahead.is_full:
                    self._note_first(ahead, interval, at)
            while ahead.waiting:
                self._note_first(ahead, interval, at)
        finally:
            ahead.cancel()

    def _note_first(self, ahead: _Ahead, interval: _CheckpointInterval, at: tuple[str, str]) -> None:
        position, node, found = ahead.first()
        if found is None:
            self._done.skipped += 1
        elif found.frozen:
            self._done.frozen += 1
        else:
            self._note(node, found)
        if interval.due(0 if found is None else found.count) or not ahead.waiting:
            self._context.go_on()
            self._save_checkpoint(*at, position)

    def _note(self, node: Node, found: BlobFinding) -> None:
        self._done.blobs += 1
        self._done.bytes += found.count
        if found.count or (found.problem and not found.refused):
            self._in_a_row, self._attempts = 0, ATTEMPTS
        if found.problem:
            self._blob_fault(node, found)
        self._context.tell(Verified(self._done.blobs, self._done.bytes, len(self._done.faults)))

    def _hash(self, node: Node) -> BlobFinding:
        if node.read is not None or self._given_up:
            return BlobFinding(node.read or 0)
        return self._hasher.blob(node.digest, node.file, self._attempts)

    def _document(self, digest: Sha256) -> bytes:
        body = self._hasher.document(digest)
        self._good = blob_key(digest)
        return body

    def _wants(self, node: Node) -> bool:
        return node.file is None or self._asked.sample.wants(node.digest)

    def _in_scope(self, refs: Refs) -> Refs:
        since = self._asked.scope.since
        if since is None:
            return refs
        return refs.without([commit for commit, root in refs.snapshots.items() if self._is_older(root, since)])

    def _is_older(self, root: Sha256, since: datetime) -> bool:
        published = published_at(self._target.store, root)
        return published is not None and published < since.timestamp()

    def _document_fault(self, place: Place, digest: Sha256, error: MirrorError) -> None:
        if isinstance(error, KeyMissing | DocumentError):
            problem = "missing" if isinstance(error, KeyMissing) else str(error)
            self._broken.append((place, self._fault(place, digest, problem)))
            self._done.note(self._broken[-1][1])
        else:
            self._refused(self._fault(place, digest, f"not readable: {error}"))

    def _blob_fault(self, node: Node, found: BlobFinding) -> None:
        fault = self._fault(node.place, node.digest, found.problem)
        if found.refused:
            self._refused(fault)
        elif node.file is None or found.listing:
            self._broken.append((node.place, fault))
            self._done.note(fault)
        else:
            self._done.note(fault)
            if self._asked.repair is not None:
                self._done.judge(fault, *self._asked.repair.file(self._target, node.place, node.file))

    def _repair_documents(self) -> bool:
        """Whether any was repaired."""
        broken, self._broken = self._broken, []
        if self._asked.repair is None:
            return False
        answers = [(fault, self._asked.repair.snapshot(self._target, place)) for place, fault in broken]
        for fault, answer in answers:
            self._done.judge(fault, answer)
        return any(not answer for _, answer in answers)

    def _refused(self, fault: BlobFault) -> None:
        """A target that gives nothing any more is not asked for all of it: each read costs three, and their pauses.

        One that gives what it gave before has a bad stretch. Beyond that there may be faults that can be mended; until
        it gives something again each blob is asked for once.
        """
        self._done.refuse(fault)
        self._in_a_row += 1
        if self._in_a_row < _ENOUGH:
            return
        if not self._hasher.answers(self._good):
            self._given_up = True
            raise StoreUnavailable(f"it refused {_ENOUGH} reads in a row, and is asked for no more; {fault.problem}")
        self._in_a_row, self._attempts = 0, 1

    def _fault(self, place: Place, digest: Sha256, problem: str) -> BlobFault:
        return BlobFault(
            self._target.name, place.repo.kind, place.repo.id, place.commit or "", place.path, digest, problem
        )

    def _save_checkpoint(self, key: str, refs: str, position: int) -> None:
        self._done.target, self._done.key, self._done.refs, self._done.position = self._target.name, key, refs, position
        self._done.save(self._checkpoint)


class _Ahead:
    """Blobs that are read, or wait to be, in the order of the walk. An interrupt costs them."""

    def __init__(self, readers: int) -> None:
        self._readers = readers
        self.waiting: deque[tuple[int, Node, Future[BlobFinding] | None]] = deque()
        self._bytes = 0

    def add(self, position: int, node: Node, reading: Future[BlobFinding] | None) -> None:
        self.waiting.append((position, node, reading))
        self._bytes += _size(node)

    @property
    def is_full(self) -> bool:
        count = len(self.waiting)
        if count >= _AHEAD and self._bytes < count * _LARGE:
            return True
        return count >= _AHEAD_IF_LARGE or (count > self._readers and self._bytes > _AHEAD_BYTES)

    def first(self) -> tuple[int, Node, BlobFinding | None]:
        """What became of the oldest, which is waited for; None where it was not wanted."""
        position, node, reading = self.waiting[0]
        found = None if reading is None else reading.result()
        self.waiting.popleft()
        self._bytes -= _size(node)
        return position, node, found

    def cancel(self) -> None:
        """Those that were not begun."""
        for _, _, reading in self.waiting:
            if reading is not None:
                reading.cancel()


def _size(node: Node) -> int:
    return 0 if node.file is None else node.file.size


class _CheckpointInterval:
    """Says when a checkpoint is due."""

    def __init__(self) -> None:
        self._blobs = self._bytes = 0

    def due(self, count: int) -> bool:
        """Count a blob of `count` bytes; whether there were enough since the last time."""
        self._blobs += 1
        self._bytes += count
        if self._blobs < _BATCH and self._bytes < _BATCH_BYTES:
            return False
        self._blobs = self._bytes = 0
        return True
