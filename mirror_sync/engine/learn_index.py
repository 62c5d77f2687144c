"""What a target holds, by git id: a cache, rebuilt from what the target publishes. Its faults cost a fetch, no repo.

What the target publishes was written by whoever may write there: it is told, and only bytes prove it. Decision 0029.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import Target
from mirror_sync.engine.published import Mapper, mirrored_repos, read_refs
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import DocumentError, KeyMissing, MirrorError, StoreError
from mirror_sync.ports.store import read_document
from mirror_sync.scratch.file_table import FileTable

_HEARD = 5000  # contents that are told of at once
_LESSON = 64  # contents; a kill loses the memory of fewer


class Pairs(NamedTuple):
    """Digests by git id: those that bytes have proved, and those that somebody has written into the target."""

    proved: Mapping[GitOid, Sha256]
    told: Mapping[GitOid, Sha256]


def known(target: Target, oids: Iterable[GitOid], go_on: Callable[[], None], mapper: Mapper = map) -> Pairs:
    """The digests of those contents that are known by their git id: none where the index cannot be used."""
    with suppress(StoreError):
        _fill(target, go_on, mapper)
    asked = [*oids]
    try:
        proved = target.index.known(asked)
        return Pairs(proved, target.index.told(oid for oid in asked if oid not in proved))
    except StoreError:
        return Pairs({}, {})


def hear(target: Target, listing: FileTable) -> None:
    """Remember what a listing of ours says, if the index can be used: it may be taken over from an older one.

    Of a listing of many files, what it has of the one before is known mostly: then what is new is enough.
    """
    with suppress(StoreError):
        known = listing.count > _HEARD and _knows(target, listing.sample_of_git_pairs())
        for some in listing.new_git_pairs() if known else listing.git_pairs():
            target.index.hear(some)


def _knows(target: Target, pairs: Iterable[Mapping[GitOid, Sha256]]) -> bool:
    """Whether the index has all of these."""
    return all(some.items() <= {**target.index.told(some), **target.index.known(some)}.items() for some in pairs)


class IndexWriter:
    """Learns what bytes have proved while a repo is brought, some at a time: a run that is killed has forgotten few."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._pairs: dict[GitOid, Sha256] = {}
        self._lock = threading.Lock()

    def add(self, oid: GitOid | None, digest: Sha256) -> None:
        """Safe for many threads. None: a content whose git id nobody knows."""
        with self._lock:
            if oid is not None:
                self._pairs[oid] = digest
            if len(self._pairs) < _LESSON:
                return
        self.end()

    def end(self) -> None:
        """Learn what is left."""
        with self._lock:
            pairs, self._pairs = self._pairs, {}
        if pairs:
            with suppress(StoreError):
                self._target.index.learn(pairs)


def _fill(target: Target, go_on: Callable[[], None], mapper: Mapper) -> None:
    """Fill the index by one walk, however many repos ask at once: who waited for one that failed goes on without."""
    failed = target.refill.failed
    if target.index.complete:
        return
    with target.refill.lock:
        go_on()
        if target.index.complete or target.refill.failed != failed:
            return
        try:
            _hear_everything(target, go_on, mapper)
        except MirrorError:
            target.refill.failed += 1
            raise


def _hear_everything(target: Target, go_on: Callable[[], None], mapper: Mapper) -> None:
    """Walk every published snapshot once; a damaged one teaches nothing and stops nothing (`verify` names it).

    Raises StoreError where the index cannot be used, or the target cannot be read: the next call goes on from there.
    """
    heard = target.refill.heard
    walk = Walk(partial(read_document, target.store), _pass_over, mapper, claims=True)
    for repo in (repo for repo in mirrored_repos(target.store) if repo not in heard):
        found: dict[GitOid, Sha256] = {}
        for node in walk.repo(repo, _refs(target, repo)):
            go_on()
            if node.file is not None and node.file.pointer_size is None:
                found[node.file.oid] = node.file.sha256
            if len(found) >= _HEARD:
                target.index.hear(found)
                found = {}
        target.index.hear(found)
        heard.add(repo)
    target.index.mark_complete()
    heard.clear()  # the file may be lost, and must be filled anew


def _refs(target: Target, repo: Repo) -> Refs:
    try:
        return read_refs(target.store, repo)
    except DocumentError:
        return Refs()


def _pass_over(_place: Place, _digest: Sha256, error: MirrorError) -> None:
    if not isinstance(error, KeyMissing | DocumentError):
        raise error
