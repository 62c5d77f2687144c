"""The files of a published snapshot, by path: tests have few of them."""

from __future__ import annotations

from mirror_sync.domain.content.manifest import Manifest
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.engine.published import read_listing
from mirror_sync.ports.store import Store


def read_manifest(store: Store, root: Root) -> Manifest:
    """All files of a snapshot."""
    return {entry.path: entry.file for entry in read_listing(store, root)}
