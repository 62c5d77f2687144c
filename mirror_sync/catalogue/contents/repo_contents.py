"""What a page shows of a repo's own files: the first of its listing, its card and licence, headers of its weights.

All is bounded: so many files, so many bytes of a text, so many headers. What is found in a header is remembered under
the digest of the file, which is read once, whatever repos and commits name it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

from mirror_sync.domain.catalogue.rows import FILES_SHOWN, ShownFile
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.snapshot import Root, read_shard
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.formats.class_list import CLASSES, ClassList
from mirror_sync.domain.formats.file_class import RUNNING, Classified, FileClass, by_name, may_run
from mirror_sync.domain.formats.ranges import Unclear
from mirror_sync.domain.formats.tensor_headers import TensorFile, is_weights, tensors_of
from mirror_sync.domain.formats.weights import LONGEST_INDEX, ShardIndex, Weights, index_of, is_index, joined
from mirror_sync.errors import BlobFrozen, DocumentError, KeyMissing, StoreError
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.store import MAX_DOCUMENT, Store, read_beginning, read_document

_CARD = "README.md"
_LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "LICENCE.md", "COPYING")
CARD_BYTES = 48 * 1024  # of a card that are shown
_LICENCE_BYTES = 48 * 1024  # of a licence's text that are shown
_LONGEST_TEXT = 4 * 1024 * 1024  # bytes of a file that is read for its beginning
_MOST_HEADERS = 256  # of a repo, whose files of weights are read
_KEPT = 1024 * 1024  # bytes of documents that a thread keeps
_MOST_INDEXES = 16  # of a repo, that say what is in which shard
_HEADER = "2"  # the format of what is remembered of one
_AT_ONCE = threading.BoundedSemaphore(2)  # headers that are in memory: a hostile one takes some 80 MB
Told = TypeVar("Told", TensorFile, ShardIndex)


@dataclass(frozen=True, slots=True)
class ContentFile:
    """A file of a repo whose text its page shows; empty for none."""

    path: str = ""
    sha256: str = ""
    size: int = 0


def document(store: Store, digest: Sha256) -> bytes:
    """A document of a snapshot. DocumentError, StoreError; what is published must be there."""
    try:
        return read_document(store, digest, MAX_DOCUMENT)
    except KeyMissing as error:
        raise DocumentError(f"document {digest} is missing") from error


class RecentDocuments:
    """Documents of snapshots, of which a thread keeps the last few: a page asks for what was asked for its facts.

    Raises StoreError, DocumentError.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._kept = store, threading.local()

    def __call__(self, digest: Sha256) -> bytes:
        kept: dict[Sha256, bytes] = self._kept.__dict__.setdefault("bodies", {})
        if digest not in kept:
            body = document(self._store, digest)
            if len(body) > _KEPT:
                return body
            while kept and sum(map(len, kept.values())) + len(body) > _KEPT:
                del kept[next(iter(kept))]
            kept[digest] = body
        return kept[digest]


class RepoContents:
    """Of one snapshot; what was read of its listing is kept. Raises StoreError, DocumentError."""

    def __init__(self, store: Store, documents: RecentDocuments, read_cache: ReadCache, root: Root) -> None:
        self._store, self._documents, self._read_cache, self._root = store, documents, read_cache, root
        self._shards: dict[int, tuple[MirroredFile, ...]] = {}

    @property
    def card(self) -> ContentFile:
        """Where its card is."""
        return self._text_file((_CARD,))

    @property
    def licence(self) -> ContentFile:
        """Where the text of its licence is."""
        return self._text_file(_LICENCES)

    def weights(self) -> tuple[Weights, ...]:
        """The models among its first files."""
        listed = (file for at in range(len(self._root.shards)) for file in self._shard(at))
        files = [ShownFile(file.path, file.size, file.sha256) for file in islice(listed, FILES_SHOWN)]
        return weights_of(self._store, self._read_cache, files, of=self._root.files)

    def _text_file(self, names: Sequence[str]) -> ContentFile:
        for name in names:
            found = self._shard(self._root.shard_for(name)) if self._root.shards else ()
            for file in found:
                if file.path == name:
                    return ContentFile(file.path, file.sha256, file.size)
        return ContentFile()

    def _shard(self, at: int) -> tuple[MirroredFile, ...]:
        if at not in self._shards:
            found = tuple(read_shard(self._documents(self._root.shards[at].digest)))
            if len(self._shards) > FILES_SHOWN // 100:  # a repo of very many files: no more of it is held
                self._shards.clear()
            self._shards[at] = found
        return self._shards[at]


def weights_of(store: Store, read_cache: ReadCache, files: Iterable[ShownFile], *, of: int) -> tuple[Weights, ...]:
    """The models that files of weights make, by their headers and what is said of shards; the repo has `of` files."""
    shown = list(files)
    named = [file for file in shown if is_weights(file.path)]
    told = [file for file in shown if is_index(file.path)]
    indexes = [(file.path, _index(store, read_cache, file)) for file in told[:_MOST_INDEXES]]
    headers = [(file.path, _header(store, read_cache, file)) for file in named[:_MOST_HEADERS]]
    headers += [(file.path, None) for file in named[_MOST_HEADERS:]]
    return joined(headers, indexes, all_seen=len(shown) >= of)


def _index(store: Store, read_cache: ReadCache, file: ShownFile) -> ShardIndex | None:
    """None for one that is no index, or holds other bytes than it should, too."""

    def read() -> ShardIndex:
        return index_of(read_document(store, Sha256(file.sha256), LONGEST_INDEX))

    return _remembered(read_cache, f"blob:{file.sha256}#shards", ShardIndex.decode, read)


def _header(store: Store, read_cache: ReadCache, file: ShownFile) -> TensorFile | None:
    """None for one that is no header of tensors, too."""

    def read() -> TensorFile:
        return tensors_of(file.path, file.size, partial(_range, store, blob_key(Sha256(file.sha256))))

    return _remembered(read_cache, f"blob:{file.sha256}#tensors", TensorFile.decode, read)


def _remembered(
    read_cache: ReadCache, name: str, decode: Callable[[bytes], Told], read: Callable[[], Told]
) -> Told | None:
    """What a file says, which is read once. None, for now, where it is not there, as a verify tells, or archived."""
    with suppress(StoreError, ValueError, TypeError):
        kept = read_cache.recall(name, _HEADER)
        if kept is not None:
            return decode(kept) if kept else None
    try:
        with _AT_ONCE:
            found = read()
    except Unclear:
        found = None
    except (KeyMissing, BlobFrozen, DocumentError):
        return None
    with suppress(StoreError):
        read_cache.remember(name, _HEADER, b"" if found is None else found.encode())
    return found


def _range(store: Store, key: str, start: int, length: int) -> bytes:
    body, at = bytearray(length), 0
    with store.read(key, start, start + length) as stream, memoryview(body) as view:
        while at < length and (count := stream.readinto(view[at:])):
            at += count
    return bytes(body[:at])


def text_of(store: Store, file: ContentFile, most: int) -> tuple[str, bool]:
    """The beginning of a file as text, cut after a whole line, and whether that is all; the file is proved whole.

    What holds a NUL is no text; what is very large, or archived, is not read. DocumentError where other bytes lie
    there, or none.
    """
    if not file.path or not 0 < file.size <= _LONGEST_TEXT:
        return "", True
    try:
        body = read_beginning(store, Sha256(file.sha256), most)
    except KeyMissing as error:
        raise DocumentError(f"{file.path} is missing") from error
    except BlobFrozen:
        return "", True
    if b"\0" in body:
        return "", True
    whole = file.size <= most
    text = body.decode(errors="replace")
    return (text if whole else text[: text.rfind("\n") + 1 or len(text)]), whole


def card_of(store: Store, file: ContentFile) -> tuple[str, bool]:
    """A card's words without its metadata, and whether these are all."""
    text, whole = text_of(store, file, CARD_BYTES)
    return _without_front_matter(text).strip("\n"), whole


def _without_front_matter(text: str) -> str:
    """The words of a card after its metadata."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return text
    end = text.find("\n---", 3)
    return "" if end < 0 else text[text.find("\n", end + 1) + 1 or len(text) :]


def licence_of(store: Store, file: ContentFile) -> tuple[str, bool]:
    """The text of a licence, and whether that is all of it."""
    return text_of(store, file, _LICENCE_BYTES)


def first_files(
    documents: Callable[[Sha256], bytes], listings: tuple[str, ...], classes: str = ""
) -> tuple[tuple[ShownFile, ...], tuple[tuple[str, int], ...]]:
    """As many files of a snapshot as a page shows; no more shards are read than that takes. Raises what Gather does.

    Beside them how many files run code, by class: of the whole snapshot, as the document of `classes` says; where
    there is none, of those that are shown, by their names.
    """
    known = ClassList.decode(documents(Sha256(classes))) if classes else None
    named = None if known is None else known.named
    shown = tuple(
        ShownFile(_fit(file.path), file.size, file.sha256, _runs(file.path, named))
        for file in islice(_listed(documents, listings), FILES_SHOWN)
    )
    if known is None:
        counts = Counter(file.runs for file in shown)
    else:
        counts = Counter({of: share.files for of, share in known.shares.items()})
    return shown, tuple((of.value, counts[of]) for of in RUNNING if counts[of])


def classes_of(root: Root) -> str:
    """The digest of what an inspection found; empty where nobody looked."""
    return root.attachments.get(CLASSES, "")


def _listed(documents: Callable[[Sha256], bytes], listings: Iterable[str]) -> Iterator[MirroredFile]:
    return (file for digest in listings for file in read_shard(documents(Sha256(digest))))


def _runs(path: str, named: Mapping[str, Classified] | None) -> str:
    if named is None:
        return (by_name(path) or FileClass.CODE) if may_run(path) else ""
    found = named.get(path)
    return found.of if found is not None and found.of.runs else ""


def _fit(text: str) -> str:
    return text.encode(errors="replace").decode()
