"""Rebuilds the index of a target's contents from what the target publishes, when the local copy was lost."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.manifest import Manifest, MirroredFile
from mirror_sync.engine.published import Mapper, mirrored_repos, read_document, read_refs
from mirror_sync.engine.site import Target
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import DocumentError, KeyMissing, MirrorError


def learn_everything(target: Target, mapper: Mapper = map) -> None:
    """Walk every published snapshot once; a damaged one teaches nothing and stops nothing (`verify` names it)."""
    walk = Walk(partial(read_document, target.store), _pass_over, mapper)
    for repo in mirrored_repos(target.store):
        nodes = walk.repo(repo, read_refs(target.store, repo))
        target.index.learn(_oids(node.file for node in nodes if node.file is not None))
    target.index.mark_complete()


def git_oids(manifest: Manifest) -> dict[GitOid, Sha256]:
    """What is known by git id; LFS files are known by SHA-256 already."""
    return _oids(manifest.values())


def _oids(files: Iterable[MirroredFile]) -> dict[GitOid, Sha256]:
    return {file.oid: file.sha256 for file in files if file.pointer_size is None}


def _pass_over(_place: Place, _digest: Sha256, error: MirrorError) -> None:
    if not isinstance(error, KeyMissing | DocumentError):
        raise error
