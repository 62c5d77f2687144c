"""Publishes beside prunes: nothing that refs.json will name is removed meanwhile, or it is noticed.

See docs/design/decisions/0005-prune-beside-sync.md. Without a prune this costs three empty listings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import islice

from mirror_sync.domain.audit_record import Act, Verb
from mirror_sync.domain.content.keys import blob_key, is_active_prune, is_withdrawal
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.tombstone import encode_withdrawn
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.prune_announcements import (
    Elapsed,
    Notices,
    buried_by,
    bury,
    dead_announcements,
    prune_announcements,
)
from mirror_sync.engine.published import Mapper, left_behind, put_refs, read_refs
from mirror_sync.engine.sync.acts import recorded
from mirror_sync.engine.sync.withdrawn_lists import give_named
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import DocumentError, KeyMissing, MirrorError, NewerFormat, StoreUnavailable
from mirror_sync.ports.store import Stat, read_document

_OLD = 1 / 4  # of the grace period
_LOOKS = 1000  # blobs that are held at once


class PrunedMeanwhile(StoreUnavailable):
    """A prune was quicker: blobs that the snapshot needs are gone. The repo must be decided anew."""

    def __init__(self, repo: Repo, digests: Collection[Sha256]) -> None:
        lost = f"{len(digests)} blobs" if digests else "the snapshot that it builds on"
        super().__init__(f"{repo}: a prune removed {lost} while a snapshot was being published; try again")


class PruneGuard:
    """Looks for prunes from before a repo is decided until after it is published."""

    def __init__(self, context: RunContext, target: Target, repo: Repo, mapper: Mapper = map) -> None:
        self._context, self._target, self._repo, self._mapper = context, target, repo, mapper
        self._since = Elapsed(context)  # before the list: an older one is no harm
        self._known = prune_announcements(target)

    @property
    def known(self) -> frozenset[str]:
        """The keys of the notices that were there at the last list."""
        return frozenset(self._known)

    def publish(
        self, snapshot: tuple[CommitId, Sha256], loose: Callable[[], Iterable[Sha256]] | None, put: Callable[[], None]
    ) -> None:
        """Call `put`, which writes refs.json, when all that the snapshot's root names is sure to stay.

        `loose` gives what of that no published snapshot names which `put` shall find published still, the root first;
        None: nothing. Raises PrunedMeanwhile, before or after `put` was called.
        """
        found = prune_announcements(self._target)
        dead = frozenset[str]()
        if loose is not None and (noticed := self._noticed(found)):
            dead = self._dead(found, snapshot[1])
            if noticed - dead:
                since = max((put for key, put in found.items() if is_withdrawal(key)), default=0.0)
                self._protect(loose, since)
        self._known = found
        put()
        # A prune that began after the look above: what it removed is not there now.
        after = prune_announcements(self._target)
        if late := after.keys() - self.known - dead:
            self._stay_buried(late)
            self._forget_expired(keep=snapshot[0])
            self._look_for(self._names(*snapshot))
        if loose is not None and any(map(is_withdrawal, (*found, *after))):
            give_named(self._target.store, loose())

    def _stay_buried(self, late: Collection[str]) -> None:
        """Where `put` has written over the tombstone of a take-down that came in between, that stands again."""
        tombstone = buried_by(self._target, late, self._repo)
        if tombstone is None:
            return
        refs = read_refs(self._target.store, self._repo)
        if refs.tombstone is None:
            put_refs(self._target, self._repo, refs.buried(tombstone))
            self._leave_behind(refs)
        raise PrunedMeanwhile(self._repo, ())

    def _leave_behind(self, overwritten: Refs) -> None:
        """Note down what the repo named, as the take-down had whose note was written over: it must be removed."""
        walk = Walk(partial(read_document, self._target.store), _pass_over, self._mapper)
        named = frozenset(node.digest for node in walk.repo(self._repo, overwritten))
        refs = read_refs(self._target.store, self._repo)
        if refs.tombstone is None:
            return
        body = encode_withdrawn(named | left_behind(self._target.store, refs))
        digest = Sha256.of(body)
        self._target.store.put(blob_key(digest), body, digest)
        put_refs(self._target, self._repo, refs.buried(refs.tombstone, digest))

    def _noticed(self, found: Notices) -> frozenset[str]:
        """Notices that ask for care: new ones, and those of prunes that go on or died."""
        return frozenset((*(found.keys() - self.known), *filter(is_active_prune, found)))

    def _dead(self, found: Notices, root: Sha256) -> frozenset[str]:
        """Notices of prunes that were dead before this sync first looked: they removed nothing that it saw.

        They are cleared away: no prune may come for long. The store's clock is that of the root, put a moment ago, or
        of a later notice; an older one lets a prune seem alive, which costs time alone.
        """
        stat = self._target.store.stat(blob_key(root))
        if stat is None:
            return frozenset()
        notices = {**self._known, **found}
        dead = dead_announcements(notices, max(stat.modified, *notices.values()) - self._since())
        for key in filter(is_active_prune, dead & found.keys()):
            bury(self._context, self._target, key)
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
            now = read_refs(store, self._repo)  # the record may have taken long
            torn = [one for one in torn if now.snapshots.get(one) == refs.snapshots[one] and one not in now.named]
            put_refs(self._target, self._repo, now.without(torn).logged(now, self._context.now(), "prune"))

    def _is_whole(self, commit: CommitId, root: Sha256) -> bool:
        try:
            self._look_for(self._names(commit, root))
        except NewerFormat:
            return True  # as far as we can tell
        except (PrunedMeanwhile, DocumentError):
            return False
        return True

    def _protect(self, loose: Callable[[], Iterable[Sha256]], since: float) -> None:
        """Every blob that no published snapshot protects is made young, and is there when all deletes have landed.

        A take-down goes on `since` then, by the store's clock (0: none): it removes whatever was put before.
        """
        now, age = 0.0, self._target.grace.total_seconds() * _OLD
        for found in map(self._stats, _some(loose())):
            now = max(now, *(stat.modified for stat in found))  # the root, which comes first, was put a moment ago
            old = [stat.key for stat in found if now - stat.modified > age or stat.modified <= since]
            if old:
                self._touch(old)
        self._context.pause(self._target.settling_time)
        self._look_for(loose())

    def _look_for(self, digests: Iterable[Sha256]) -> None:
        """Raises PrunedMeanwhile when one is not there."""
        for some in _some(digests):
            self._stats(some)

    def _touch(self, keys: Iterable[str]) -> None:
        try:
            list(self._mapper(self._target.store.touch, keys))
        except KeyMissing as error:
            raise PrunedMeanwhile(self._repo, ()) from error

    def _stats(self, digests: Iterable[Sha256]) -> list[Stat]:
        named = sorted(digests)
        stats = list(self._mapper(self._target.store.stat, [blob_key(digest) for digest in named]))
        lost = [digest for digest, stat in zip(named, stats, strict=True) if stat is None]
        if lost:
            raise PrunedMeanwhile(self._repo, lost)
        return [stat for stat in stats if stat is not None]

    def _names(self, commit: CommitId, root: Sha256) -> Iterator[Sha256]:
        walk = Walk(partial(read_document, self._target.store), self._fault, self._mapper)
        return (node.digest for node in walk.snapshot(Place(self._repo, commit), root))

    def _fault(self, _place: Place, digest: Sha256, error: MirrorError) -> None:
        if isinstance(error, KeyMissing):
            raise PrunedMeanwhile(self._repo, (digest,)) from error
        raise error


def _pass_over(_place: Place, _digest: Sha256, error: MirrorError) -> None:
    """What cannot be followed is left to a prune."""
    if not isinstance(error, KeyMissing | DocumentError):
        raise error


def _some(digests: Iterable[Sha256]) -> Iterator[frozenset[Sha256]]:
    """Not all at once."""
    left = iter(digests)
    while some := frozenset(islice(left, _LOOKS)):
        yield some
