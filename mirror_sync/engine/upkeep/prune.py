"""Removes what nothing refers to: snapshots that retention lets go, then every blob that no snapshot names.

Safe beside syncs and prunes on any machine: see docs/design/decisions/0005-prune-beside-sync.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from mirror_sync.domain.audit_record import Act, Verb
from mirror_sync.domain.content.keys import BLOBS, blob_key, blob_of
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.keep import Keep
from mirror_sync.domain.job.letting_go import Leaver
from mirror_sync.domain.outcome.events import RepoLetGo
from mirror_sync.domain.outcome.keep_report import KeepReport
from mirror_sync.domain.outcome.report import PrunedRepo, PruneReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.beside_prune import Elapsed, PruneAnnouncement
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import Mapper
from mirror_sync.engine.sync.selecting import Concerned
from mirror_sync.engine.upkeep.expire import Expiry
from mirror_sync.engine.upkeep.let_go import LettingGo
from mirror_sync.engine.upkeep.marks import Marks, batches
from mirror_sync.engine.upkeep.published_repos import PublishedRepos
from mirror_sync.engine.vanished import Expected
from mirror_sync.engine.withdrawn_lists import keep_withdrawn
from mirror_sync.errors import Interrupted, MirrorError, StoreError, StoreUnavailable
from mirror_sync.ports.store import Stat
from mirror_sync.scratch.spilled_map import SpilledMap

_READERS = 8
_BATCH = 64  # blobs between a stat of their ages and their removal
_LIMIT = 1 / 4  # of the settling time: how old a stat may be when a removal is sent
_REFRESH = 600.0  # seconds between two marks of what is published, or
_RATIO = 5  # so many times as long as the last one took, whichever is more


class Prune:
    """Prunes targets one after the other. `jobs` are all of the configuration; `dry_run` writes and removes nothing.

    `everything` names the target that may lose all its blobs, should it publish no repo at all: any other one that has
    blobs and no repo is taken for a target that is not whole.
    """

    def __init__(
        self, context: RunContext, jobs: Sequence[Job], *, dry_run: bool = False, everything: str | None = None
    ) -> None:
        self._context, self._jobs, self._dry_run, self._everything = context, jobs, dry_run, everything

    def run(self) -> PruneReport:
        """Everything that went, or would go. What goes wrong with a target is a sentence in the report."""
        found = _Count()
        interrupted = False
        try:
            for target in self._context.targets.values():
                self._context.go_on()
                self._prune_or_say(target, found)
        except Interrupted:
            interrupted = True
        return replace(found.report(), dry_run=self._dry_run, interrupted=interrupted)

    def _prune_or_say(self, target: Target, found: _Count) -> None:
        try:
            with ThreadPoolExecutor(_READERS, "prune") as readers:
                published, may_be_empty = self._published(target), target.name == self._everything
                published.repos()  # before anything is written there
                self._prune(_PruneInput(self._context, target, found, readers.map, published, may_be_empty))
            found.ended.append(target.name)
        except Interrupted:
            raise
        except MirrorError as error:
            found.tell(target, f"target {target.name} is not pruned to its end: {error}")

    def _published(self, target: Target) -> PublishedRepos:
        """StoreError where it cannot be read what was published there before now."""
        expected = Expected(target, self._context.remembered(target.name))

        def whole(listed: Sequence[Repo]) -> None:
            """The blobs of a repo that was published, and that a list lacks, look unnamed."""
            if listed or target.name != self._everything:
                expected.expect_all(listed)

        return PublishedRepos(target.store, whole)

    def _prune(self, given: _PruneInput) -> None:
        if self._dry_run:
            _Sweep(given, self._context.clock().timestamp()).preview(self._jobs)
            return
        with PruneAnnouncement(self._context, given.target) as notice:
            _Sweep(given, notice.now, notice).run(self._jobs)


class _Count:
    """What was found, over all targets."""

    def __init__(self) -> None:
        self.repos: list[PrunedRepo] = []
        self.blobs = self.bytes = self.young = self.spared = 0
        self.ended: list[str] = []
        self.keeps: list[KeepReport] = []
        self._problems: list[str] = []
        self._faults: Counter[str] = Counter()  # by target
        self._of: dict[bytes, int] = {}  # blobs of expired snapshots -> the index of their repo

    def expect(
        self, target: Target, repo: Repo, commits: tuple[CommitId, ...], digests: Iterable[Sha256], why: str = ""
    ) -> None:
        self._of |= {bytes.fromhex(digest): len(self.repos) for digest in digests}
        self.repos.append(PrunedRepo(target.name, repo.kind, repo.id, commits, why=why))

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
        told = tuple(self._problems), dict(self._faults), tuple(self.ended)
        found = PruneReport(tuple(self.repos), self.blobs, self.bytes, self.young, self.spared, *told)
        return replace(found, keeps=tuple(self.keeps))


@dataclass(frozen=True, slots=True)
class _PruneInput:
    """What is pruned, and with what. `may_be_empty`: whether no repo may mean that no blob is needed."""

    context: RunContext
    target: Target
    found: _Count
    mapper: Mapper
    published: PublishedRepos
    may_be_empty: bool


class _Sweep:
    """Prunes one target; `now` in seconds by the store's clock, by the machine's own in a preview."""

    def __init__(self, given: _PruneInput, now: float, notice: PruneAnnouncement | None = None) -> None:
        self._context, self._target, self._found, self._mapper = given.context, given.target, given.found, given.mapper
        self._may_be_empty, self._notice = given.may_be_empty, notice
        self._now, self._grace = now, self._target.grace.total_seconds()
        self._published = given.published
        self._took = 0.0  # seconds that the last marking of what is published took
        self._since = Elapsed(self._context)  # its end
        self._removed = SpilledMap()
        self._recorded = False  # that blobs are removed

    def preview(self, jobs: Sequence[Job]) -> None:
        expiry = self._expiry(jobs)
        expired = dict(expiry.expired())
        for repo, commits in expired.items():
            self._found.expect(self._target, repo, commits, expiry.digests(repo, commits))
        if self._target.keep is not None:
            leaving = self._letting_go(self._target.keep, jobs).leaving(expired)
            for one in leaving.repos:
                commits = tuple(one.refs.snapshots)
                self._expect(one, leaving.told, expiry.digests(one.repo, commits))
                expired[one.repo] = (*expired.get(one.repo, ()), *commits)
            self._found.keeps.append(leaving.told)
        marks = Marks(self._target.store, self._published, self._mapper, self._keep_alive, without=expired)
        marks.refresh()
        for stat, digest in self._candidates(marks):
            self._found.add(stat, digest)

    def run(self, jobs: Sequence[Job]) -> None:
        expiry = self._expiry(jobs)
        for repo, commits in list(expiry.expired()):
            self._keep_alive()
            digests = expiry.digests(repo, commits)
            self._found.expect(self._target, repo, expiry.let_go(repo, partial(self._letting, "retention")), digests)
        if self._target.keep is not None:
            self._let_go(self._letting_go(self._target.keep, jobs), expiry)
        marks = Marks(self._target.store, self._published, self._mapper, self._keep_alive)
        self._refresh_marks(marks)
        with self._recheck_at_end(marks):
            for number, batch in enumerate(batches(self._candidates(marks), _BATCH)):
                self._refresh_when_due(marks, first=number == 0)
                self._remove([(stat, digest) for stat, digest in batch if digest not in marks])
        keep_withdrawn(self._target.store, lambda digest: digest not in marks and self._is_there(digest))

    def _letting_go(self, keep: Keep, jobs: Sequence[Job]) -> LettingGo:
        reads = self._context.reads(self._target)
        concerned = Concerned(self._target, jobs)
        return LettingGo(
            self._target, keep, reads, self._published, concerned, self._now, self._mapper, self._keep_alive
        )

    def _let_go(self, letting_go: LettingGo, expiry: Expiry) -> None:
        """What is said of it holds for those that went, also where the rest is stopped."""
        leaving, gone = letting_go.leaving({}), list[Repo]()
        try:
            for one in leaving.repos:
                self._keep_alive()
                digests = expiry.digests(one.repo, tuple(one.refs.snapshots))
                if letting_go.let_go(one, self._letting):
                    gone.append(one.repo)
                    self._expect(one, leaving.told, digests)
                    told = next(each for each in leaving.told.repos if each.repo == str(one.repo))
                    self._context.tell(RepoLetGo(self._target.name, one.repo, told.why, told.bytes))
        finally:
            self._found.keeps.append(leaving.told.of(gone))

    def _expect(self, one: Leaver, told: KeepReport, digests: Iterable[Sha256]) -> None:
        why = next(each.why for each in told.repos if each.repo == str(one.repo))
        self._found.expect(self._target, one.repo, tuple(one.refs.snapshots), digests, why)

    def _is_there(self, digest: Sha256) -> bool:
        return self._target.store.stat(blob_key(digest)) is not None

    def _expiry(self, jobs: Sequence[Job]) -> Expiry:
        return Expiry(self._target, self._published, jobs, self._now, self._mapper, self._keep_alive)

    def _letting(self, why: str, repo: Repo, roots: Mapping[CommitId, Sha256]) -> AbstractContextManager[None]:
        acts = [
            Act(Verb.PRUNE, self._target.name, str(repo), commit=commit, reason=why, digests={"root": root})
            for commit, root in roots.items()
        ]
        return recorded(self._context, self._target, acts)

    def _candidates(self, marks: Marks) -> Iterator[tuple[Stat, Sha256]]:
        for stat in self._target.store.list(BLOBS):
            self._keep_alive()
            digest = blob_of(stat.key)
            if digest is None or digest in marks:
                continue
            if self._is_old(stat):
                self._expect_repos()
                yield stat, digest
            else:
                self._found.young += 1

    def _is_old(self, stat: Stat) -> bool:
        """By the clock of the place where it lies; a preview has none but the machine's own."""
        now = self._now if self._notice is None else self._notice.now_of(stat)
        return stat.modified < now - self._grace

    def _expect_repos(self) -> None:
        """A folder that is not mounted, a wrong prefix, a list that came empty look like one without repos."""
        if self._published.is_empty and not self._may_be_empty:
            name = self._target.name
            raise StoreUnavailable(
                f"it has blobs and publishes no repo: is it whole, and the right place? If all of it is to go: "
                f"mirror-sync prune --everything {name}"
            )

    def _refresh_when_due(self, marks: Marks, *, first: bool) -> None:
        """Before the first removal, and now and then: what was unnamed twice, some time apart, is no base of a sync."""
        self._keep_alive()
        if first:
            self._context.pause(self._target.settling_time)
        elif self._since() < self._interval:
            return
        self._refresh_marks(marks)

    @property
    def _interval(self) -> float:
        """Seconds from the end of one marking to the next: most of the time goes into removing."""
        grace = self._target.grace.total_seconds()
        wanted = max(_REFRESH, _RATIO * self._took)
        return min(wanted, grace / 4) if grace else wanted

    def _refresh_marks(self, marks: Marks) -> None:
        """StoreUnavailable where it took so long that what was published meanwhile may be old already."""
        elapsed = Elapsed(self._context)
        marks.refresh()
        self._took, self._since = elapsed(), Elapsed(self._context)
        grace = self._target.grace.total_seconds()
        if grace and self._took > grace / 2:
            raise StoreUnavailable(
                f"reading what it publishes took {self._took:,.0f} seconds, more than half of its grace period; "
                "a longer grace is needed"
            )

    def _remove(self, batch: Sequence[tuple[Stat, Sha256]]) -> None:
        """Stat the ages again, and remove at once: a stat that took too long is made again, for fewer blobs."""
        since_stat = Elapsed(self._context)
        keys = [blob_key(digest) for _, digest in batch]
        stats = self._mapper(self._target.store.stat, keys)
        old = [pair for pair, stat in zip(batch, stats, strict=True) if stat and self._is_old(stat)]
        self._found.spared += (len(batch) - len(old)) * (self._recorded or not old)  # else counted at the second stat
        if not old:
            return
        if not self._recorded:
            self._record_removal()
            self._remove(batch)  # that took a while: the ages are read again
            return
        self._keep_alive()  # ends what stood still meanwhile, and may take long: the age of the stat is asked after it
        if self._in_time(since_stat()):
            self._delete(old)
        elif len(old) == 1:
            self._found.spared += 1
        else:
            half = len(old) // 2
            self._remove(old[:half])
            self._remove(old[half:])

    def _record_removal(self) -> None:
        """Once for all blobs of a prune. Where it is stopped before the first, the record says too much."""
        why = f"blobs that nothing names and that are older than {self._target.grace}"
        with recorded(self._context, self._target, [Act(Verb.PRUNE, self._target.name, reason=why)]):
            self._recorded = True

    def _delete(self, old: Sequence[tuple[Stat, Sha256]]) -> None:
        """Remove, and count what went: of a removal that is refused half-way, what is not there any more."""
        for _, digest in old:
            self._removed.put(bytes.fromhex(digest))
        gone = old
        try:
            self._target.store.delete([blob_key(digest) for _, digest in old])
        except MirrorError:
            gone = self._gone(old)
            raise
        finally:
            for stat, digest in gone:
                self._found.add(stat, digest)

    def _gone(self, old: Sequence[tuple[Stat, Sha256]]) -> list[tuple[Stat, Sha256]]:
        try:
            stats = list(self._mapper(self._target.store.stat, [blob_key(digest) for _, digest in old]))
        except StoreError as error:
            told = f"target {self._target.name}: which of the last {len(old)} blobs are gone is not known"
            self._found.tell(self._target, f"{told}: {error}")
            return []
        return [pair for pair, stat in zip(old, stats, strict=True) if stat is None]

    def _in_time(self, age: float) -> bool:
        time = self._target.settling_time
        return not time or age <= time * _LIMIT

    @contextmanager
    def _recheck_at_end(self, marks: Marks) -> Iterator[None]:
        """Say it when a snapshot that was published meanwhile names what was removed: only `verify` can heal that."""
        try:
            yield
        finally:
            if len(self._removed):
                self._recheck_removed(marks)

    def _recheck_removed(self, marks: Marks) -> None:
        """Whatever has ended the prune, a stop too: nobody else knows what it removed."""
        doubts: list[MirrorError] = []
        marks.collect_errors(doubts.append)
        lost = 0
        try:
            marks.refresh()
        except MirrorError as error:
            doubts.append(error)
        try:
            removed = (Sha256(key.hex()) for key in self._removed.all_keys())
            named = [blob_key(digest) for digest in removed if digest in marks]
            lost = sum(stat is None for stat in self._mapper(self._target.store.stat, named))
        except MirrorError as error:
            doubts.append(error)
        self._tell_lost(lost, doubts)

    def _tell_lost(self, lost: int, doubts: Sequence[MirrorError]) -> None:
        name = self._target.name
        if lost:
            self._found.tell(
                self._target,
                f"target {name}: {lost} removed blobs are named by a snapshot that was published meanwhile; "
                "run verify --repair",
            )
        if doubts:
            self._found.tell(
                self._target,
                f"target {name}: {len(self._removed)} removed blobs were not looked for again in all that it "
                f"publishes; run mirror-sync verify: {doubts[0]}",
            )

    def _keep_alive(self) -> None:
        self._context.go_on()
        if self._notice is not None:
            self._notice.renew()


WEEK = 7 * 24 * 3600.0  # seconds


def sweep_uploads(target: Target, older_than: float = WEEK) -> int:
    """Remove the uploads without activity for so many seconds, and the notes on them; return how many uploads.

    Uploads in use are spared from one hour on: see `ports.Store.sweep`. Raises StoreError.
    """
    count = target.store.sweep(older_than)
    for key in target.notes.stale(older_than):
        with target.notes.claim(key) as mine:
            if mine:
                target.notes.forget(key)
    return count
