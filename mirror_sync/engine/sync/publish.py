"""Publishes a snapshot: documents from the leaves to the root, then refs.json.

Readers see the old snapshot or the new one, whole: a commit exists for them when refs.json names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import chain

from mirror_sync.domain.content.assurance import Assurance, CodeCount, assured
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import (
    FULL_SIBLINGS,
    Attachment,
    Document,
    Root,
    Shard,
    info_pieces,
    joined,
)
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.formats.class_list import CLASSES, ClassList
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import Edit
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.known_contents import expect_kept
from mirror_sync.engine.published import Mapper, Stamp, change_refs, only_from, read_listing, read_refs
from mirror_sync.engine.published_names import write_aliases
from mirror_sync.engine.stages import Change
from mirror_sync.engine.sync.published_view import PublishedView, RootFacts
from mirror_sync.errors import BadAnswer, DocumentError, PruneConflict, StoreError, StoreUnavailable
from mirror_sync.ports.store import MAX_DOCUMENT, MAX_TREE, Store, read_document

_AT_ONCE = 16  # documents that are held and put at once
_HELD = 1024 * 1024  # bytes of an info document that is made once


def write_documents(change: Change, mapper: Mapper = map) -> Change:
    """Write the documents that the root of a snapshot will name, but no attachment. Of a commit
    that is published some are there already.

    Each shard is written when it is whole, and forgotten. Raises StoreError, UnsafePath, and BadAnswer where the
    upstream's words cannot be written down: then a root that names what was written is never made.
    """
    try:
        info = _Info(change)
        commits = Document.of_json([commit.encode() for commit in change.history])
        root = _root(change, info.digest, commits.digest)
        _encoded(root)
        writer = _Writer(change, mapper)
        shards, code = list[Shard](), CodeCount()
        for path in change.listing.listed():
            code.add(path)
        for shard, document in change.listing.shards():
            shards.append(shard)
            if document is not None:
                writer.add(document)
        root = replace(root, shards=tuple(shards))
        _encoded(root)
    except DocumentError as error:
        raise BadAnswer(f"{change.resolved.queried}: what the upstream says of it {error}") from error
    writer.add(commits)
    put = {**change.put, **writer.end(), **info.put(writer.known)}
    return replace(change, written=root, put=put, code=code)


def write_root(change: Change, mapper: Mapper = map) -> Sha256:
    """Write the attachments, and last the root; return its digest, when all that was put for it is really there.

    Raises StoreError, DocumentError. Nothing is visible to a reader before `publish_refs`. A snapshot that is there
    already is left as it is.
    """
    if change.root is not None:
        return change.root
    root = change.written
    assert root is not None  # noqa: S101  for the type checker: `write_documents` comes before
    attached = {name: document.digest for name, document in change.attachments.items()}
    top = _encoded(replace(root, attachments={**root.attachments, **attached}))
    put = {**change.put, **put_all(change.store, change.attachments.values(), mapper)}
    put |= put_all(change.store, [top])  # last: a root never names what is not there
    expect_kept(change.store, chain(change.listing.put(), put.items()), mapper)
    return top.digest


def blobs_of(change: Change, root: Sha256) -> Iterator[Sha256]:
    """What the root names, itself first, and no published snapshot is known to; digests may come twice."""
    attached = (document.digest for document in change.attachments.values())
    return chain((root,), attached, change.put, change.listing.unreferenced())


def assurance_of(change: Change, at: str | None) -> Assurance:
    """Of a change that was published at this time, in ISO 8601. What cannot be read now is not known."""
    if change.root is not None:
        return _of_snapshot(change)
    named = change.attachments
    classes = b"".join(named[CLASSES].pieces()) if CLASSES in named else None
    code = change.code if classes is None else CodeCount.of(ClassList.decode(classes))
    return assured(named, at, code)


def _of_snapshot(change: Change) -> Assurance:
    """Of one that an earlier run has made, to which another name leads now."""
    if change.relies_on is None:
        return Assurance()
    root = change.relies_on.root
    try:
        if CLASSES in root.attachments:
            body = read_document(change.store, root.attachments[CLASSES], MAX_DOCUMENT)
            return assured(root.attachments, None, CodeCount.of(ClassList.decode(body)))
        count = CodeCount()
        for entry in read_listing(change.store, root):
            count.add(entry.path)
        return assured(root.attachments, None, count)
    except (StoreError, DocumentError):
        return assured(root.attachments, None, None)


def publish_refs(context: RunContext, target: Target, view: PublishedView, change: Change, root: Sha256) -> Refs:
    """Move the ref of a change onto its snapshot, of this root, with one PUT, and return what stands there then.

    What was put is remembered in `view`, and other names of the repo lead to it. Raises PruneConflict when the snapshot
    that the new one shares blobs with is no longer published, and when the repo was taken down meanwhile.
    """
    task, resolved, base = change.task, change.resolved, change.relies_on
    stamp, new_name = stamp_of(context, task.job), None
    if resolved.renamed and not view.refs(resolved.canonical).is_known:
        new_name = resolved.canonical  # of a repo that stays published under its old one, and nobody's here

    def naming(refs: Refs) -> Refs:
        if refs.tombstone is not None:
            raise PruneConflict(task.repo)
        if base is not None and base.digest not in refs.snapshots.values():
            raise PruneConflict(task.repo)
        from_fallback = resolved.fallback is not None
        return refs.with_snapshot(resolved.commit, root, change.ref, from_fallback=from_fallback).logged(refs, *stamp)

    refs = change_refs(target, task.repo, naming)
    assert refs is not None  # noqa: S101  for the type checker: `naming` raises, or names it
    of = change.files, change.size, context.clock(), change.assurance
    facts = RootFacts(task.job.selection, *of, resolved.provenance or "")
    view.learn(task.repo, resolved.commit if refs.pins(task.revision) else task.revision, refs, facts)
    write_aliases(target, task, new_name)
    return refs


def stamp_of(context: RunContext, job: Job) -> Stamp:
    """What the log of a refs.json says of a change that a sync of this job makes now."""
    return context.now(), f"sync {job.name}"


def amend_refs(
    target: Target,
    repo: Repo,
    edit: Edit,
    stamp: Stamp,
    withdrawing: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> bool:
    """Make an edit that publishes nothing, and one that leaves nothing published inside of `withdrawing`.

    Returns whether refs.json says by now what the edit wants. Where it has changed otherwise since the edit was
    decided, it is left for the next run to decide again. StoreUnavailable where it changes inside of `withdrawing`,
    which may take long: so whoever records the act learns that it was not done.
    """
    current = read_refs(target.store, repo)
    if current != edit.before:
        return edit.is_made_in(current)
    with withdrawing() if edit.withdraws else nullcontext():
        expect_kept(target.store, put_all(target.store, edit.documents).items())
        put = change_refs(target, repo, only_from(edit.before, edit.after.logged(edit.before, *stamp)))
        if edit.withdraws and put is None:
            raise StoreUnavailable(f"{repo} was changed by somebody else meanwhile; the next run decides again")
    return put is not None


def put_all(store: Store, documents: Collection[Attachment], mapper: Mapper = map) -> Mapping[Sha256, int]:
    """Put them, large ones by parts. Returns how many bytes each has."""

    def put(one: Attachment) -> None:
        key = blob_key(one.digest)
        if isinstance(one, Document):
            store.put(key, one.body, one.digest)
        elif one.size <= store.part_size:
            store.put(key, b"".join(one.pieces()), one.digest)
        else:
            _upload(store, key, one.size, one.pieces())

    distinct = {document.digest: document for document in documents}
    list(mapper(put, distinct.values()))
    return {digest: document.size for digest, document in distinct.items()}


def _upload(store: Store, key: str, size: int, pieces: Iterator[bytes]) -> None:
    """Put a document in parts, as it comes."""
    with store.begin(key, size) as upload:
        number, body = 0, bytearray()
        for piece in pieces:
            body += piece
            while len(body) > upload.part_size:
                upload.put(number, body[: upload.part_size])
                del body[: upload.part_size]
                number += 1
        upload.put(number, body)
        upload.complete()


def _encoded(root: Root) -> Document:
    top = root.encode()
    if len(top.body) > MAX_TREE:
        raise DocumentError(f"makes a root of {len(top.body):,} bytes: {len(root.shards):,} shards are too many")
    return top


def _root(change: Change, info: Sha256, commits: Sha256) -> Root:
    """Without its shards. Nothing in it is ours but what the upstream said: it answers for it."""
    return Root(
        repo=str(change.resolved.queried),
        commit=change.resolved.commit,
        last=change.history[0].as_last,
        info=info,
        commits=commits,
        selection=change.task.job.selection,
        verdicts=change.judgement.verdicts,
        files=change.listing.count,
        size=change.listing.size,
        shards=(),
        left=change.left,
    )


class _Writer:
    """Puts documents, some at a time, but for those that the base has."""

    def __init__(self, change: Change, mapper: Mapper) -> None:
        self.known = frozenset[Sha256]() if change.relies_on is None else frozenset(change.relies_on.root.documents)
        self._store, self._mapper = change.store, mapper
        self._waiting: dict[Sha256, Document] = {}
        self._put: dict[Sha256, int] = {}

    def add(self, document: Document) -> None:
        """Put it now or later."""
        if document.digest not in self.known:
            self._waiting[document.digest] = document
        if len(self._waiting) >= _AT_ONCE:
            self.end()

    def end(self) -> Mapping[Sha256, int]:
        """Put what waits; returns how many bytes each has that was put."""
        waiting, self._waiting = self._waiting, {}
        self._put |= put_all(self._store, waiting.values(), self._mapper)
        return self._put


class _Info:
    """The Hub's answer to `/api/{kind}s/{id}/revision/{commit}`, with the files that are mirrored.

    It is made twice where it is large: its digest is its name, and all of it at once is too much for memory.
    """

    def __init__(self, change: Change) -> None:
        self._change = change
        self._body: bytes | None = b""
        proved, self._size = hashlib.sha256(), 0
        for piece in self._pieces():
            proved.update(piece)
            self._size += len(piece)
            if self._body is not None:
                self._body = self._body + piece if self._size <= _HELD else None
        self.digest = Sha256(proved.hexdigest())

    def _pieces(self) -> Iterator[bytes]:
        resolved, listing = self._change.resolved, self._change.listing
        described = {**resolved.described, "id": resolved.queried.id, "sha": resolved.commit}
        if listing.count > FULL_SIBLINGS:
            return info_pieces(described, listing.names())
        return info_pieces(described, joined(entry.sibling for entry in listing.by_path()))

    def put(self, known: Collection[Sha256]) -> Mapping[Sha256, int]:
        """Put it, unless it is known; returns its size in bytes."""
        if self.digest in known:
            return {}
        store, key = self._change.store, blob_key(self.digest)
        if self._body is not None:
            store.put(key, self._body, self.digest)
        elif self._size <= store.part_size:
            store.put(key, b"".join(self._pieces()), self.digest)
        else:
            _upload(store, key, self._size, self._pieces())
        return {self.digest: self._size}
