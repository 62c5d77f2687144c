"""Publishes a snapshot: documents from the leaves to the root, then refs.json.

Readers see the old snapshot or the new one, whole: a commit exists for them when refs.json names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import Manifest
from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.selection import LeftOut, Selection
from mirror_sync.domain.content.snapshot import Document, Root, cut_shards, siblings
from mirror_sync.domain.content.upstream import Commit, Resolved
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.policy.rules import Verdict
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.decision import Edit
from mirror_sync.engine.published import Mapper, put_refs, read_refs
from mirror_sync.engine.sync.beside_prune import PrunedMeanwhile
from mirror_sync.engine.sync.present import expect_kept
from mirror_sync.errors import BadAnswer, DocumentError
from mirror_sync.ports.store import MAX_TREE, Store


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a snapshot's documents are made of."""

    resolved: Resolved
    manifest: Manifest
    history: Sequence[Commit]
    selection: Selection
    verdict: Verdict
    left: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class There:
    """What a target holds of a new snapshot: `known` documents since before, `brought` blobs, with their bytes, since
    a moment ago.
    """

    known: frozenset[Sha256]
    brought: Mapping[Sha256, int]


def publish_documents(store: Store, snapshot: Snapshot, there: There, mapper: Mapper = map) -> Sha256:
    """Write the documents of a snapshot and return the digest of its root, when all that was put is really there.

    Raises StoreError, UnsafePath, and BadAnswer where the upstream's words cannot be written down; nothing is visible
    to a reader before `publish_refs`.
    """
    top, documents = _written(snapshot)
    missing = {document.digest: document for document in documents if document.digest not in there.known}
    list(mapper(lambda document: _put(store, document), missing.values()))
    _put(store, top)  # last: a root never names what is not there
    written = {document.digest: len(document.body) for document in (*missing.values(), top)}
    expect_kept(store, {**there.brought, **written}, mapper)
    return top.digest


def publish_refs(
    store: Store, repo: Repo, snapshot: tuple[Resolved, Sha256], ref: Ref | None, relies_on: Sha256 | None = None
) -> Refs:
    """Move a ref onto a snapshot with one PUT, and return what stands there now. The caller holds the repo's lock.

    Raises Swept when `relies_on`, the root of a snapshot that the new one shares blobs with, is no longer published.
    """
    resolved, root = snapshot
    refs = read_refs(store, repo)
    if relies_on is not None and relies_on not in refs.snapshots.values():
        raise PrunedMeanwhile(repo, ())
    after = refs.with_snapshot(resolved.commit, root, ref)
    put_refs(store, repo, after)
    return after


def amend_refs(store: Store, repo: Repo, edit: Edit | None) -> None:
    """Make an edit that publishes nothing. The caller holds the repo's lock.

    Where refs.json has changed since the edit was decided, it is left for the next run to decide again.
    """
    if edit is not None and read_refs(store, repo) == edit.before:
        put_refs(store, repo, edit.after)


def _put(store: Store, document: Document) -> None:
    store.put(blob_key(document.digest), document.body, document.digest)


def _written(snapshot: Snapshot) -> tuple[Document, list[Document]]:
    """The root, and all others. Nothing in them is ours but what the upstream said: it answers for it."""
    try:
        root, documents = _documents(snapshot)
        return _encoded(root), documents
    except DocumentError as error:
        raise BadAnswer(f"{snapshot.resolved.asked}: what the upstream says of it {error}") from error


def _encoded(root: Root) -> Document:
    top = root.encode()
    if len(top.body) > MAX_TREE:
        raise DocumentError(f"makes a root of {len(top.body):,} bytes: {len(root.shards):,} shards are too many")
    return top


def _documents(snapshot: Snapshot) -> tuple[Root, list[Document]]:
    shards = list(cut_shards(snapshot.manifest))
    info = Document.of_json(_info(snapshot))
    commits = Document.of_json([commit.encode() for commit in snapshot.history])
    root = Root(
        repo=str(snapshot.resolved.asked),
        commit=snapshot.resolved.commit,
        last=snapshot.history[0].as_last,
        info=info.digest,
        commits=commits.digest,
        selection=snapshot.selection,
        verdict=snapshot.verdict,
        files=len(snapshot.manifest),
        size=sum(file.size for file in snapshot.manifest.values()),
        shards=tuple(shard for shard, _ in shards),
        left=snapshot.left,
    )
    return root, [*(document for _, document in shards), info, commits]


def _info(snapshot: Snapshot) -> dict[str, Any]:
    """The Hub's answer to `/api/{kind}s/{id}/revision/{commit}`, with the files that are mirrored."""
    return {
        **snapshot.resolved.described,
        "id": snapshot.resolved.asked.id,
        "sha": snapshot.resolved.commit,
        "siblings": siblings(snapshot.manifest),
    }
