"""What a run knows of a snapshot that it has published, without a look at the target where it made it itself."""

from __future__ import annotations

from mirror_sync.domain.content.assurance import Assurance, CodeCount, assured
from mirror_sync.domain.formats.class_list import CLASSES, ClassList
from mirror_sync.engine.published import read_listing
from mirror_sync.engine.stages import Change
from mirror_sync.errors import DocumentError, StoreError
from mirror_sync.ports.store import MAX_DOCUMENT, read_document


def assurance_of(change: Change, at: str | None) -> Assurance:
    """Of a change that was published at this time, in ISO 8601. What cannot be read now is not known."""
    if change.is_there:
        return _of_snapshot(change)
    named = change.attachments
    code = CodeCount.of(ClassList.decode(named[CLASSES].body)) if CLASSES in named else change.code
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
            count.add(entry.file.path)
        return assured(root.attachments, None, count)
    except (StoreError, DocumentError):
        return assured(root.attachments, None, None)
