"""Takes a repo down: from one PUT on nobody is given it, then what only it named is removed. And lets it come back.

See docs/design/decisions/0042-taken-down.md. In this order: what the repo names is noted down; refs.json gets the
tombstone in the place of all names and snapshots; the digests that nobody else names are listed as given to nobody;
their blobs are removed, beside syncs and prunes of all machines; the notes and the list are cleared. Whoever dies in
between has taken the repo down, and the same call again goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from mirror_sync.domain.access.rights import closed_by
from mirror_sync.domain.audit_record import Act, Verb
from mirror_sync.domain.content.keys import WITHDRAWAL, blob_key
from mirror_sync.domain.content.refs import CLOSED, DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.tombstone import Tombstone, encode_withdrawn
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import TakenDown
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.beside_prune import Elapsed, PruneAnnouncement
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import Mapper, change_refs, left_behind, only_from, read_infos, read_refs
from mirror_sync.engine.upkeep.marks import Marks, batches
from mirror_sync.engine.upkeep.published_repos import PublishedRepos
from mirror_sync.engine.vanished import Expected
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.engine.withdrawn_lists import release_digests, withdraw_digests
from mirror_sync.errors import DocumentError, Interrupted, KeyMissing, MirrorError, StoreUnavailable
from mirror_sync.ports.store import Stat, read_document

_READERS = 8
_BATCH = 64  # blobs between a stat of their times and their removal
_IN_TIME = 1 / 4  # of the settling time: how old such a stat may be when a removal is sent
_TRIES = 3  # to have the last word in refs.json, where another machine publishes the repo at this moment


def take_down(
    context: RunContext, target: Target, repo: Repo, tombstone: Tombstone, *, dry_run: bool = False
) -> TakenDown:
    """Take a repo down, or go on where that was not at its end; `dry_run` writes and removes nothing.

    Where it stands under a tombstone already, that stays. Raises StoreError and DocumentError before anything was
    written, Interrupted; what goes wrong later is a sentence in the report: then nobody is given the repo all the same.
    """
    lock = nullcontext() if dry_run else target.lock(repo)  # it would be written into the state folder
    with lock, ThreadPoolExecutor(_READERS, "take-down") as readers:
        work = _TakeDown(context, target, repo, tombstone, readers.map)
        return work.preview() if dry_run else work.run()


def let_come_back(context: RunContext, target: Target, repo: Repo, why: str) -> bool:
    """Take the tombstone away, with what a take-down that did not end has left; False where there is none.

    Nothing is published by that. Raises StoreError, DocumentError.
    """
    with target.lock(repo):
        refs = read_refs(target.store, repo)
        if refs.tombstone is None:
            return False
        with recorded(context, target, [Act(Verb.RESTORE, target.name, str(repo), reason=why)]):
            release_digests(target.store, left_behind(target.store, refs))
            change_refs(target, repo, lambda now: None if now.tombstone is None else now.withdrawn(None))
        return True


class _TakeDown:
    """One take-down, of what refs.json says when it is made; where that has a tombstone, its words count."""

    def __init__(self, context: RunContext, target: Target, repo: Repo, tombstone: Tombstone, mapper: Mapper) -> None:
        self._context, self._target, self._repo, self._mapper = context, target, repo, mapper
        self._refs = read_refs(target.store, repo)
        known = _tombstone_of(target, self._refs)
        self._again, self._tombstone = known is not None, known or _with_closed(target, self._refs, tombstone)
        self._notice: PruneAnnouncement | None = None
        self._problems: list[str] = []
        self._removed: dict[Sha256, int] = {}  # bytes
        self._shared = self._spared = 0

    def preview(self) -> TakenDown:
        """What would go."""
        mine = self._unmarked(self._named(self._refs), self._marks())
        self._removed = {one: stat.size for one, stat in zip(mine, self._stats(mine), strict=True) if stat is not None}
        return replace(self._report(), dry_run=True)

    def run(self) -> TakenDown:
        """Take it down; then remove what nobody else names."""
        named: Collection[Sha256] = self._named(self._refs)
        of = self._repo, self._put(self._tombstone.encode())  # there before anything names it
        with PruneAnnouncement(self._context, self._target, WITHDRAWAL, of) as notice:
            self._notice = notice
            if not self._again:
                named = self._put_tombstone(named)
            try:
                if named:
                    self._remove_all(named)
            except Interrupted:
                raise
            except MirrorError as error:
                self._problems.append(f"{self._repo} is taken down, but not all that only it named is removed: {error}")
        return self._report()

    def _put_tombstone(self, named: Collection[Sha256]) -> Collection[Sha256]:
        """From this PUT on nobody is given the repo. Returns what it named, with what it came to name meanwhile."""
        act = Act(Verb.WITHDRAW, self._target.name, str(self._repo), reason=self._tombstone.said)
        with recorded(self._context, self._target, [act]):  # which may take long: another machine may publish meanwhile
            while True:
                refs = read_refs(self._target.store, self._repo)
                if refs != self._refs:
                    self._refs, named = refs, frozenset((*named, *self._named(refs)))
                left_behind = self._put(encode_withdrawn(named)) if named else None
                with_tombstone = refs.with_tombstone(Sha256.of(self._tombstone.encode()), left_behind)
                if change_refs(self._target, self._repo, only_from(refs, with_tombstone)) is not None:
                    return named
                self._context.go_on()  # somebody moved a name, and what it names is to be known before it goes

    def _remove_all(self, named: Collection[Sha256]) -> None:
        marks = self._marks()
        withdraw_digests(self._target.store, self._unmarked(named, marks))
        named = self._have_the_last_word(named)
        marks.refresh()
        mine = self._unmarked(named, marks)
        withdraw_digests(self._target.store, mine)
        try:
            for batch in batches(mine, _BATCH):
                self._keep_alive()
                self._remove(batch)
        finally:
            self._recheck_removed(marks)
        release_digests(self._target.store, named)
        while (tombstone := (refs := read_refs(self._target.store, self._repo)).tombstone) is not None:
            more = left_behind(self._target.store, refs) - frozenset(named)
            if more:  # of a sync that wrote over the tombstone, and put it back
                self._remove_all(more)
                return
            if change_refs(self._target, self._repo, only_from(refs, refs.with_tombstone(tombstone))) is not None:
                return

    def _report(self) -> TakenDown:
        return TakenDown(
            *(self._target.name, self._repo.kind, self._repo.id),
            *(self._tombstone.at, self._tombstone.by, self._tombstone.why),
            snapshots=tuple(self._refs.snapshots),
            blobs=len(self._removed),
            bytes=sum(self._removed.values()),
            shared=self._shared,
            spared=self._spared,
            again=self._again,
            problems=tuple(self._problems),
        )

    def _named(self, refs: Refs) -> frozenset[Sha256]:
        """All that the repo names, or named before a take-down that did not end; what cannot be followed ends there."""
        walk = Walk(partial(read_document, self._target.store), self._pass_over, self._mapper)
        mine = refs if refs.tombstone is None else Refs()  # what stands beside a tombstone is a take-down's own
        found = {node.digest for node in walk.repo(self._repo, mine)}
        return frozenset(found) | left_behind(self._target.store, refs)

    def _pass_over(self, place: Place, digest: Sha256, error: MirrorError) -> None:
        if not isinstance(error, KeyMissing | DocumentError):
            raise error
        where = place.commit or "the repo"
        self._problems.append(f"{digest}, which {where} names, cannot be read: what it names is left to a prune")

    def _put(self, body: bytes) -> Sha256:
        digest = Sha256.of(body)
        self._target.store.put(blob_key(digest), body, digest)
        return digest

    def _marks(self) -> Marks:
        """What all others name. Raises what a PublishedRepos and Marks do: then nothing may be removed."""
        expected = Expected(self._target, self._context.remembered(self._target.name))
        others = _Others(self._target, expected, self._repo)
        marks = Marks(self._target.store, others, self._mapper, self._keep_alive)
        marks.refresh()
        return marks

    def _unmarked(self, named: Collection[Sha256], marks: Marks) -> list[Sha256]:
        """What nobody else names, and what the tombstone itself does not need."""
        refs = read_refs(self._target.store, self._repo)
        kept = frozenset(refs.attachments.values()) if refs.tombstone is not None else frozenset[Sha256]()
        mine = sorted(digest for digest in named if digest not in marks and digest not in kept)
        self._shared = len(named) - len(mine)
        return mine

    def _have_the_last_word(self, named: Collection[Sha256]) -> Collection[Sha256]:
        """Wait until every call has landed that was sent before the tombstone; a sync may have written over it."""
        for _ in range(_TRIES):
            self._context.pause(self._target.settling_time)
            if read_refs(self._target.store, self._repo).tombstone is not None:
                return named
            named = self._put_tombstone(named)
        raise StoreUnavailable("another machine publishes it again and again: stop its sync, and run this again")

    def _remove(self, digests: Sequence[Sha256]) -> None:
        """Stat their times, and remove at once what was not put or used since the notice."""
        assert self._notice is not None  # noqa: S101  for the type checker: a preview removes nothing
        since_stat = Elapsed(self._context)
        found = [(one, stat) for one, stat in zip(digests, self._stats(digests), strict=True) if stat is not None]
        old = {one: stat.size for one, stat in found if stat.modified < self._notice.now_of(stat)}
        self._spared += len(found) - len(old)
        if not old:
            return
        self._keep_alive()
        settling = self._target.settling_time
        if not settling or since_stat() <= settling * _IN_TIME:
            self._removed |= old
            self._target.store.delete([blob_key(one) for one in old])
        elif len(old) == 1:
            self._spared += 1
        else:
            for half in batches(old, (len(old) + 1) // 2):
                self._remove(half)

    def _recheck_removed(self, marks: Marks) -> None:
        """Say it where a snapshot that was published meanwhile names what was removed: only `verify` can heal that."""
        if not self._removed:
            return
        marks.collect_errors(lambda error: self._problems.append(str(error)))
        try:
            marks.refresh()
            named = sorted(one for one in self._removed if one in marks)
            lost = sum(stat is None for stat in self._stats(named))
        except MirrorError as error:
            self._problems.append(
                f"whether others name what was removed was not looked for again; run mirror-sync verify: {error}"
            )
            return
        if lost:
            self._problems.append(
                f"{lost} removed blobs are named by a snapshot that was published meanwhile; run verify --repair"
            )

    def _stats(self, digests: Iterable[Sha256]) -> list[Stat | None]:
        return list(self._mapper(self._target.store.stat, [blob_key(digest) for digest in digests]))

    def _keep_alive(self) -> None:
        self._context.go_on()
        if self._notice is not None:
            self._notice.renew()


class _Others(PublishedRepos):
    """All repos of a target but one."""

    def __init__(self, target: Target, expected: Expected, repo: Repo) -> None:
        super().__init__(target.store, expected.expect_all)
        self._left_out = repo

    def repos(self) -> list[Repo]:
        return [repo for repo in super().repos() if repo != self._left_out]

    def moves(self) -> Iterator[tuple[Repo, Refs]]:
        return (one for one in super().moves() if one[0] != self._left_out)


def _with_closed(target: Target, refs: Refs, tombstone: Tombstone) -> Tombstone:
    """The same with whether the upstream had closed the repo; what nobody can read any more is closed."""
    told = next(read_infos(target.store, refs, (DEFAULT_BRANCH,)), {})
    closed = bool(refs.snapshots) and (CLOSED in refs.attachments or closed_by(told))
    return replace(tombstone, closed=closed or tombstone.closed)  # which another mirror may have said


def _tombstone_of(target: Target, refs: Refs) -> Tombstone | None:
    """The one that stands there; None for none, and for one that cannot be read, which is written anew."""
    try:
        return None if refs.tombstone is None else Tombstone.decode(read_document(target.store, refs.tombstone))
    except (KeyMissing, DocumentError):
        return None
