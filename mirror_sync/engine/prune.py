"""Removes what nothing refers to: snapshots that retention lets go, then every blob that no snapshot names.

Safe beside syncs and prunes on any machine: see docs/decisions/0005-prune-beside-sync.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job import Job
from mirror_sync.domain.keys import BLOBS, blob_key, blob_of
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.report import PrunedRepo, PruneReport
from mirror_sync.engine.expire import Expiry
from mirror_sync.engine.marks import Marks
from mirror_sync.engine.prune_notices import PruneNotice
from mirror_sync.engine.published import Mapper, mirrored_repos
from mirror_sync.engine.site import Site, Target
from mirror_sync.engine.vanished import expect_all
from mirror_sync.errors import Interrupted, MirrorError
from mirror_sync.ports import Stat

_READERS = 8
_BATCH = 64  # blobs between a look at their ages and their removal
_LIMIT = 1 / 4  # of the settling time: how old a look may be when a removal is sent
_REFRESH = 600.0  # seconds between two looks at what is published

Item = TypeVar("Item")


class Prune:
    """Prunes targets one after the other. `jobs` are all of the configuration; `dry_run` writes and removes nothing."""

    def __init__(self, site: Site, jobs: Sequence[Job], *, dry_run: bool = False) -> None:
        self._site, self._jobs, self._dry_run = site, jobs, dry_run

    def run(self) -> PruneReport:
        """Everything that went, or would go. What goes wrong with a target is a sentence in the report."""
        found = _Count()
        interrupted = False
        try:
            for target in self._site.targets.values():
                self._site.go_on()
                self._prune_or_say(target, found)
        except Interrupted:
            interrupted = True
        return replace(found.report(), dry_run=self._dry_run, interrupted=interrupted)

    def _prune_or_say(self, target: Target, found: _Count) -> None:
        try:
            _expectation(self._site, target)(mirrored_repos(target.store))  # before anything is written there
            with ThreadPoolExecutor(_READERS, "prune") as readers:
                if self._dry_run:
                    _Sweep(self._site, target, found, readers.map, self._site.clock().timestamp()).rehearse(self._jobs)
                    return
                with PruneNotice(self._site, target) as notice:
                    sweep = _Sweep(self._site, target, found, readers.map, notice.now, notice)
                    sweep.carry_out(self._jobs)
        except Interrupted:
            raise
        except MirrorError as error:
            found.tell(target, f"target {target.name} is not pruned to its end: {error}")


class _Count:
    """What was found, over all targets."""

    def __init__(self) -> None:
        self.repos: list[PrunedRepo] = []
        self.blobs = self.bytes = self.young = self.spared = 0
        self._problems: list[str] = []
        self._faults: Counter[str] = Counter()  # by target
        self._of: dict[bytes, int] = {}  # blobs of expired snapshots -> the index of their repo

    def expect(self, target: Target, repo: Repo, commits: tuple[CommitId, ...], digests: Iterable[Sha256]) -> None:
        self._of |= {bytes.fromhex(digest): len(self.repos) for digest in digests}
        self.repos.append(PrunedRepo(target.name, repo.kind, repo.id, commits))

    def add(self, stat: Stat, digest: Sha256) -> None:
        self.blobs += 1
        self.bytes += stat.size
        at = self._of.get(bytes.fromhex(digest))
        if at is not None:
            of = self.repos[at]
            self.repos[at] = replace(of, blobs=of.blobs + 1, bytes=of.bytes + stat.size)

    def tell(self, target: Target, problem: str) -> None:
        self._problems.append(problem)
        self._faults[target.name] += 1

    def report(self) -> PruneReport:
        told = tuple(self._problems), dict(self._faults)
        return PruneReport(tuple(self.repos), self.blobs, self.bytes, self.young, self.spared, *told)


class _Sweep:
    """Prunes one target; `now` in seconds by the store's clock, by the machine's own in a rehearsal."""

    def __init__(
        self, site: Site, target: Target, found: _Count, mapper: Mapper, now: float, notice: PruneNotice | None = None
    ) -> None:
        self._site, self._target, self._found, self._mapper = site, target, found, mapper
        self._whole = _expectation(site, target)
        self._notice = notice
        self._now, self._horizon = now, now - target.grace.total_seconds()
        self._refreshed = 0.0
        self._removed: set[bytes] = set()

    def rehearse(self, jobs: Sequence[Job]) -> None:
        expiry = self._expiry(jobs)
        expired = dict(expiry.expired())
        for repo, commits in expired.items():
            self._found.expect(self._target, repo, commits, expiry.digests(repo, commits))
        marks = Marks(self._target.store, self._mapper, self._beat, self._whole, without=expired)
        marks.refresh()
        for stat, digest in self._candidates(marks):
            self._found.add(stat, digest)

    def carry_out(self, jobs: Sequence[Job]) -> None:
        expiry = self._expiry(jobs)
        for repo, commits in list(expiry.expired()):
            self._beat()
            digests = expiry.digests(repo, commits)
            self._found.expect(self._target, repo, expiry.let_go(repo), digests)
        marks = Marks(self._target.store, self._mapper, self._beat, self._whole)
        marks.refresh()
        with self._last_look(marks):
            for number, batch in enumerate(_batches(self._candidates(marks))):
                self._refresh(marks, first=number == 0)
                self._remove([(stat, digest) for stat, digest in batch if digest not in marks])

    def _expiry(self, jobs: Sequence[Job]) -> Expiry:
        return Expiry(self._target, jobs, self._now, self._mapper)

    def _candidates(self, marks: Marks) -> Iterator[tuple[Stat, Sha256]]:
        for stat in self._target.store.list(BLOBS):
            self._beat()
            digest = blob_of(stat.key)
            if digest is None or digest in marks:
                continue
            if stat.modified < self._horizon:
                yield stat, digest
            else:
                self._found.young += 1

    def _refresh(self, marks: Marks, *, first: bool) -> None:
        """Before the first removal, and now and then: what was unnamed twice, some time apart, is no base of a sync."""
        self._beat()
        if first:
            self._site.pause(self._target.settling_time)
        elif self._site.monotonic() - self._refreshed < min(_REFRESH, self._target.grace.total_seconds() / 4):
            return
        self._refreshed = self._site.monotonic()
        marks.refresh()

    def _remove(self, batch: Sequence[tuple[Stat, Sha256]]) -> None:
        """Look at the ages again, and remove at once: a look that took too long is made again, for fewer blobs."""
        looked = self._site.monotonic()
        keys = [blob_key(digest) for _, digest in batch]
        stats = self._mapper(self._target.store.stat, keys)
        old = [pair for pair, stat in zip(batch, stats, strict=True) if stat and stat.modified < self._horizon]
        self._found.spared += len(batch) - len(old)
        if not old:
            return
        if self._in_time(looked):
            self._target.store.delete([blob_key(digest) for _, digest in old])
            for stat, digest in old:
                self._removed.add(bytes.fromhex(digest))
                self._found.add(stat, digest)
        elif len(old) == 1:
            self._found.spared += 1
        else:
            half = len(old) // 2
            self._remove(old[:half])
            self._remove(old[half:])

    def _in_time(self, looked: float) -> bool:
        time = self._target.settling_time
        return not time or self._site.monotonic() - looked <= time * _LIMIT

    @contextmanager
    def _last_look(self, marks: Marks) -> Iterator[None]:
        """Say it when a snapshot that was published meanwhile names what was removed: only `verify` can heal that."""
        try:
            yield
        finally:
            marks.refresh()
            named = [digest for removed in self._removed if (digest := Sha256(removed.hex())) in marks]
            lost = sum(self._target.store.stat(blob_key(digest)) is None for digest in named)
            if lost:
                self._found.tell(
                    self._target,
                    f"target {self._target.name}: {lost} removed blobs are named by a snapshot that was published "
                    "meanwhile; run verify --repair",
                )

    def _beat(self) -> None:
        self._site.go_on()
        if self._notice is not None:
            self._notice.renew()


def _expectation(site: Site, target: Target) -> Callable[[Iterable[Repo]], None]:
    """What raises Vanished for a list that lacks repos which were published before now: their blobs look unnamed."""
    return partial(expect_all, target, site.remembered(target.name))


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    while batch := list(islice(items, _BATCH)):
        yield batch
