"""Which contents a target holds already, whoever published them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.keys import blob_key
from mirror_sync.domain.manifest import Content, RemoteFile
from mirror_sync.engine.index import known
from mirror_sync.engine.published import Mapper
from mirror_sync.engine.site import Target
from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports import Store


def present(
    target: Target, files: Sequence[RemoteFile], go_on: Callable[[], None], mapper: Mapper = map
) -> dict[Content, Sha256]:
    """Those of these contents whose digest is known and whose blob is really there, in the promised size."""
    by_oid = [file.oid for file in files if file.sha256 is None]
    digests = known(target, by_oid, go_on, mapper) if by_oid else {}
    named = {file.content: digest for file in files if (digest := file.sha256 or digests.get(file.oid))}

    def is_there(content: Content) -> bool:
        go_on()
        return holds(target, named[content], content.size)

    return {content: named[content] for content, there in zip(named, mapper(is_there, named), strict=True) if there}


def holds(target: Target, digest: Sha256, size: int) -> bool:
    """Whether a blob of that many bytes is in the target now."""
    stat = target.store.stat(blob_key(digest))
    return stat is not None and stat.size == size


def expect_kept(store: Store, sizes: Mapping[Sha256, int], mapper: Mapper = map) -> None:
    """Return when blobs that were put are there, of these bytes: one look each, none where the store needs none.

    StoreUnavailable where one is not: the server said that it had it.
    """
    if not store.confirm:
        return
    keys = [blob_key(digest) for digest in sizes]
    lost = []
    for key, size, stat in zip(keys, sizes.values(), mapper(store.stat, keys), strict=True):
        if stat is None or stat.size != size:
            found = "is not there" if stat is None else f"has {stat.size} bytes"
            lost.append(f"{key} of {size} bytes {found}")
    if lost:
        raise StoreUnavailable(
            f"the target confirmed what it did not keep: {lost[0]} ({len(lost)} of {len(keys)} objects); "
            "nothing was published"
        )
