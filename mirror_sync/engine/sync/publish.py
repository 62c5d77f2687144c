"""Publishes a snapshot: documents from the leaves to the root, then refs.json.

Readers see the old snapshot or the new one, whole: a commit exists for them when refs.json names it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.snapshot import Document, Root, cut_shards, siblings
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.decision import Edit
from mirror_sync.engine.published import Mapper, Stamp, put_refs, read_refs
from mirror_sync.engine.stages import Change
from mirror_sync.engine.sync.beside_prune import PrunedMeanwhile
from mirror_sync.engine.sync.present import expect_kept
from mirror_sync.errors import BadAnswer, DocumentError
from mirror_sync.ports.store import MAX_TREE, Store


def write_documents(change: Change, mapper: Mapper = map) -> Change:
    """Write the documents that the root of a snapshot will name, but no attachment. A published one has some already.

    Raises StoreError, UnsafePath, and BadAnswer where the upstream's words cannot be written down: then nothing was.
    """
    try:
        root, documents = _documents(change)
        _encoded(root)
    except DocumentError as error:
        raise BadAnswer(f"{change.resolved.asked}: what the upstream says of it {error}") from error
    known = frozenset[Sha256]() if change.relies_on is None else frozenset(change.relies_on.root.documents)
    missing = [document for document in documents if document.digest not in known]
    return replace(change, written=root, put={**change.put, **_put_all(change.store, missing, mapper)})


def write_root(change: Change, mapper: Mapper = map) -> Sha256:
    """Write the attachments, and last the root; return its digest, when all that was put for it is really there.

    Raises StoreError, DocumentError. Nothing is visible to a reader before `publish_refs`. A snapshot that is there
    already is left as it is.
    """
    if change.root is not None:
        return change.root
    root = change.written
    assert root is not None  # noqa: S101  for the type checker: `document` comes before
    attached = {name: document.digest for name, document in change.attachments.items()}
    top = _encoded(replace(root, attachments={**root.attachments, **attached}))
    put = {**change.put, **_put_all(change.store, change.attachments.values(), mapper)}
    put |= _put_all(change.store, [top])  # last: a root never names what is not there
    expect_kept(change.store, put, mapper)
    return top.digest


def publish_refs(
    store: Store,
    repo: Repo,
    snapshot: tuple[CommitId, Sha256],
    ref: Ref | None,
    stamp: Stamp,
    relies_on: Sha256 | None = None,
) -> Refs:
    """Move a ref onto a snapshot with one PUT, and return what stands there now. The caller holds the repo's lock.

    Raises PrunedMeanwhile when `relies_on`, the root of a snapshot that the new one shares blobs with, is no longer
    published, and when the repo was taken down meanwhile.
    """
    commit, root = snapshot
    refs = read_refs(store, repo)
    if refs.tombstone is not None:
        raise PrunedMeanwhile(repo, ())
    if relies_on is not None and relies_on not in refs.snapshots.values():
        raise PrunedMeanwhile(repo, ())
    after = refs.with_snapshot(commit, root, ref).logged(refs, *stamp)
    put_refs(store, repo, after)
    return after


def amend_refs(store: Store, repo: Repo, edit: Edit | None, stamp: Stamp) -> None:
    """Make an edit that publishes nothing. The caller holds the repo's lock.

    Where refs.json has changed since the edit was decided, it is left for the next run to decide again.
    """
    if edit is not None and read_refs(store, repo) == edit.before:
        put_refs(store, repo, edit.after.logged(edit.before, *stamp))


def _put_all(store: Store, documents: Collection[Document], mapper: Mapper = map) -> Mapping[Sha256, int]:
    """Returns how many bytes each has."""

    def put(one: Document) -> None:
        store.put(blob_key(one.digest), one.body, one.digest)

    distinct = {document.digest: document for document in documents}
    list(mapper(put, distinct.values()))
    return {digest: len(document.body) for digest, document in distinct.items()}


def _encoded(root: Root) -> Document:
    top = root.encode()
    if len(top.body) > MAX_TREE:
        raise DocumentError(f"makes a root of {len(top.body):,} bytes: {len(root.shards):,} shards are too many")
    return top


def _documents(change: Change) -> tuple[Root, list[Document]]:
    """The root, and all others. Nothing in them is ours but what the upstream said: it answers for it."""
    shards = list(cut_shards(change.manifest))
    info = Document.of_json(_info(change))
    commits = Document.of_json([commit.encode() for commit in change.history])
    root = Root(
        repo=str(change.resolved.asked),
        commit=change.resolved.commit,
        last=change.history[0].as_last,
        info=info.digest,
        commits=commits.digest,
        selection=change.task.job.selection,
        verdicts=change.judgement.verdicts,
        files=len(change.manifest),
        size=sum(file.size for file in change.manifest.values()),
        shards=tuple(shard for shard, _ in shards),
        left=change.left,
    )
    return root, [*(document for _, document in shards), info, commits]


def _info(change: Change) -> dict[str, Any]:
    """The Hub's answer to `/api/{kind}s/{id}/revision/{commit}`, with the files that are mirrored."""
    return {
        **change.resolved.described,
        "id": change.resolved.asked.id,
        "sha": change.resolved.commit,
        "siblings": siblings(change.manifest),
    }
