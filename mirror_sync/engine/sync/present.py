"""Which contents a target holds already, whoever published them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import Content
from mirror_sync.domain.digest import ContentHash, GitOid, Promise, Sha256
from mirror_sync.engine.context import Target
from mirror_sync.engine.learn_index import IndexWriter, Pairs, known
from mirror_sync.engine.published import Mapper
from mirror_sync.errors import StoreError, StoreUnavailable
from mirror_sync.ports.store import Store

_LOOKS = 1000  # that wait for their turn at once
_READ = 1024 * 1024  # bytes between two looks at the stop event


def present(
    target: Target, contents: Collection[Content], go_on: Callable[[], None], mapper: Mapper = map
) -> dict[Content, Sha256]:
    """Those of these contents whose digest is known and whose blob is really there, in the promised size.

    A blob that only a listing gives its git id is read, once: it proves the listing, or the file is fetched.
    """
    by_oid = [content.promise for content in contents if isinstance(content.promise, GitOid)]
    proved, told = known(target, by_oid, go_on, mapper) if by_oid else Pairs({}, {})
    by_git = {**told, **proved}
    named = {content: digest for content in contents if (digest := _digest_of(content.promise, by_git))}
    index_writer = IndexWriter(target)

    def is_there(content: Content) -> bool:
        go_on()
        oid, digest = content.promise, named[content]
        if not isinstance(oid, GitOid) or oid in proved:
            return holds(target, digest, content.size)
        shown = _shows(target, digest, (oid, content.size), go_on)
        if shown:
            index_writer.add(oid, digest)
        return shown

    try:
        return {content: named[content] for content, there in zip(named, mapper(is_there, named), strict=True) if there}
    finally:
        index_writer.end()


def _digest_of(promise: Promise, by_git: Mapping[GitOid, Sha256]) -> Sha256 | None:
    return by_git.get(promise) if isinstance(promise, GitOid) else promise


def holds(target: Target, digest: Sha256, size: int) -> bool:
    """Whether a blob of that many bytes is in the target now."""
    stat = target.store.stat(blob_key(digest))
    return stat is not None and stat.size == size


def _shows(target: Target, digest: Sha256, promised: tuple[GitOid, int], go_on: Callable[[], None]) -> bool:
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
    """Return when blobs that were put are there, of these bytes: one look each, none where the store needs none.

    StoreUnavailable where one is not: the server said that it had it.
    """
    if not store.confirm:
        return
    first, lost, looked, blobs = "", 0, 0, iter(sizes)
    while some := [*islice(blobs, _LOOKS)]:
        keys = [blob_key(digest) for digest, _ in some]
        for key, (_, size), stat in zip(keys, some, mapper(store.stat, keys), strict=True):
            if stat is None or stat.size != size:
                found = "is not there" if stat is None else f"has {stat.size} bytes"
                first = first or f"{key} of {size} bytes {found}"
                lost += 1
        looked += len(some)
    if lost:
        raise StoreUnavailable(
            f"the target confirmed what it did not keep: {first} ({lost} of {looked} objects); nothing was published"
        )
