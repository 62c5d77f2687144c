"""Which repos a target lets go of where it holds more than it may: finds what each would free, and un-publishes them.

It is the beginning of a prune: what only they named is removed by its sweep, as of any snapshot that expires.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from mirror_sync.domain.content.keys import BLOBS, blob_of
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.rewritten import time_of
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.keep import Keep, ReadTimes
from mirror_sync.domain.job.letting_go import Leaver, enough, is_spelled_out, why_it_stays
from mirror_sync.domain.outcome.keep_report import LET_GO, KeepReport, LetGoRepo
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.engine.context import Target
from mirror_sync.engine.published import (
    Mapper,
    change_refs,
    identity_of,
    only_from,
    published_at,
    rewritten_roots,
)
from mirror_sync.engine.upkeep.marks import AT_ONCE, Expired, batches
from mirror_sync.engine.upkeep.published_repos import PublishedRepos
from mirror_sync.engine.walk import Walk, pass_over
from mirror_sync.ports.store import Stat, read_document
from mirror_sync.scratch.spilled_map import SpilledMap

Letting = Callable[[str, Repo, Mapping[CommitId, Sha256]], AbstractContextManager[None]]
"""Is told why a repo goes, which one and its roots; they go inside of it."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """Repos that are to go, the first one first, and what is told of the whole."""

    repos: tuple[Leaver, ...]
    told: KeepReport


@dataclass(slots=True)
class _Sorted:
    """All repos of a target: those that stay, by why, and those that may go, the first to go first."""

    staying: list[Repo] = field(default_factory=list)
    going: list[Leaver] = field(default_factory=list)
    stays: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, repr=False)
class LettingGo:
    """Decides about one target, and lets go; `now` in seconds by its clock. `keep_alive` may raise Interrupted.

    `concerned` are the jobs that have to do with a repo: see `Concerned`.
    """

    target: Target
    keep: Keep
    reads: ReadTimes
    published: PublishedRepos
    concerned: Callable[[Repo], Sequence[Job]]
    now: float
    mapper: Mapper = map
    keep_alive: Callable[[], None] = lambda: None

    def leaving(self, without: Expired) -> Leaving:
        """What goes; `without` are snapshots that go anyway. Raises StoreError, and what PublishedRepos does.

        The first look sums up all blobs. Only where these are too many all documents are read.
        """
        held = sum(stat.size for stat in self._blobs())
        since = None if self.reads.since is None else iso_utc(datetime.fromtimestamp(self.reads.since, UTC))
        told = KeepReport(self.target.name, self.keep.bytes, held, held, since)
        if held <= self.keep.bytes:
            return Leaving((), told)
        unsure = self.reads.why_unsure(self.keep.unread, self.now)
        if unsure:
            return Leaving((), replace(told, problem=unsure))
        repos = self._sorted(without)
        sizes, held = self._sizes(repos, without)
        going = tuple(enough(repos.going, lambda one: sizes[one.repo], held - self.keep.bytes))
        gone = tuple(self._told(one, sizes[one.repo]) for one in going)
        left = held - sum(one.bytes for one in gone)
        return Leaving(going, replace(told, bytes=held, left=left, repos=gone, stays=dict(repos.stays)))

    def let_go(self, one: Leaver, letting: Letting) -> tuple[CommitId, ...]:
        """Un-publish a repo with one PUT, decided again under its lock; nothing where it is not as it was.

        The note in its place says which repo it was, and since when it is let go of.
        """
        with self.target.lock(one.repo):
            refs = self.published.refs(one.repo)
            if refs.snapshots != one.refs.snapshots or self._why_it_stays(one.repo, refs):
                return ()
            at = datetime.fromtimestamp(self.now, UTC).replace(microsecond=0)
            gone = refs.withdrawn(Gone(LET_GO, at, identity_of(self.target.store, refs, (DEFAULT_BRANCH,))))
            with letting(self._why(one), one.repo, refs.snapshots):
                self.keep_alive()
                put = change_refs(self.target, one.repo, only_from(refs, gone))
        return () if put is None else tuple(refs.snapshots)

    def _sorted(self, without: Expired) -> _Sorted:
        """Raises StoreError, DocumentError."""
        found = _Sorted()
        for repos in batches(self.published.repos(), AT_ONCE):
            self.keep_alive()
            for repo, whole in zip(repos, self.mapper(self.published.refs, repos), strict=True):
                refs = whole.without(without.get(repo, ()))
                why = self._why_it_stays(repo, refs) if refs.snapshots else ""
                one = None if why or not refs.snapshots else self._candidate(repo, refs)
                if one is not None and self.now - one.at < self.keep.unread.total_seconds():
                    why = "it was read, or published, not long ago"
                if why:
                    found.stays[why] += 1
                if one is None or why:
                    found.staying.append(repo)
                else:
                    found.going.append(one)
        found.going.sort(key=lambda one: one.place)
        return found

    def _why_it_stays(self, repo: Repo, refs: Refs) -> str:
        return why_it_stays(repo, refs, self.concerned(repo), self.keep)

    def _candidate(self, repo: Repo, refs: Refs) -> Leaver:
        read, roots = self.reads.read.get(repo), list(refs.snapshots.values())
        rewritten = rewritten_roots(self.target.store, refs)
        times = zip(roots, self.mapper(partial(published_at, self.target.store), roots), strict=True)
        # what is not there, or came a moment ago, is not known to be old
        published = [self.now if at is None else time_of(at, rewritten.get(root)) for root, at in times]
        named = is_spelled_out(repo, self.concerned(repo))
        return Leaver(repo, refs, max([*published, read or 0.0]), read, named)

    def _sizes(self, repos: _Sorted, without: Expired) -> tuple[Mapping[Repo, int], int]:
        """By repo the bytes that nothing names which stays or goes later; and the bytes of all that is named.

        Whoever keeps a blob longest owns it: so those that stay are walked first, and what goes first last.
        """
        walk, owner = Walk(partial(read_document, self.target.store), pass_over, self.mapper), SpilledMap()
        for repo in repos.staying:
            for _ in walk.repo(repo, self.published.refs(repo).without(without.get(repo, ()))):
                self.keep_alive()
        for number in reversed(range(len(repos.going))):
            one = repos.going[number]
            for node in walk.repo(one.repo, one.refs):
                self.keep_alive()
                owner.put(bytes.fromhex(node.digest), str(number).encode())
        sizes, held = [0] * len(repos.going), 0
        for stat in self._blobs():
            digest = blob_of(stat.key)
            if digest is None or digest not in walk:
                continue
            held += stat.size
            mine = owner.get(bytes.fromhex(digest))
            if mine is not None:
                sizes[int(mine)] += stat.size
        return {one.repo: size for one, size in zip(repos.going, sizes, strict=True)}, held

    def _blobs(self) -> Iterator[Stat]:
        for stat in self.target.store.list(BLOBS):
            self.keep_alive()
            yield stat

    def _told(self, one: Leaver, size: int) -> LetGoRepo:
        read = "" if one.read is None else iso_utc(datetime.fromtimestamp(one.read, UTC))
        return LetGoRepo(str(one.repo), len(one.refs.snapshots), size, read, self._why(one))

    def _why(self, one: Leaver) -> str:
        counted = iso_utc(datetime.fromtimestamp(self.reads.since or self.now, UTC))
        if one.read is None:
            return f"nobody has read it since reads are counted, {counted}"
        return f"nobody has read it since {iso_utc(datetime.fromtimestamp(one.read, UTC))}"


def commits_of(leaving: Iterable[Leaver]) -> Expired:
    """As a rehearsal leaves them out."""
    return {one.repo: tuple(one.refs.snapshots) for one in leaving}
