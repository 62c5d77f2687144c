"""Walks down what a target publishes: refs, roots, documents, files. verify, prune and the index walk here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Root, read_shard
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import Mapper
from mirror_sync.errors import DocumentError, Interrupted, KeyMissing, MirrorError
from mirror_sync.scratch.spilled_map import SpilledMap

_AT_ONCE = 16  # shards whose bytes are held in memory, at most 16 MiB of each


@dataclass(frozen=True, slots=True)
class Place:
    """Where a blob is referred to; `path` is empty for a document, `commit` None for one of the repo as a whole."""

    repo: Repo
    commit: CommitId | None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A blob that a snapshot names. `file` None: a document. `read`: the bytes of one that was proved on the way."""

    place: Place
    digest: Sha256
    file: MirroredFile | None = None
    read: int | None = None


def pass_over(_place: Place, _digest: Sha256, error: MirrorError) -> None:
    """For a walk that goes on past documents that are lost or damaged; what could not be read ends it."""
    if not isinstance(error, KeyMissing | DocumentError):
        raise error


class Walk:
    """Gives every blob below refs, each once for all repos and snapshots that this walk is led through.

    `read` gives the proved bytes of a document. What it cannot give is told to `fault`, and the walk goes on beside it;
    a `fault` that raises ends the walk. Memory: 20,000 digests; more of them are on disk.
    `claims`: a blob is given again where a listing says another git id of it.
    """

    def __init__(
        self,
        read: Callable[[Sha256], bytes],
        fault: Callable[[Place, Sha256, MirrorError], None],
        mapper: Mapper = map,
        *,
        claims: bool = False,
    ) -> None:
        self._read, self._fault, self._mapper, self._claims = read, fault, mapper, claims
        self._seen = SpilledMap()
        # Apart from the blobs that were seen: a file may hold the very bytes of another repo's document.
        self._walked = SpilledMap()

    def __contains__(self, digest: Sha256) -> bool:
        return bytes.fromhex(digest) in self._seen

    def repo(self, repo: Repo, refs: Refs) -> Iterator[Node]:
        """All that is new below a refs.json: its own documents, then its snapshots."""
        for document in refs.attachments.values():
            if self._is_new(document):
                yield Node(Place(repo, None), document)
        for commit, digest in refs.snapshots.items():
            yield from self.snapshot(Place(repo, commit), digest)

    def snapshot(self, place: Place, digest: Sha256) -> Iterator[Node]:
        """All that is new below a root document, itself first."""
        if bytes.fromhex(digest) in self._walked:
            return
        body = self._attempt(digest)
        yield from self._once(place, digest, body)
        root = self._decoded(place, digest, body)
        if root is None:
            return
        for document in root.leaves:
            if self._is_new(document):
                yield Node(place, document)
        yield from self._shards(place, [shard.digest for shard in root.shards])
        self._walked.put(bytes.fromhex(digest))  # only now: a walk that was broken off has to be made again

    def _decoded(self, place: Place, digest: Sha256, body: bytes | MirrorError) -> Root | None:
        if isinstance(body, MirrorError):
            self._fault(place, digest, body)
            return None
        try:
            return Root.decode(body)
        except DocumentError as error:
            self._fault(place, digest, error)
            return None

    def _shards(self, place: Place, digests: Sequence[Sha256]) -> Iterator[Node]:
        left = [digest for digest in digests if bytes.fromhex(digest) not in self._walked]
        for start in range(0, len(left), _AT_ONCE):
            some = left[start : start + _AT_ONCE]
            for digest, body in zip(some, self._mapper(self._attempt, some), strict=True):
                yield from self._once(place, digest, body)
                yield from self._files(place, digest, body)

    def _files(self, place: Place, digest: Sha256, body: bytes | MirrorError) -> Iterator[Node]:
        if isinstance(body, MirrorError):
            self._fault(place, digest, body)
            return
        try:
            files = list(read_shard(body))
        except DocumentError as error:
            self._fault(place, digest, error)
            return
        for file in files:
            if self._is_new(file.sha256, self._claim(file)):
                yield Node(Place(place.repo, place.commit, file.path), file.sha256, file)
        self._walked.put(bytes.fromhex(digest))

    def _once(self, place: Place, digest: Sha256, body: bytes | MirrorError) -> Iterator[Node]:
        if self._is_new(digest):
            yield Node(place, digest, read=len(body) if isinstance(body, bytes) else 0)

    def _claim(self, file: MirroredFile) -> str:
        return file.oid if self._claims and file.pointer_size is None else ""

    def _is_new(self, digest: Sha256, claim: str = "") -> bool:
        return self._seen.put(bytes.fromhex(digest + claim))

    def _attempt(self, digest: Sha256) -> bytes | MirrorError:
        try:
            return self._read(digest)
        except Interrupted:
            raise
        except MirrorError as error:
            return error
