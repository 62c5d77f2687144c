"""The ports between deciding and doing: a Source we read from, a Store we write to. Each docstring is the contract."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.gone import TokenStatus
from mirror_sync.domain.keys import blob_key, refs_key
from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.domain.ranking import Sought
from mirror_sync.domain.refs import Ref
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.upstream import BudgetState, Commit, Found, Heads, Resolved
from mirror_sync.errors import DocumentError, StoreError

MAX_DOCUMENT = 256 * 1024 * 1024  # bytes; far above any honest document, far below a machine's memory
MAX_TREE = 16 * 1024 * 1024  # bytes of a root or a shard, of which many are read at once: see decision 0002
MAX_REFS = 32 * 1024 * 1024  # bytes of a refs.json: some hundred thousand names and snapshots


class ByteStream(Protocol):
    """Bytes in order, read once, by one thread."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill a prefix of `buffer` and return its length; 0 only at the end.

        An end before the promised length is an error, never a short 0. Raises what the port that opened it raises.
        """
        ...


class Source(Protocol):
    """An upstream. Every verb may be repeated; none changes anything. Safe for many threads.

    All verbs raise UpstreamError (its subclasses tell cases apart); `fetch` raises them while reading as well.
    """

    def search(self, sought: Sought) -> Iterator[Found]:
        """The repos that a glob or a ranking stands for, each resolved at its default branch `main`.

        A bare repo is listed, too, but its entry cannot be read: `resolve` says why. A ranking comes in its order,
        and a Shortfall last where it was not filled; UpstreamError where the upstream counts nothing.
        """
        ...

    def heads(self, repos: Collection[Repo]) -> Heads:
        """What lists tell of these repos, all of one kind and owner, in fewer calls than asking for each.

        It costs one call more than it saves, at the worst. A repo that is not found may be renamed, hidden, gone, or
        too deep in a long list: only `resolve` says.
        """
        ...

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        """One call: the commit that a branch, tag or commit id stands for now, and the terms at it."""
        ...

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        """The branches and tags of a repo, also those whose names nobody should publish: see `name_fault`.

        NoSuchCall where the upstream tells them of none.
        """
        ...

    def authorize(self, repo: Repo) -> None:
        """Return when the files of a (gated) repo may be read with our token; raise Gated or another refusal.

        NoSuchCall where only the files themselves can say.
        """
        ...

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """Every file of a commit. UnsafePath for a name that must not be published."""
        ...

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        """The newest commits up to and including `commit`, newest first, at least one. NoSuchCall: none is told."""
        ...

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """The bytes [start, stop) of a file, neither proved nor complete by themselves. `stop` None: to its end."""
        ...

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """The bytes that `fetch` gave for this file proved wrong: get them elsewhere if there is an elsewhere."""
        ...

    def budget(self) -> Mapping[str, BudgetState]:
        """What is known of the upstream's limits, by kind of call (`api`, `resolvers`); empty where nothing is."""
        ...

    def prove(self) -> TokenStatus:
        """Ask for something that only a valid token gets: what a refusal means depends on it.

        PROVED when it was given, ANONYMOUS without a token, UNPROVEN where the upstream has no such thing to ask for.
        A NotSeen proves nothing, whatever was proved before.
        TokenRejected for a token that the upstream does not know.
        """
        ...


@dataclass(frozen=True, slots=True)
class Stat:
    """An object of a store: `size` in bytes, `modified` in seconds since the epoch by the store's clock.

    `md5` is said to be that of its bytes, in hexadecimal, where the store's listings say so: compare it with theirs.
    """

    key: str
    size: int
    modified: float
    md5: str | None = field(default=None, compare=False)


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


class ContentIndex(Protocol):
    """What is known of a target's contents by git id: a cache, which may forget everything."""

    def known(self, oids: Iterable[GitOid]) -> Mapping[GitOid, Sha256]:
        """The digests of those contents whose bytes had both their git id and their digest when this program read them.

        That stays true whatever becomes of the target.
        """
        ...

    def told(self, oids: Iterable[GitOid]) -> Mapping[GitOid, Sha256]:
        """Of those that are not known, the digests that listings in the target say: to be proved before use."""
        ...

    def learn(self, pairs: Mapping[GitOid, Sha256]) -> None:
        """Remember contents whose bytes were read and hashed both ways, and that were stored."""
        ...

    def hear(self, pairs: Mapping[GitOid, Sha256]) -> None:
        """Remember what a listing says. It never takes the place of what was learned."""
        ...

    @property
    def complete(self) -> bool:
        """Whether everything the target holds has been learned once."""
        ...

    def mark_complete(self) -> None: ...


class ReadCache(Protocol):
    """What was read of small objects of a target: a cache, local to a machine, which may forget everything."""

    def recall(self, name: str, version: str) -> bytes | None:
        """What was remembered last under a name; None when that was of another version."""
        ...

    def remember(self, name: str, version: str, body: bytes) -> None: ...


class NoReadCache:
    """Implements `ReadCache` by remembering nothing: everything is read again."""

    def recall(self, name: str, version: str) -> bytes | None:
        return None

    def remember(self, name: str, version: str, body: bytes) -> None:
        pass


@dataclass(frozen=True, slots=True)
class UploadNote:
    """How far an upload got: its token, and the state of the hash over the parts that the token names.

    An empty `midstate`: no state could be saved, so that only a store that reads its kept parts can go on.
    """

    token: str
    midstate: bytes


class UploadNotes(Protocol):
    """What is noted, by key, of the uploads into one target: a cache, local to a machine, which may forget everything.

    Safe for many threads and processes. Raises StoreError where the notes cannot be kept.
    """

    def claim(self, key: str) -> AbstractContextManager[bool]:
        """Whether the block has the key for itself: false while another thread or process of this machine is in such
        a block. The claim ends with the block, and with the process however that ends.
        """
        ...

    def load(self, key: str) -> UploadNote | None: ...

    def save(self, key: str, note: UploadNote) -> None:
        """Replace what is noted of a key, in one step; it survives the end of the process at any moment."""
        ...

    def forget(self, key: str) -> None: ...

    def stale(self, older_than: float) -> tuple[str, ...]:
        """The keys whose notes were saved more than so many seconds ago."""
        ...


class NoNotes:
    """Implements `UploadNotes` by remembering nothing: every upload starts anew."""

    def claim(self, key: str) -> AbstractContextManager[bool]:
        return nullcontext(False)

    def load(self, key: str) -> UploadNote | None:
        return None

    def save(self, key: str, note: UploadNote) -> None:
        pass

    def forget(self, key: str) -> None:
        pass

    def stale(self, older_than: float) -> tuple[str, ...]:
        return ()


def read_all(store: Store, key: str, limit: int) -> bytes:
    """A whole small object; StoreError when it is larger than `limit` bytes."""
    body = _read_up_to(store, key, limit)
    if body is None:
        raise StoreError(f"{key} is larger than {limit} bytes")
    return body


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


def _read_up_to(store: Store, key: str, limit: int) -> bytes | None:
    """None when there is more; what is beyond is not read."""
    body = bytearray()
    chunk = memoryview(bytearray(256 * 1024))
    with store.read(key) as stream:
        while count := stream.readinto(chunk):
            body += chunk[:count]
            if len(body) > limit:
                return None
    return bytes(body)
