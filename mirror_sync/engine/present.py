"""Which contents a target holds already, whoever published them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.keys import blob_key
from mirror_sync.domain.manifest import Content, RemoteFile
from mirror_sync.engine.index import known
from mirror_sync.engine.published import Mapper
from mirror_sync.engine.site import Target


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
