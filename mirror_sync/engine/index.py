"""Rebuilds the index of a target's contents from what the target publishes, when the local copy was lost."""

from __future__ import annotations

from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.manifest import Manifest
from mirror_sync.engine.published import Mapper, mirrored_repos, read_manifest, read_refs, read_root
from mirror_sync.engine.site import Target
from mirror_sync.errors import DocumentError, KeyMissing


def learn_everything(target: Target, mapper: Mapper = map) -> None:
    """Walk every published snapshot once; a damaged one teaches nothing and stops nothing (`verify` names it)."""
    for repo in mirrored_repos(target.store):
        for digest in set(read_refs(target.store, repo).snapshots.values()):
            try:
                manifest = read_manifest(target.store, read_root(target.store, digest), mapper)
            except (KeyMissing, DocumentError):
                continue
            target.index.learn(git_oids(manifest))
    target.index.mark_complete()


def git_oids(manifest: Manifest) -> dict[GitOid, Sha256]:
    """What is known by git id; LFS files are known by SHA-256 already."""
    return {file.oid: file.sha256 for file in manifest.values() if file.pointer_size is None}
