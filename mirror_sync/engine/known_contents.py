"""Which contents a target holds already, whoever published them: by its keys, and by the index of git ids.

The index is a cache, rebuilt from what the target publishes: its faults cost a fetch, no repo. What is published was
written by whoever may write there: a listing claims the git id of a blob, and only bytes prove it. Decision 0029.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

from mirror_sync.domain.content.keys import BLOBS, blob_key
from mirror_sync.domain.content.manifest import Content
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import ContentHash, GitOid, Promise, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import Target
from mirror_sync.engine.published import Mapper, mirrored_repos, read_refs
from mirror_sync.engine.walk import Walk, pass_over
from mirror_sync.errors import DocumentError, MirrorError, StoreError, StoreUnavailable
from mirror_sync.ports.memory import ContentIndex
from mirror_sync.ports.store import Store, read_document
from mirror_sync.scratch.file_table import FileTable

T = TypeVar("T")
R = TypeVar("R")

_BATCH = 5000  # contents that the index remembers at once
_STATS_AT_ONCE = 1000  # that wait for their turn at once,
_HANDED_OVER = 64  # in so many rows: more than any pool has threads
_WORTH_A_LIST = 64  # stat calls, instead of which one list of a thousand keys may be enough
_READ = 1024 * 1024  # bytes between two checks of the stop event


class Pairs(NamedTuple):
    """Digests by git id: those that bytes have proved, and those that listings in the target claim."""

    proved: Mapping[GitOid, Sha256]
    claimed: Mapping[GitOid, Sha256]


def known_digests(target: Target, oids: Iterable[GitOid], go_on: Callable[[], None], mapper: Mapper = map) -> Pairs:
    """The digests of those contents that are known by their git id: none where the index cannot be used."""
    with suppress(StoreError):
        _fill(target, go_on, mapper)
    asked = [*oids]
    try:
        proved = target.index.known(asked, proved=True)
        return Pairs(proved, target.index.known((oid for oid in asked if oid not in proved), proved=False))
    except StoreError:
        return Pairs({}, {})


def remember_claimed(target: Target, listing: FileTable) -> None:
    """Remember what a listing of ours claims, if the index can be used: it may be taken over from an older one.

    Of a listing of many files, what it has of the one before is known mostly: then what is new is enough.
    """
    with suppress(StoreError):
        known = listing.count > _BATCH and _knows(target.index, listing.sample_of_git_pairs())
        for some in listing.new_git_pairs() if known else listing.git_pairs():
            target.index.remember(some, proved=False)


def _knows(index: ContentIndex, pairs: Iterable[Mapping[GitOid, Sha256]]) -> bool:
    """Whether the index has all of these."""

    def has(some: Mapping[GitOid, Sha256]) -> bool:
        return some.items() <= {**index.known(some, proved=False), **index.known(some, proved=True)}.items()

    return all(map(has, pairs))


def remember_proved(target: Target, pairs: Mapping[GitOid, Sha256]) -> None:
    """Remember what bytes have proved, if the index can be used."""
    if pairs:
        with suppress(StoreError):
            target.index.remember(pairs, proved=True)


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
            _remember_all_claimed(target, go_on, mapper)
        except MirrorError:
            target.refill.failed += 1
            raise


def _remember_all_claimed(target: Target, go_on: Callable[[], None], mapper: Mapper) -> None:
    """Walk every published snapshot once; a damaged one gives nothing and stops nothing (`verify` names it).

    Raises StoreError where the index cannot be used, or the target cannot be read: the next call goes on from there.
    """
    walked = target.refill.walked
    walk = Walk(partial(read_document, target.store), pass_over, mapper, claims=True)
    for repo in (repo for repo in mirrored_repos(target.store) if repo not in walked):
        found: dict[GitOid, Sha256] = {}
        for node in walk.repo(repo, _refs(target, repo)):
            go_on()
            if node.file is not None and node.file.pointer_size is None:
                found[node.file.oid] = node.file.sha256
            if len(found) >= _BATCH:
                target.index.remember(found, proved=False)
                found = {}
        target.index.remember(found, proved=False)
        walked.add(repo)
    target.index.mark_complete()
    walked.clear()  # the index may be lost, and is filled from the first repo on then


def _refs(target: Target, repo: Repo) -> Refs:
    try:
        return read_refs(target.store, repo)
    except DocumentError:
        return Refs()


def present(
    target: Target, contents: Collection[Content], go_on: Callable[[], None], mapper: Mapper = map
) -> dict[Content, Sha256]:
    """Those of these contents whose digest is known and whose blob is really there, in the promised size.

    A blob whose git id is only claimed by a listing is read, once: it proves the listing, or the file is fetched.
    """
    by_oid = [content.promise for content in contents if isinstance(content.promise, GitOid)]
    proved, claimed = known_digests(target, by_oid, go_on, mapper) if by_oid else Pairs({}, {})
    by_git = {**claimed, **proved}
    named = {content: digest for content in contents if (digest := _digest_of(content.promise, by_git))}
    proved_now: dict[GitOid, Sha256] = {}

    def is_there(content: Content) -> bool:
        go_on()
        oid, digest = content.promise, named[content]
        if not isinstance(oid, GitOid) or oid in proved:
            return holds(target, digest, content.size)
        if not _proves(target, digest, (oid, content.size), go_on):
            return False
        proved_now[oid] = digest
        return True

    try:
        listed = _listed(target.store, len(named))
        asked = [one for one, digest in named.items() if listed is None or blob_key(digest) in listed]
        there = _mapped(mapper, is_there, asked)
        return {content: named[content] for content, found in zip(asked, there, strict=True) if found}
    finally:
        remember_proved(target, proved_now)


def _listed(store: Store, asked: int) -> Collection[str] | None:
    """The keys of all blobs, where these are fewer than are asked for: most likely the target is new. None: not known.

    That one is not listed is enough to fetch it, as a list that lags costs no more; that it is, is no proof.
    """
    if asked < _WORTH_A_LIST:
        return None
    with suppress(StoreError):
        keys = frozenset(stat.key for stat in islice(store.list(BLOBS), asked))
        return keys if len(keys) < asked else None
    return None


def _mapped(mapper: Mapper, call: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """As `mapper(call, items)`; where there are many, several in a row: to hand one over costs more than a stat."""
    size = max(1, len(items) // _HANDED_OVER)
    rows = [items[start : start + size] for start in range(0, len(items), size)]
    for found in mapper(lambda row: [call(one) for one in row], rows):
        yield from found


def _digest_of(promise: Promise, by_git: Mapping[GitOid, Sha256]) -> Sha256 | None:
    return by_git.get(promise) if isinstance(promise, GitOid) else promise


def holds(target: Target, digest: Sha256, size: int) -> bool:
    """Whether a blob of that many bytes is in the target now."""
    stat = target.store.stat(blob_key(digest))
    return stat is not None and stat.size == size


def _proves(target: Target, digest: Sha256, promised: tuple[GitOid, int], go_on: Callable[[], None]) -> bool:
    """Whether a blob is of this digest and of that git id and size, by its bytes. A blob that cannot be read is not."""
    oid, left = promised
    content, chunk = ContentHash(left, oid), memoryview(bytearray(min(left + 1, _READ)))
    try:
        with target.store.read(blob_key(digest)) as stream:
            while left >= 0 and (got := stream.readinto(chunk)):
                go_on()
                content.update(chunk[:got])
                left -= got
    except StoreError as error:
        if error.retryable:
            raise
        return False
    return left == 0 and content.kept and content.sha256 == digest


def expect_kept(store: Store, sizes: Iterable[tuple[Sha256, int]], mapper: Mapper = map) -> None:
    """Return when blobs that were put are there, of these bytes: one stat each, none where the store needs none.

    StoreUnavailable where one is not: the server said that it had it.
    """
    if not store.confirm:
        return
    first, lost, checked, blobs = "", 0, 0, iter(sizes)
    while some := [*islice(blobs, _STATS_AT_ONCE)]:
        keys = [blob_key(digest) for digest, _ in some]
        for key, (_, size), stat in zip(keys, some, _mapped(mapper, store.stat, keys), strict=True):
            if stat is None or stat.size != size:
                found = "is not there" if stat is None else f"has {stat.size} bytes"
                first = first or f"{key} of {size} bytes {found}"
                lost += 1
        checked += len(some)
    if lost:
        raise StoreUnavailable(
            f"the target confirmed what it did not keep: {first} ({lost} of {checked} objects); nothing was published"
        )
