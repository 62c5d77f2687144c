"""Values that the tests of the domain are made of."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import Manifest, MirroredFile, RemoteFile
from mirror_sync.domain.content.snapshot import Entry, sort_key
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.errors import UnsafePath


def mirrored(path: str, body: bytes, *, lfs: bool = False) -> MirroredFile:
    return remote(path, body, lfs=lfs).proved(Sha256.of(body))


def remote(path: str, body: bytes, *, lfs: bool = False) -> RemoteFile:
    if not lfs:
        return RemoteFile(path, len(body), GitOid.of_blob(body))
    pointer = b"oid sha256:" + hashlib.sha256(body).hexdigest().encode()
    return RemoteFile(path, len(body), GitOid.of_blob(pointer), Sha256.of(body), len(pointer))


def _is_safe(path: str) -> bool:
    try:
        remote(path, b"")
    except UnsafePath:
        return False
    return True


paths = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=24).filter(_is_safe)
bodies = st.binary(max_size=3)  # short, so that equal contents under different names are common
trees = st.dictionaries(paths, st.tuples(bodies, st.booleans()), max_size=12)


def manifest_of(tree: dict[str, tuple[bytes, bool]]) -> Manifest:
    return {path: mirrored(path, body, lfs=lfs) for path, (body, lfs) in tree.items()}


def listing_of(manifest: Manifest) -> list[Entry]:
    """The entries of a listing: the files, and the folders that they lie in."""
    folders = {str(folder) for path in manifest for folder in PurePosixPath(path).parents} - {"."}
    entries = [Entry.of(file) for file in manifest.values()]
    return sorted([*entries, *(Entry(sort_key(folder), 0, "", "", None) for folder in folders)])


def desired_of(tree: dict[str, tuple[bytes, bool]]) -> list[RemoteFile]:
    return [remote(path, body, lfs=lfs) for path, (body, lfs) in tree.items()]
