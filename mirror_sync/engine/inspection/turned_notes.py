"""What a rescan has found in what is published of a repo, as its refs.json names it: so that all machines hold by it.

The attachment `turned`: {"format": 1, "files": [["model.pt", "<64 hex>", "picklescan", "dangerous", "why", "<when>"]]}.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple

from mirror_sync.domain.bounds import text
from mirror_sync.domain.content.document_format import few
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Document
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.formats.class_list import exact
from mirror_sync.domain.policy.scan_policy import ScanResult
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import Edit
from mirror_sync.engine.context import Target
from mirror_sync.engine.inspection.inspection_memory import InspectionMemory, TurnedFile
from mirror_sync.engine.published import Stamp, read_refs
from mirror_sync.engine.stages import Change
from mirror_sync.engine.sync.publish import amend_refs
from mirror_sync.errors import DocumentError, KeyMissing, StoreError, StoreUnavailable
from mirror_sync.ports.store import MAX_DOCUMENT, Store, read_document

TURNED = "turned"  # the name of the attachment
_FORMAT = 1
_MOST = 10_000  # files of a repo that are noted
_TRIES = 5  # while others change the refs.json, too


def turned_files(change: Change) -> tuple[TurnedFile, ...]:
    """What rescans have found in what is published of the repo, on any machine; on this one also by programs before.

    Raises StoreError, and DocumentError for what is noted and cannot be read: it is not nothing.
    """
    known = InspectionMemory(change.read_cache).turned(change.task.repo)
    digest = change.refs.attachments.get(TURNED)
    if digest is None:
        return known
    return tuple(dict.fromkeys((*_noted(change, digest), *known)))


def note_turned(target: Target, repo: Repo, files: Sequence[TurnedFile], stamp: Stamp, *, more: bool) -> None:
    """Let refs.json name what was found, in the place of what was noted before, or, with `more`, beside it.

    The caller holds the repo's lock. StoreUnavailable where other machines change it all the time, StoreError.
    """
    for _ in range(_TRIES):
        refs = read_refs(target.store, repo)
        known = (
            decode_turned(_read(target.store, refs.attachments[TURNED])) if more and TURNED in refs.attachments else ()
        )
        wanted = tuple(dict.fromkeys((*known, *files)))[:_MOST]
        document = Document.of(encode_turned(wanted)) if wanted else None
        if refs.attachments.get(TURNED) == (None if document is None else document.digest):
            return
        amend_refs(target, repo, _edit(refs, document), stamp)
    raise StoreUnavailable(
        f"what was found in {repo} could not be noted: other machines change its refs.json; scan again"
    )


def encode_turned(files: Sequence[TurnedFile]) -> bytes:
    """The document."""
    rows = [astuple(one) for one in files]
    return json.dumps({"format": _FORMAT, "files": rows}, ensure_ascii=True, separators=(",", ":")).encode()


def decode_turned(body: bytes) -> tuple[TurnedFile, ...]:
    """DocumentError for what is no such document."""
    try:
        document = json.loads(body)
        exact(document["format"], _FORMAT)
        return tuple(_file(*map(text, row)) for row in few(document["files"], _MOST))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"not a document of what a rescan has found: {error!r:.200}") from error


def _file(path: str, digest: str, scanner: str, result: str, why: str, at: str) -> TurnedFile:
    return TurnedFile(path, Sha256(digest), scanner, ScanResult(result), why, at)


def _edit(refs: Refs, document: Document | None) -> Edit:
    kept = {name: digest for name, digest in refs.attachments.items() if name != TURNED}
    if document is None:
        return Edit(refs, refs.attaching(kept))
    return Edit(refs, refs.attaching({**kept, TURNED: document.digest}), (document,))


def _noted(change: Change, digest: Sha256) -> tuple[TurnedFile, ...]:
    name = f"{refs_key(change.task.repo)}#{TURNED}"
    with suppress(StoreError, DocumentError):
        known = change.read_cache.recall(name, digest)
        if known is not None:
            return decode_turned(known)
    body = _read(change.store, digest)
    found = decode_turned(body)
    with suppress(StoreError):
        change.read_cache.remember(name, digest, body)
    return found


def _read(store: Store, digest: Sha256) -> bytes:
    try:
        return read_document(store, digest, MAX_DOCUMENT)
    except KeyMissing:
        raise DocumentError("what a rescan has found is noted, and the note is gone: mirror-sync rescan") from None
