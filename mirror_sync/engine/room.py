"""Whether a target has room for what is about to be fetched, asked before the first byte."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from mirror_sync.domain.keys import blob_key
from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.engine.site import Target
from mirror_sync.errors import StoreError, StoreFull

_SPARE = 20  # one part in so many more: documents, and what a file system needs for itself


def expect_room(target: Target, files: Iterable[RemoteFile]) -> None:
    """StoreFull, naming both figures, when the files and 5 % are more than a target has free; a bucket never says.

    A file whose upload was begun has its space already, so it does not count.
    """
    free = target.store.free()
    if free is None:
        return
    size = sum(file.size for file in files if not _has_begun(target, file))
    needed = size + size // _SPARE
    if needed > free:
        raise StoreFull(f"target {target.name} has {free:,} bytes free, {needed:,} are needed")


def _has_begun(target: Target, file: RemoteFile) -> bool:
    """False also where the notes cannot be read: then the upload will start anew."""
    if file.sha256 is None or file.size <= target.store.part_size:
        return False
    with suppress(StoreError):
        return target.notes.load(blob_key(file.sha256)) is not None
    return False
