"""Brings the files of repos that nobody reads to the cold tier of a target, and those that somebody reads back.

Only files of some size move, never a document: what a repo is, is always at hand. A blob that any repo names which is
not cold stays warm. Nothing that is published changes, so that no refs.json is written, and no sync or prune waits but
those of the repo that is being moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial

from mirror_sync.domain.content.keys import blob_key, blob_of
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.rewritten import time_of
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.cooling import LEAST, ByHand, Cooling, Heat
from mirror_sync.domain.job.targets import Tiers
from mirror_sync.domain.outcome.events import RepoTiered
from mirror_sync.domain.outcome.tier_report import Move, MovedRepo, TierReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import Mapper, published_at, read_refs, read_root, rewritten_roots
from mirror_sync.engine.upkeep.marks import batches
from mirror_sync.engine.upkeep.published_repos import PublishedRepos
from mirror_sync.engine.walk import Walk, pass_over
from mirror_sync.errors import DocumentError, IntegrityError, Interrupted, KeyMissing, MirrorError, StoreError
from mirror_sync.ports.store import Stat, read_document
from mirror_sync.ports.tiering import Tiering
from mirror_sync.scratch.spilled_map import SpilledMap

_AT_ONCE = 2  # blobs that are moved side by side; each holds one part in memory
_READERS = 8
_BATCH = 64  # files that are handed over at once
_SHOWN = 5  # blobs that cannot be moved, by name
_WARM, _COLD = b"w", b"c"


@dataclass(frozen=True, slots=True)
class TieredTarget:
    """A target of two tiers, of which the cold one is `ready`."""

    target: Target
    tiering: Tiering
    tiers: Tiers
    by_hand: ByHand = ByHand()


@dataclass(slots=True)
class _MovedFiles:
    """What of one repo was moved, or is to be."""

    why: str
    blobs: int = 0
    bytes: int = 0
    waiting: int = 0

    def told(self, repo: Repo, move: Move) -> MovedRepo:
        return MovedRepo(str(repo), move, self.blobs, self.bytes, self.why, self.waiting)


@dataclass(slots=True)
class _Plan:
    """Repos by which way they go; `later` would come, and are too many. `down` are the blobs that may go."""

    going: dict[Repo, _MovedFiles] = field(default_factory=dict)
    coming: dict[Repo, _MovedFiles] = field(default_factory=dict)
    later: int = 0
    down: SpilledMap = field(default_factory=SpilledMap)


class TierPass:
    """One pass over one target. `now` in seconds by its clock."""

    def __init__(self, context: RunContext, tiered: TieredTarget, now: float) -> None:
        self._context, self._target, self._tiering = context, tiered.target, tiered.tiering
        self._now = now
        self._store = tiered.target.store
        self._published = PublishedRepos(self._store)
        self._cooling = Cooling(tiered.tiers, context.reads(tiered.target), tiered.by_hand, now)
        self._placed = SpilledMap()
        self._warm = self._cold = 0
        self._faults: list[str] = []

    def run(self, only: Repo | None = None, *, dry_run: bool = False) -> TierReport:
        """Move what is due both ways; `only`: what of this repo goes. Raises MirrorError before anything was moved;
        what goes wrong later is a fault in the report, and what was moved by then is where it was brought.
        """
        with ThreadPoolExecutor(_READERS, "tiers") as readers:
            self._list()
            plan = self._plan(readers.map)
        if only is not None:
            plan.going = {repo: one for repo, one in plan.going.items() if repo == only}
            plan.coming, plan.later = {}, 0
        moved = self._rehearsed(plan) if dry_run else self._moved(plan)
        return replace(self._report(moved, dry_run=dry_run), later=plan.later)

    def thaw(self, repo: Repo) -> MovedRepo:
        """Bring back all files of one repo, or ask for them. Raises MirrorError, also where some did not come."""
        counted = _MovedFiles("asked for")
        with ThreadPoolExecutor(_AT_ONCE, "tiers") as pool, self._target.lock(repo):
            cold = (one for one in self._files(repo, pool.map) if self._tiering.is_cold(blob_key(one.sha256)))
            self._back(cold, counted, pool.map)
        self._tell(repo, Move.THAWED, counted)
        if self._faults:
            files = f"{len(self._faults)} file{'s' * (len(self._faults) > 1)} of {repo}"
            raise StoreError(f"{files} did not come back: {self._faults[0]}; mirror-sync verify --repair")
        return counted.told(repo, Move.THAWED)

    # ---- deciding

    def _list(self) -> None:
        for one in self._tiering.placed():
            self._context.go_on()
            digest = blob_of(one.stat.key)
            if digest is not None:
                self._placed.put(bytes.fromhex(digest), _COLD if one.cold else _WARM)
                self._count(one.stat.size, cold=one.cold)

    def _count(self, size: int, *, cold: bool) -> None:
        if cold:
            self._cold += size
        else:
            self._warm += size

    def _lies(self, file: MirroredFile, where: bytes) -> bool:
        return self._placed.get(bytes.fromhex(file.sha256)) == where

    def _plan(self, mapper: Mapper) -> _Plan:
        """Whoever keeps a blob is walked first: what a walk has seen it does not give again."""
        by_heat: dict[Heat, list[Repo]] = {heat: [] for heat in Heat}
        for repo in self._published.repos():
            self._context.go_on()
            heat = self._heat(repo, self._published.refs(repo))
            if heat is not None:
                by_heat[heat].append(repo)
        plan = _Plan()
        if not (by_heat[Heat.COLD] or self._cold):
            return plan
        walk = Walk(partial(read_document, self._store), pass_over, mapper)
        left = self._cooling.tiers.warm_back_most
        for repo in sorted(by_heat[Heat.WANTED], key=self._urgency, reverse=True):
            self._add(plan.coming, repo, Heat.WANTED, (one for one in self._new(walk, repo) if self._lies(one, _COLD)))
            if repo in plan.coming and not self._cooling.is_asked_for(repo):
                left -= 1
                if left < 0:
                    del plan.coming[repo]
                    plan.later += 1
        for repo in by_heat[Heat.STAYS]:
            for _ in self._new(walk, repo):
                pass
        documents = self._documents(by_heat[Heat.COLD])
        for repo in by_heat[Heat.COLD]:
            files = (one for one in self._new(walk, repo) if one.size >= LEAST and self._lies(one, _WARM))
            mine = (one for one in files if bytes.fromhex(one.sha256) not in documents)
            self._add(plan.going, repo, Heat.COLD, mine, plan.down)
        return plan

    def _urgency(self, repo: Repo) -> tuple[bool, float]:
        """What was asked for is walked before all that the bound may put off: those may name the same blobs."""
        return self._cooling.is_asked_for(repo), self._cooling.last_read(repo)

    def _add(
        self,
        to: dict[Repo, _MovedFiles],
        repo: Repo,
        heat: Heat,
        files: Iterable[MirroredFile],
        down: SpilledMap | None = None,
    ) -> None:
        counted = _MovedFiles(self._cooling.why(repo, heat))
        for one in files:
            counted.blobs += 1
            counted.bytes += one.size
            if down is not None:
                down.put(bytes.fromhex(one.sha256))
        if counted.blobs:
            to[repo] = counted

    def _heat(self, repo: Repo, refs: Refs) -> Heat | None:
        """None of what publishes nothing."""
        if not refs.snapshots:
            return None
        rewritten, newest = rewritten_roots(self._store, refs), 0.0
        for root in refs.snapshots.values():
            at = published_at(self._store, root)
            newest = max(newest, self._now if at is None else time_of(at, rewritten.get(root)))
        return self._cooling.heat(repo, newest)

    def _new(self, walk: Walk, repo: Repo) -> Iterator[MirroredFile]:
        for node in walk.repo(repo, self._published.refs(repo)):
            self._context.go_on()
            if node.file is not None:
                yield node.file

    def _documents(self, repos: Iterable[Repo]) -> SpilledMap:
        """What a file may hold the very bytes of: fronts look for documents in the warm tier alone."""
        found = SpilledMap()
        for repo in repos:
            refs = self._published.refs(repo)
            for digest in (*refs.attachments.values(), *refs.snapshots.values()):
                found.put(bytes.fromhex(digest))
            for root in refs.snapshots.values():
                self._context.go_on()
                try:
                    documents = read_root(self._store, root).documents
                except (KeyMissing, DocumentError):
                    continue  # nothing below it is walked, either
                for digest in documents:
                    found.put(bytes.fromhex(digest))
        return found

    # ---- moving

    def _moved(self, plan: _Plan) -> Iterator[MovedRepo]:
        with ThreadPoolExecutor(_AT_ONCE, "tiers") as pool:
            for repo, planned in plan.coming.items():
                with self._locked(repo):
                    counted = _MovedFiles(planned.why)
                    self._back(
                        (one for one in self._files(repo, pool.map) if self._lies(one, _COLD)), counted, pool.map
                    )
                yield self._tell(repo, Move.THAWED, counted)
            for repo, planned in plan.going.items():
                with self._locked(repo):
                    if self._heat(repo, read_refs(self._store, repo)) is not Heat.COLD:
                        continue  # it was published anew meanwhile, or taken down
                    counted = _MovedFiles(planned.why)
                    mine = (one for one in self._files(repo, pool.map) if self._is_due(plan, one))
                    self._each(mine, self._chill, counted, pool.map, cold=True)
                yield self._tell(repo, Move.ARCHIVED, counted)

    def _is_due(self, plan: _Plan, file: MirroredFile) -> bool:
        """Once: what two repos name that both go is moved for the first."""
        return plan.down.pop(bytes.fromhex(file.sha256)) is not None

    def _files(self, repo: Repo, mapper: Mapper) -> Iterator[MirroredFile]:
        """Of what it publishes now."""
        walk = Walk(partial(read_document, self._store), pass_over, mapper)
        return (node.file for node in walk.repo(repo, read_refs(self._store, repo)) if node.file is not None)

    def _chill(self, file: MirroredFile) -> bool:
        self._tiering.chill(_stat_of(file), self._context.go_on)
        return True

    def _back(self, files: Iterable[MirroredFile], counted: _MovedFiles, mapper: Mapper) -> None:
        self._each(
            files, lambda file: self._tiering.warm(_stat_of(file), self._context.go_on), counted, mapper, cold=False
        )

    def _each(
        self,
        files: Iterable[MirroredFile],
        move: Callable[[MirroredFile], bool],
        counted: _MovedFiles,
        mapper: Mapper,
        *,
        cold: bool,
    ) -> None:
        """What is wrong with one blob is told, and it stays where it is; what is wrong with a place ends the pass."""

        def attempt(file: MirroredFile) -> bool | MirrorError:
            try:
                return move(file)
            except (IntegrityError, KeyMissing) as error:
                return error

        for some in batches(files, _BATCH):
            self._context.go_on()
            for file, found in zip(some, mapper(attempt, some), strict=True):
                if isinstance(found, MirrorError):
                    self._faults.append(str(found))
                elif found:
                    counted.blobs += 1
                    counted.bytes += file.size
                    self._count(-file.size, cold=not cold)
                    self._count(file.size, cold=cold)
                else:
                    counted.waiting += 1

    def _locked(self, repo: Repo) -> AbstractContextManager[object]:
        return self._target.lock(repo)

    def _tell(self, repo: Repo, move: Move, counted: _MovedFiles) -> MovedRepo:
        self._context.tell(
            RepoTiered(self._target.name, repo, move, counted.blobs, counted.bytes, counted.why, counted.waiting)
        )
        return counted.told(repo, move)

    # ---- telling

    def _rehearsed(self, plan: _Plan) -> Iterator[MovedRepo]:
        for move, repos in ((Move.THAWED, plan.coming), (Move.ARCHIVED, plan.going)):
            for repo, counted in repos.items():
                self._count(-counted.bytes, cold=move is Move.THAWED)
                self._count(counted.bytes, cold=move is Move.ARCHIVED)
                yield counted.told(repo, move)

    def _report(self, moved: Iterator[MovedRepo], *, dry_run: bool) -> TierReport:
        repos, ended = list[MovedRepo](), ""
        try:
            repos.extend(moved)
        except Interrupted:
            raise
        except MirrorError as error:
            ended = f"not done to its end: {error}"
        faults = (*self._faults[:_SHOWN], *([f"and {more} more"] if (more := len(self._faults) - _SHOWN) > 0 else ()))
        told = TierReport(self._target.name, self._warm, self._cold, tuple(repos), self._cooling.unsure)
        return replace(told, faults=(*faults, *filter(None, (ended,))), dry_run=dry_run)


def _stat_of(file: MirroredFile) -> Stat:
    return Stat(blob_key(Sha256(file.sha256)), file.size, 0.0)
