"""Mends a file whose bytes are wrong in few places: only the pieces of its torrent that are wrong come from upstream.

A piece is proved by its SHA-1, and then the whole file by its SHA-256: nothing is stored under its key before that.
Where that cannot be, nothing is changed, and the file is brought whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.doors.torrent_metainfo import Segment, TorrentInfo, pieces_of
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.doors.torrent_pieces import BlobReader, read_info
from mirror_sync.engine.published import read_listing, read_refs, read_root
from mirror_sync.engine.transfer.file_read import FileOrigin, FileRead
from mirror_sync.errors import DocumentError, IntegrityError, KeyMissing
from mirror_sync.ports.store import Store

MOST_WRONG = 64 << 20  # bytes of wrong pieces, which are held in memory, beyond which a file is brought whole
_READ = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Span:
    """The bytes [start, stop) of a file that lie in one piece, whose SHA-1 is `digest`.

    `before` and `after` are what other files have of the piece.
    """

    start: int
    stop: int
    digest: bytes
    before: tuple[Segment, ...]
    after: tuple[Segment, ...]


class PieceRepair:
    """Mends files of one store. Raises UpstreamError, StoreError, Interrupted; in these cases nothing was changed."""

    def __init__(self, context: RunContext, store: Store) -> None:
        self._context, self._store = context, store

    def mend(self, origin: FileOrigin, published: Repo, commit: CommitId, file: MirroredFile) -> int | None:
        """How many bytes came from upstream; None where pieces do not help: none are known, the file is not there or of
        another size, too much of it is wrong, or what came does not make the file.
        """
        stat = self._store.stat(blob_key(file.sha256))
        if stat is None or stat.size != file.size or not file.size:
            return None
        try:
            spans = self._spans(published, commit, file)
            wrong = [] if spans is None else self._wrong(spans, file)
        except (KeyMissing, DocumentError):  # a document or a neighbour is wrong, too: it has a turn of its own
            return None
        count = sum(span.stop - span.start for span in wrong)
        if not 0 < count <= MOST_WRONG or 2 * count > file.size:
            return None
        try:
            patches = {span.start: self._brought(origin, file, span) for span in wrong}
            self._write(file, patches)
        except (IntegrityError, KeyMissing, DocumentError):
            return None
        return count

    def _spans(self, repo: Repo, commit: CommitId, file: MirroredFile) -> list[_Span] | None:
        root = self._root(repo, commit)
        info = None if root is None else read_info(self._store, root)
        if root is None or info is None or info.sizes.get(file.path) != file.size:
            return None
        contents = {entry.path: Sha256(entry.sha256) for entry in read_listing(self._store, root)}
        try:
            return list(_spans_of(info, contents, file))
        except KeyError:  # a torrent of other files
            return None

    def _root(self, repo: Repo, commit: CommitId) -> Root | None:
        digest = read_refs(self._store, repo).root_of(commit)
        return None if digest is None else read_root(self._store, digest)

    def _wrong(self, spans: list[_Span], file: MirroredFile) -> list[_Span]:
        found = list[_Span]()
        for span in spans:
            with BlobReader(self._store, self._context.go_on) as reader:
                own = Segment(file.sha256, span.start, span.stop)
                if reader.sha1((*span.before, own, *span.after)) != span.digest:
                    found.append(span)
        return found

    def _brought(self, origin: FileOrigin, file: MirroredFile, span: _Span) -> bytes:
        """The bytes of a span. IntegrityError where they are not those of its piece."""
        read, body = FileRead(self._context, origin, file.promised), bytearray(span.stop - span.start)
        read.range_into(memoryview(body), span.start)
        read.keep(len(body))
        piece = hashlib.sha1(usedforsecurity=False)
        with BlobReader(self._store, self._context.go_on) as reader:
            for chunk in reader.chunks(span.before):
                piece.update(chunk)
            piece.update(body)
            for chunk in reader.chunks(span.after):
                piece.update(chunk)
        if piece.digest() != span.digest:
            raise IntegrityError(file.path, span.digest.hex(), piece.hexdigest())
        return bytes(body)

    def _write(self, file: MirroredFile, patches: Mapping[int, bytes]) -> None:
        """Store the file with what was brought. IntegrityError where that is not the file."""
        key, proof = blob_key(file.sha256), hashlib.sha256()
        if file.size <= self._store.part_size:
            with self._taken(file.size) as body:
                self._patched(file, patches, 0, body)
                proof.update(body)
                _expect(file, proof.hexdigest())
                self._store.put(key, body, file.sha256)
            return
        with self._store.begin(key, file.size) as upload, self._taken(min(file.size, upload.part_size)) as body:
            for number, start in enumerate(range(0, file.size, upload.part_size)):  # of very many parts each is larger
                part = body[: min(upload.part_size, file.size - start)]
                self._patched(file, patches, start, part)
                proof.update(part)
                upload.put(number, part)
            _expect(file, proof.hexdigest())
            upload.complete()

    @contextmanager
    def _taken(self, count: int) -> Iterator[memoryview]:
        body = self._context.memory.take(count)
        try:
            yield body[:count]
        finally:
            self._context.memory.give_back(body)

    def _patched(self, file: MirroredFile, patches: Mapping[int, bytes], start: int, body: memoryview) -> None:
        """Fill `body` with what is stored from `start` on, and put what was brought over it."""
        stop, at = start + len(body), 0
        with self._store.read(blob_key(file.sha256), start, stop) as stream:
            while at < len(body):
                self._context.go_on()
                count = stream.readinto(body[at : at + _READ])
                if not count:
                    raise DocumentError(f"blob {file.sha256} became shorter while it was read")
                at += count
        for begins, patch in patches.items():
            first, last = max(start, begins), min(stop, begins + len(patch))
            if first < last:
                body[first - start : last - start] = patch[first - begins : last - begins]


def _spans_of(info: TorrentInfo, contents: Mapping[str, Sha256], file: MirroredFile) -> Iterator[_Span]:
    """The pieces that a file has bytes of. KeyError for a torrent that names what the listing has not."""
    begins = info.start_of(file.path)
    assert begins is not None  # noqa: S101  for the type checker: the caller has looked
    ends, first = begins + file.size, begins // info.length
    files = ((contents[path], size) for path, size in info.sizes.items())
    for number, piece in enumerate(pieces_of(files, info.length)):
        if number < first:
            continue
        start = number * info.length
        if start >= ends:
            return
        own_start, own_stop = max(start, begins), min(start + info.length, ends)
        yield _Span(
            own_start - begins,
            own_stop - begins,
            info.hash_of(number),
            _cut(piece, 0, own_start - start),
            _cut(piece, own_stop - start, info.length),
        )


def _cut(piece: tuple[Segment, ...], start: int, stop: int) -> tuple[Segment, ...]:
    """What of a piece lies between two of its bytes."""
    found, at = list[Segment](), 0
    for digest, first, last in piece:
        begin, end = max(start, at), min(stop, at + last - first)
        if begin < end:
            found.append(Segment(digest, first + begin - at, first + end - at))
        at += last - first
    return tuple(found)


def _expect(file: MirroredFile, actual: str) -> None:
    if actual != file.sha256:
        raise IntegrityError(file.path, file.sha256, actual)
