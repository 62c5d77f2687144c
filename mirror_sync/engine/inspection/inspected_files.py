"""The files of a change in the order of its listing, each beside what was found of it before.

Found before is what a published snapshot says of a file with the same path and bytes, and what was remembered of a
commit that was held: neither is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.snapshot import Root, sort_key
from mirror_sync.domain.formats.class_list import CLASSES, ClassList
from mirror_sync.domain.formats.classifier import VERSION
from mirror_sync.domain.formats.file_class import Classified
from mirror_sync.engine.inspection.scan_list import SCANS, ScanList
from mirror_sync.engine.published import read_listing
from mirror_sync.engine.stages import Change
from mirror_sync.errors import DocumentError, KeyMissing
from mirror_sync.ports.store import MAX_DOCUMENT, Store, read_document
from mirror_sync.scratch.file_table import FileTable


@dataclass(slots=True)
class InspectedFile:
    """A file of the snapshot; `found` None until somebody has looked. `published`: the base has it as it is."""

    file: MirroredFile
    found: Classified | None = None
    published: bool = False


@dataclass(frozen=True, slots=True)
class BaseFindings:
    """What the base says of its own files; nothing where it was published before anybody looked."""

    classes: ClassList | None = None
    scans: ScanList = ScanList()


def findings_of_base(change: Change) -> BaseFindings:
    """What is attached to the base. What cannot be read is not believed: then all is looked at again."""
    base = change.relies_on
    if base is None:
        return BaseFindings()
    attached = base.root.attachments
    try:
        body = read_document(change.store, attached[CLASSES], MAX_DOCUMENT)
        classes = ClassList.decode(body)
        scans = ScanList.decode(read_document(change.store, attached[SCANS])) if SCANS in attached else ScanList()
    except (KeyError, KeyMissing, DocumentError):
        return BaseFindings()
    current = classes.classifier == VERSION and classes.files == base.root.files
    return BaseFindings(classes if current else None, scans)


def listing_of(store: Store, root: Root) -> FileTable:
    """All files of a published snapshot, each with its digest; to be closed. KeyMissing, DocumentError."""
    listing = FileTable()
    with ExitStack() as unless_whole:
        unless_whole.callback(listing.close)
        for entry in read_listing(store, root):
            listing.add(entry.file.promised)
        listing.compare(read_listing(store, root))
        unless_whole.pop_all()
    return listing


def inspected(change: Change, before: BaseFindings) -> list[InspectedFile]:
    """The files of a change beside those of its base, both walked once."""
    base = change.relies_on
    known: Iterator[tuple[MirroredFile, Classified | None]] = iter(())
    if base is not None:
        files = [entry.file for entry in read_listing(change.store, base.root)]
        found: Iterable[Classified | None] = [None] * len(files)
        if before.classes is not None:
            found = before.classes.each(file.path for file in files)
        known = zip(files, found, strict=True)
    return list(_joined(change.files_of(), known))


def _joined(
    files: Iterable[MirroredFile], known: Iterator[tuple[MirroredFile, Classified | None]]
) -> Iterator[InspectedFile]:
    there = next(known, None)
    for file in files:
        key = sort_key(file.path)
        while there is not None and sort_key(there[0].path) < key:
            there = next(known, None)
        same = there is not None and (there[0].path, there[0].sha256) == (file.path, file.sha256)
        yield InspectedFile(file, there[1] if same and there is not None else None, published=same)
