"""Prunes and syncs of many machines, side by side in one target: nothing that refs.json will name is removed meanwhile,
or it is noticed.

A prune announces itself (`PruneAnnouncement`), a sync lists announcements (`PruneGuard`): one that sees none,
before and after, needs no care at all, and pays three empty listings. See
docs/design/decisions/0005-prune-beside-sync.md.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TypeVar

from mirror_sync.domain.audit_record import Act, Verb
from mirror_sync.domain.content.keys import (
    PRUNES,
    WITHDRAWN,
    blob_key,
    done_of,
    is_active_prune,
    is_move,
    is_withdrawal,
    move_key,
    prune_key,
    refs_key,
)
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Shard
from mirror_sync.domain.content.tombstone import encode_withdrawn
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import Mapper, change_refs, left_behind, only_from, read_refs
from mirror_sync.engine.walk import Place, Walk, pass_over
from mirror_sync.engine.withdrawn_lists import release_named
from mirror_sync.errors import (
    DocumentError,
    KeyMissing,
    MirrorError,
    NewerFormat,
    PruneConflict,
    StoreError,
    StoreUnavailable,
)
from mirror_sync.ports.store import MAX_REFS, Stat, Store, read_all, read_document

_RENEW = 600.0  # seconds
_STALLED = 3600.0  # seconds without a renewal, after which a prune that comes to itself ends,
_DEAD = 2 * 3600.0  # and after which others take it for dead and clear its notice away
_LARGEST = 4096  # bytes of a notice
_DONE = 24 * 3600.0  # seconds that the notice of a prune that ended stays at least


T = TypeVar("T")
Notices = Mapping[str, float]  # by key: when they were put, by the store's clock


def prune_announcements(target: Target) -> dict[str, float]:
    """All notices: of prunes that go on or died, and of those that ended not long ago."""
    return {stat.key: stat.modified for stat in target.store.list(PRUNES) if not is_move(stat.key)}


def tombstone_announced(target: Target, keys: Iterable[str], repo: Repo) -> Sha256 | None:
    """The tombstone that one of these notices, of a take-down, says that a repo has; None where none does.

    StoreError; DocumentError for a notice that cannot be read.
    """
    for key in filter(is_withdrawal, keys):
        try:
            said = json.loads(read_all(target.store, key, _LARGEST))
            if said["repo"] == str(repo):
                return Sha256(said["tombstone"])
        except KeyMissing:
            continue  # an active one, that has become a done one
        except (ValueError, KeyError, TypeError) as error:
            raise DocumentError(f"{key} is no notice of a take-down: {error!r:.80}") from error
    return None


def dead_announcements(notices: Notices, at: float) -> frozenset[str]:
    """The notices of prunes that were dead already at a time by the store's clock, and those that say they ended."""
    dead = [key for key, put in notices.items() if is_active_prune(key) and put < at - _DEAD]
    return frozenset((*dead, *map(done_of, dead)))


def clear_dead_notice(context: RunContext, target: Target, key: str) -> None:
    """Clear a dead prune's notice away as that prune would have done at its end, for whoever knew it alive.

    Where the target refuses that, it stays for the next one.
    """
    with suppress(StoreError):
        _put(context, target.store, done_of(key))
        target.store.delete([key])


class Elapsed:
    """Seconds since it was made, by that of the machine's two clocks that says more.

    One of them stands still while a machine sleeps, and the other may be set: whoever asks how long others may have
    been alone wants no less than the truth.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._began = self._now()

    def __call__(self) -> float:
        return max(now - began for now, began in zip(self._now(), self._began, strict=True))

    def _now(self) -> tuple[float, float]:
        return self._context.monotonic(), self._context.clock().timestamp()


class PruneAnnouncement:
    """A prune's notice: active inside the block, done after it. Gives the store's clock on the way.

    With WITHDRAWAL as its `kind` it is that of a take-down, whose repo `of` it names, with its tombstone.
    """

    def __init__(
        self, context: RunContext, target: Target, kind: str = "", of: tuple[Repo, Sha256] | None = None
    ) -> None:
        self._context, self._store, self._grace = context, target.store, target.grace.total_seconds()
        self._said = "" if of is None else f',"repo":"{of[0]}","tombstone":"{of[1]}"'
        self._prune = f"{kind}{uuid.uuid4().hex[:12]}"
        self._since = Elapsed(context)  # the last renewal
        self.now = 0.0
        """By the store's clock, when the notice was put: no older clock, and no other one, may decide about ages."""
        self._tiering = target.tiering
        self._cold_now: float | StoreError = float("-inf")

    def now_of(self, stat: Stat) -> float:
        """The same by the clock that `modified` of a blob is by: whoever uses the blob from then on sets no less.

        What lies in a cold place is compared with a stamp of that place, from before the notice. StoreError where it
        gave none.
        """
        if not stat.cold:
            return self.now
        if isinstance(self._cold_now, StoreError):
            raise self._cold_now
        return self._cold_now

    def __enter__(self) -> PruneAnnouncement:
        if self._tiering is not None:
            try:
                self._cold_now = self._tiering.cold_now()
            except StoreError as error:  # a tombstone waits for no disk; what lies there stays
                self._cold_now = error
        self._write(active=True)
        key = prune_key(self._prune, active=True)
        stat = self._store.stat(key)
        if stat is None:
            raise StoreUnavailable(f"{key} was put and is not there: this target cannot be pruned")
        self.now = stat.modified
        self._clear_old()
        return self

    def __exit__(self, *exc: object) -> None:
        self._write(active=False)
        self._store.delete([prune_key(self._prune, active=True)])

    def renew(self) -> None:
        """Say now and then that this prune is alive. StoreUnavailable when it was silent for too long to go on."""
        silent = self._since()
        if silent > _STALLED:
            raise StoreUnavailable(f"this prune stood still for {silent:.0f} seconds; start it again")
        if silent > _RENEW:
            self._write(active=True)

    def _write(self, *, active: bool) -> None:
        since = Elapsed(self._context)  # before the call: it may take long
        _put(self._context, self._store, prune_key(self._prune, active=active), self._said)
        self._since = since

    def _clear_old(self) -> None:
        """Of prunes and moves that died, and of those that ended before any sync that still goes on can have begun.

        Those of take-downs stay as long as their lists do: by them a sync knows that there are some.
        """
        done = self.now - max(_DONE, 2 * self._grace)
        notices = list(self._store.list(PRUNES))
        dead = self.now - _DEAD
        old = [one.key for one in notices if one.modified < (dead if _is_under_way(one.key) else done)]
        if any(map(is_withdrawal, old)) and any(self._store.list(WITHDRAWN)):
            old = [key for key in old if not is_withdrawal(key)]
        if old:
            self._store.delete(old)


def _put(context: RunContext, store: Store, key: str, said: str = "") -> None:
    body = f'{{"at":"{context.now()}"{said}}}\n'.encode()
    store.put(key, body, Sha256.of(body))


def _is_under_way(key: str) -> bool:
    return is_active_prune(key) or is_move(key)


class MoveNotice:
    """What a repo's refs.json is about to become by a move of a name, beside it, for as long as the block: prunes on
    all machines keep what it names. So whoever dies in between has named nothing that is removed.

    The refs.json is read once more after it was put: then a prune that has let go of something in it was earlier, and
    is seen, or marks later, and sees this. One that is left behind is cleared away by the first prune after two hours.
    """

    def __init__(self, context: RunContext, target: Target, repo: Repo, refs: Refs) -> None:
        self._store, self._key = target.store, move_key(uuid.uuid4().hex[:12])
        body = f"{json.dumps({'repo': str(repo)})}\n".encode() + refs.encode()
        self._since = Elapsed(context)
        self._store.put(self._key, body, Sha256.of(body))

    @property
    def is_young(self) -> bool:
        """Whether no prune can have taken it for left behind yet."""
        return self._since() < _STALLED

    def __enter__(self) -> MoveNotice:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(StoreError):  # a prune clears it away
            self._store.delete([self._key])


def announced_moves(store: Store) -> Iterator[tuple[Repo, Refs]]:
    """What refs.json objects are about to become by moves of names. StoreError, DocumentError."""
    for stat in store.list(PRUNES):
        if is_move(stat.key):
            with suppress(KeyMissing):  # it is done
                head, _, body = read_all(store, stat.key, _LARGEST + MAX_REFS).partition(b"\n")
                try:
                    yield Repo.parse(json.loads(head)["repo"]), Refs.decode(body)
                except (ValueError, KeyError, TypeError) as error:
                    raise DocumentError(f"{stat.key} is no notice of a move: {error!r:.80}") from error


_OLD = 1 / 4  # of the grace period
_STATS_AT_ONCE = 1000  # blobs that are held at once


def shards_beside_prunes(
    read: Callable[[Iterable[Shard]], Iterable[bytes]], repo: Repo
) -> Callable[[Iterable[Shard]], Iterator[bytes]]:
    """Reads shards of a published snapshot, also a second time, when another machine may have let it go."""

    def reading(shards: Iterable[Shard]) -> Iterator[bytes]:
        try:
            yield from read(shards)
        except KeyMissing as error:
            raise PruneConflict(repo) from error

    return reading


class PruneGuard:
    """Watches for prunes from before a repo is decided until after it is published."""

    def __init__(self, context: RunContext, target: Target, repo: Repo, mapper: Mapper = map) -> None:
        self._context, self._target, self._repo, self._mapper = context, target, repo, mapper
        self._since = Elapsed(context)  # before the list: an older one is no harm
        self._known = prune_announcements(target)
        target.single_flight.enter(frozenset(self._known))  # what landed before a prune may be gone again

    def of(self, repo: Repo) -> PruneGuard:
        """The same for another repo, which has looked since as long."""
        other = copy.copy(self)
        other._repo = repo  # noqa: SLF001  of the same class
        return other

    def publish(
        self,
        snapshot: tuple[CommitId, Sha256],
        unreferenced: Callable[[], Iterable[Sha256]] | None,
        put: Callable[[], T],
    ) -> T:
        """Call `put`, which writes refs.json, when all that the snapshot names is sure to stay; return its answer.

        `unreferenced` yields the digests of the new snapshot that nothing else protects: no snapshot that is published,
        and that `put` shall find published still, names them. The root comes first. None: the snapshot is published
        already. Raises PruneConflict, before or after `put` was called.
        """
        found = prune_announcements(self._target)
        dead = frozenset[str]()
        if unreferenced is not None and (noticed := self._noticed(found)):
            dead = self._dead(found, snapshot[1])
            if noticed - dead:
                since = max((put for key, put in found.items() if is_withdrawal(key)), default=0.0)
                self._protect(unreferenced, since)
        self._known = found
        answer = put()
        # A prune that began after the list above: what it removed is not there now.
        after = prune_announcements(self._target)
        if late := after.keys() - self._known.keys() - dead:
            self._restore_tombstone(late)
            self._forget_expired(keep=snapshot[0])
            self._require(self._names(*snapshot))
        if unreferenced is not None and any(map(is_withdrawal, (*found, *after))):
            release_named(self._target.store, unreferenced())
        return answer

    def publish_name(self, commit: CommitId, put: Callable[[], Refs]) -> Refs:
        """Call `put`, which reads refs.json and writes it with a name of a snapshot that is published there.

        Between both a machine may stand still, and a prune meanwhile let that snapshot go and remove it: where one may
        have, it is checked afterwards. PruneConflict where it is not whole: then `put` has named what is torn.
        """
        reading = Elapsed(self._context)
        refs = put()
        took, after = reading(), prune_announcements(self._target)
        late = after.keys() - self._known.keys()
        if late:
            self._restore_tombstone(late)
        if late or (took > self._target.settling_time * _OLD and any(map(is_active_prune, after))):
            self._forget_expired(keep=commit)
            stat = self._target.store.stat(refs_key(self._repo))
            now = 0.0 if stat is None else stat.modified  # put a moment ago
            self._protect(lambda: self._names(commit, refs.snapshots[commit]), 0.0, now)
        return refs

    def _restore_tombstone(self, late: Collection[str]) -> None:
        """Where `put` has written over the tombstone of a take-down that came in between, that stands again."""
        tombstone = tombstone_announced(self._target, late, self._repo)
        if tombstone is None:
            return
        overwritten = list[Refs]()

        def put_back(refs: Refs) -> Refs | None:
            if refs.tombstone is not None:
                return None
            overwritten.append(refs)
            return refs.with_tombstone(tombstone)

        if change_refs(self._target, self._repo, put_back) is not None:
            self._leave_behind(overwritten[-1])
        raise PruneConflict(self._repo)

    def _leave_behind(self, overwritten: Refs) -> None:
        """Note down what the repo named, as the take-down had whose note was written over: it must be removed."""
        walk = Walk(partial(read_document, self._target.store), pass_over, self._mapper)
        named = frozenset(node.digest for node in walk.repo(self._repo, overwritten))
        store = self._target.store
        while (tombstone := (refs := read_refs(store, self._repo)).tombstone) is not None:
            body = encode_withdrawn(named | left_behind(store, refs))
            digest = Sha256.of(body)
            store.put(blob_key(digest), body, digest)
            if (
                change_refs(self._target, self._repo, only_from(refs, refs.with_tombstone(tombstone, digest)))
                is not None
            ):
                return

    def _noticed(self, found: Notices) -> frozenset[str]:
        """Notices that ask for care: new ones, and those of prunes that go on or died."""
        return frozenset((*(found.keys() - self._known.keys()), *filter(is_active_prune, found)))

    def _dead(self, found: Notices, root: Sha256) -> frozenset[str]:
        """Notices of prunes that were dead before this sync first listed them: they removed nothing that it saw.

        They are cleared away: no prune may come for long. The store's clock is that of the root, put a moment ago, or
        of a later notice; an older one lets a prune seem alive, which costs time alone.
        """
        stat = self._target.store.stat(blob_key(root))
        if stat is None:
            return frozenset()
        notices = {**self._known, **found}
        dead = dead_announcements(notices, max(stat.modified, *notices.values()) - self._since())
        for key in filter(is_active_prune, dead & found.keys()):
            clear_dead_notice(self._context, self._target, key)
        return dead

    def _forget_expired(self, keep: CommitId) -> None:
        """Our refs.json was made from one that a prune has changed since: what it let go must not come back torn."""
        store = self._target.store
        refs = read_refs(store, self._repo)
        unnamed = set(refs.snapshots) - refs.named - {keep}
        torn = [commit for commit in unnamed if not self._is_whole(commit, refs.snapshots[commit])]
        if not torn:
            return
        why = "a prune beside this publication had let it go"
        acts = [
            Act(Verb.PRUNE, self._target.name, str(self._repo), commit=commit, reason=why, digests={"root": root})
            for commit, root in refs.snapshots.items()
            if commit in torn
        ]
        with recorded(self._context, self._target, acts):

            def without_torn(now: Refs) -> Refs | None:  # the record may have taken long
                left = [one for one in torn if now.snapshots.get(one) == refs.snapshots[one] and one not in now.named]
                return now.without(left).logged(now, self._context.now(), "prune") if left else None

            change_refs(self._target, self._repo, without_torn)

    def _is_whole(self, commit: CommitId, root: Sha256) -> bool:
        try:
            self._require(self._names(commit, root))
        except NewerFormat:
            return True  # as far as we can tell
        except (PruneConflict, DocumentError):
            return False
        return True

    def _protect(self, unreferenced: Callable[[], Iterable[Sha256]], since: float, now: float = 0.0) -> None:
        """Every blob that no published snapshot protects is made young, and is there when all deletes have landed.

        A take-down goes on `since` then, by the store's clock (0: none): it removes whatever was put before. It is at
        least `now` by that clock. What lies in a cold place has another one, and is made young whatever that says.
        """
        age = self._target.grace.total_seconds() * _OLD
        for found in map(self._stats, _some(unreferenced())):
            warm = (stat.modified for stat in found if not stat.cold)
            now = max((now, *warm))  # the root, which comes first, was put a moment ago
            old = [one.key for one in found if one.cold or now - one.modified > age or one.modified <= since]
            if old:
                self._touch(old)
        self._context.pause(self._target.settling_time)
        self._require(unreferenced())

    def _require(self, digests: Iterable[Sha256]) -> None:
        """Raises PruneConflict when one is not there."""
        for some in _some(digests):
            self._stats(some)

    def _touch(self, keys: Iterable[str]) -> None:
        try:
            list(self._mapper(self._target.store.touch, keys))
        except KeyMissing as error:
            raise PruneConflict(self._repo) from error

    def _stats(self, digests: Iterable[Sha256]) -> list[Stat]:
        named = sorted(digests)
        stats = list(self._mapper(self._target.store.stat, [blob_key(digest) for digest in named]))
        lost = [digest for digest, stat in zip(named, stats, strict=True) if stat is None]
        if lost:
            raise PruneConflict(self._repo, len(lost))
        return [stat for stat in stats if stat is not None]

    def _names(self, commit: CommitId, root: Sha256) -> Iterator[Sha256]:
        walk = Walk(partial(read_document, self._target.store), self._fault, self._mapper)
        return (node.digest for node in walk.snapshot(Place(self._repo, commit), root))

    def _fault(self, _place: Place, digest: Sha256, error: MirrorError) -> None:
        if isinstance(error, KeyMissing):
            raise PruneConflict(self._repo, 1) from error
        raise error


def find_withdrawn_lists(target: Target) -> None:
    """Once for a process and a target: who died before may have published what its lists give to nobody. StoreError."""
    if target.withheld.found is None:
        target.withheld.found = any(target.store.list(WITHDRAWN))


def release_published(target: Target, repo: Repo) -> None:
    """All that is published of a repo is given, where a process may have died between the one and the other.

    StoreError.
    """
    if target.withheld.found:
        walk = Walk(partial(read_document, target.store), pass_over)
        release_named(target.store, (node.digest for node in walk.repo(repo, read_refs(target.store, repo))))


def _some(digests: Iterable[Sha256]) -> Iterator[frozenset[Sha256]]:
    """Not all at once."""
    left = iter(digests)
    while some := frozenset(islice(left, _STATS_AT_ONCE)):
        yield some
