"""A Store: a target that we write to; and how a document that others wrote is read from one, within bounds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from mirror_sync.domain.catalogue.page_data import data_of, place_of
from mirror_sync.domain.content.keys import blob_key, refs_key, site_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError, KeyMissing, StoreError
from mirror_sync.ports.byte_stream import ByteStream

MAX_DOCUMENT = 256 * 1024 * 1024  # bytes; far above any honest document, far below a machine's memory
MAX_TREE = 16 * 1024 * 1024  # bytes of a root or a shard, of which many are read at once: see decision 0002
MAX_DESCRIPTION = 8 * 1024 * 1024  # bytes of what an info document says before it names its files
MAX_REFS = 32 * 1024 * 1024  # bytes of a refs.json: some hundred thousand names and snapshots

_CHUNK = 256 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Stat:
    """An object of a store: `size` in bytes, `modified` in seconds since the epoch by the store's clock.

    `md5` is said to be that of its bytes, in hexadecimal, where the store's listings say so: compare it with theirs.
    `cold`: it lies in the other place of a target of two alone, and `modified` is by that place's clock.
    """

    key: str
    size: int
    modified: float
    md5: str | None = field(default=None, compare=False)
    cold: bool = field(default=False, compare=False)


class Upload(Protocol):
    """An object on its way in parts: nothing is visible under its key before `complete`.

    As a context manager it aborts on the way out, unless it was completed or is to be kept. Parts may be put by many
    threads. An upload that goes on from an earlier one has its leading parts already; all others must be put, also
    those that the earlier one had put beyond.
    """

    part_size: int  # bytes; every part but the last has exactly this size
    kept: int  # leading parts that an earlier upload has put; 0 for a new one
    in_order: bool  # whether each part must be put once, when all before it were: not at once, not again

    def put(self, number: int, body: bytes | bytearray | memoryview) -> None:
        """Store part `number`, counted from 0. May be repeated. The body may be reused after the return."""
        ...

    def token(self, parts: int) -> str:
        """What `Store.begin` takes, in this process or a later one, to go on after the first `parts` parts.

        They must have been put. A token says nothing of what the parts contain, and is small whatever their number.
        """
        ...

    def read_kept(self) -> AbstractContextManager[ByteStream] | None:
        """The bytes of the kept parts, as they are now.

        None where the store proves by itself that they are those that were put: then they cannot be read.
        """
        ...

    def keep(self) -> None:
        """Leave the parts where they are on the way out, for a later `begin` with the token. May be repeated."""
        ...

    def complete(self) -> None:
        """Make the object visible, whole, in one step. All parts must have been put."""
        ...

    def abort(self) -> None:
        """Forget the parts, kept ones too. May be repeated; never raises."""
        ...

    def __enter__(self) -> Upload: ...

    def __exit__(self, *exc: object) -> None: ...


class Store(Protocol):
    """A target: keys and objects. Safe for many threads and processes; raises StoreError.

    A write is atomic: a reader sees the old object or the new one, whole; after a crash too.
    """

    part_size: int  # bytes; objects up to this size are put at once, larger ones through `begin`
    readers: int  # objects that are read and hashed at once by which time is gained: more only take turns
    confirm: bool  # whether what was put is looked for again before a pointer names it: a server's word may be wrong

    def stat(self, key: str) -> Stat | None:
        """None when, and only when, nothing is stored under the key."""
        ...

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        """The bytes [start, stop) of an object. KeyMissing when there is none."""
        ...

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        """Store a whole object, replacing an older one. `digest` is the body's: a store that can refuses others.

        A blob may be there for other processes a second later, but is before any pointer that is put after it.
        """
        ...

    def begin(self, key: str, size: int, token: str | None = None) -> Upload:
        """Start an upload of `size` bytes, or go on with the one that gave the token.

        Where that one is gone, is cut differently or is not what its token says, it is aborted and a new one started:
        whoever goes on looks at `Upload.kept`. No two uploads may go on from one token at once.
        """
        ...

    def touch(self, key: str) -> None:
        """Make `modified` of an object the present, by the store's clock; its bytes stay. KeyMissing without one."""
        ...

    def sweep(self, older_than: float) -> int:
        """Remove the uploads of blobs that nobody has put a part to, or gone on with, for so many seconds.

        Returns how many. An age counts by the store's clock. One hour is the least that spares uploads in use.
        """
        ...

    def free(self) -> int | None:
        """Bytes that can still be stored; None where nobody can tell."""
        ...

    def list(self, prefix: str) -> Iterator[Stat]:
        """Every visible object whose key starts with `prefix`, once, in an order of the store's own.

        S3 goes by the bytes of keys; SeaweedFS goes by folders, and lists `a/b` before `a-b`.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; a key that is not there is no error."""
        ...


def read_all(store: Store, key: str, limit: int) -> bytes:
    """A whole small object; StoreError when it is larger than `limit` bytes."""
    body = _read_up_to(store, key, limit)
    if body is None:
        raise StoreError(f"{key} is larger than {limit} bytes")
    return body


def read_site(store: Store, name: str, limit: int, volume: str = "") -> bytes:
    """A document of the catalogue, by its name below `volume`: a part of a page, or an object by itself.

    KeyMissing where it is neither; StoreError when what it is, or is in, is larger than `limit` bytes.
    """
    place = place_of(name)
    if place is not None:
        with suppress(KeyMissing):
            found = data_of(read_all(store, site_key(volume + place[0]), limit), name)
            if found is not None:
                return found
    return read_all(store, site_key(volume + name), limit)


def read_refs_json(store: Store, repo: Repo) -> bytes:
    """What says which snapshots of a repo are published. KeyMissing; DocumentError when it is larger than any is."""
    body = _read_up_to(store, refs_key(repo), MAX_REFS)
    if body is None:
        raise DocumentError(f"{refs_key(repo)} is larger than {MAX_REFS:,} bytes, which no refs.json is")
    return body


def read_document(store: Store, digest: Sha256, limit: int = MAX_TREE) -> bytes:
    """A document of a snapshot, proved against its name: a root or a shard, unless `limit` says what else it may be.

    KeyMissing, or DocumentError when other bytes lie there, or more than `limit`.
    """
    body = _read_up_to(store, blob_key(digest), limit)
    if body is None:
        raise DocumentError(f"document {digest} is larger than {limit:,} bytes, which none of its kind is")
    actual = Sha256.of(body)
    if actual != digest:
        raise DocumentError(f"document {digest} holds other bytes, of digest {actual}")
    return body


def read_beginning(store: Store, digest: Sha256, kept: int, limit: int = MAX_DOCUMENT) -> bytes:
    """The first `kept` bytes, at the most, of a document that is proved whole.

    KeyMissing, or DocumentError when other bytes lie there, or more than `limit`.
    """
    with store.read(blob_key(digest)) as stream:
        return proved_beginning(stream.readinto, digest, kept, limit)


def proved_beginning(read: Callable[[memoryview], int], digest: Sha256, kept: int, limit: int) -> bytes:
    """The same of what `read` brings until it brings nothing more. DocumentError, and what `read` raises."""
    body, proved, size = bytearray(), hashlib.sha256(), 0
    chunk = memoryview(bytearray(_CHUNK))
    while count := read(chunk):
        proved.update(chunk[:count])
        body += chunk[: max(0, min(count, kept - size))]
        size += count
        if size > limit:
            raise DocumentError(f"document {digest} is larger than {limit:,} bytes, which none of its kind is")
    if proved.hexdigest() != digest:
        raise DocumentError(f"document {digest} holds other bytes, of digest {proved.hexdigest()}")
    return bytes(body)


def _read_up_to(store: Store, key: str, limit: int) -> bytes | None:
    """None when there is more; what is beyond is not read."""
    body = bytearray()
    chunk = memoryview(bytearray(_CHUNK))
    with store.read(key) as stream:
        while count := stream.readinto(chunk):
            body += chunk[:count]
            if len(body) > limit:
                return None
    return bytes(body)
