"""What a target publishes: reads refs, roots and manifests, and puts refs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from mirror_sync.domain.content.keys import HUB, blob_key, refs_key, repo_of
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, LEFT_BEHIND, PINNED, Refs
from mirror_sync.domain.content.rewritten import PUBLISHED, Rewritten, decode_rewritten, time_of
from mirror_sync.domain.content.snapshot import Document, Entry, Root, Shard, description, read_entries
from mirror_sync.domain.content.tombstone import Tombstone, decode_withdrawn
from mirror_sync.domain.content.versions import decode_pin
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.policy.identity import Identity
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.errors import DocumentError, KeyMissing, StoreUnavailable
from mirror_sync.ports.store import (
    MAX_DESCRIPTION,
    MAX_DOCUMENT,
    MAX_REFS,
    Store,
    read_beginning,
    read_document,
    read_refs_json,
)

if TYPE_CHECKING:
    from mirror_sync.domain.outcome.traffic import PublishedSnapshot

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Like the built-in map; an executor's map reads many documents at once."""
Seal = Callable[[Store, Repo, Refs], tuple[Refs, Sequence[Document]]]
"""Makes of a refs.json the one to be put, and the documents that it names beyond, which are put before it."""
Stamp = tuple[str, str]
"""What the log of a refs.json says of a change: the time in ISO 8601, and which verb of whom made it."""
_SHARDS = 16  # that are held at once
_INFOS = 4  # that are asked which repo is published: it is an oddity that the first does not tell


def read_refs(store: Store, repo: Repo) -> Refs:
    """Empty when the target holds nothing of the repo."""
    try:
        return Refs.decode(read_refs_json(store, repo))
    except KeyMissing:
        return Refs()


def unsealed(_store: Store, _repo: Repo, refs: Refs) -> tuple[Refs, Sequence[Document]]:
    """Where nobody signs: a statement of what stood there before would be none of what stands there now."""
    return refs.unstated(), ()


class Published(Protocol):
    """Where a refs.json is put, what becomes of it before, and who else writes it here: a Target, for one."""

    @property
    def store(self) -> Store: ...

    @property
    def seal(self) -> Seal: ...

    @property
    def refs_lock(self) -> Callable[[Repo], AbstractContextManager[object]]: ...


def change_refs(target: Published, repo: Repo, change: Callable[[Refs], Refs | None]) -> Refs | None:
    """Put what `change` makes of a repo's refs.json, as it stands there now; nothing where that is None.

    Nobody else on this machine writes it between the read and the PUT, and everything that writes one goes by this.
    `change` is quick: it waits for nobody and takes no lock, as it holds the inner one of a repo's two (decision 60).
    Returns what stands there, None where nothing was put. Raises what `read_refs`, `put_refs` and `change` do.
    """
    with target.refs_lock(repo):
        after = change(read_refs(target.store, repo))
        return None if after is None else put_refs(target, repo, after)


def only_from(before: Refs, after: Refs) -> Callable[[Refs], Refs | None]:
    """For `change_refs`: this one in the place of that one, and nothing where something else stands there by now."""
    return lambda current: after if current == before else None


def put_refs(target: Published, repo: Repo, refs: Refs) -> Refs:
    """Replace a repo's refs.json, which publishes and un-publishes; returns it as it stands there, with what seals it.

    For `change_refs` alone. Raises StoreError, what the seal raises, and DocumentError for one that nobody would read
    again.
    """
    sealed, documents = target.seal(target.store, repo, refs)
    body = sealed.encode()
    if len(body) > MAX_REFS:
        raise DocumentError(f"{repo} has too many names and snapshots: its refs.json would be over {MAX_REFS:,} bytes")
    for document in documents:  # first: a refs.json never names what is not there
        put_document(target.store, document)
    target.store.put(refs_key(repo), body, Sha256.of(body))
    return sealed


def put_document(store: Store, document: Document) -> None:
    """Put a document that a refs.json is to name. StoreUnavailable where the target confirms and does not keep it."""
    key = blob_key(document.digest)
    store.put(key, document.body, document.digest)
    if store.confirm and ((stat := store.stat(key)) is None or stat.size != len(document.body)):
        raise StoreUnavailable(f"the target confirmed what it did not keep: {key}; nothing was published")


def why_taken_down(store: Store, tombstone: Sha256) -> str:
    """The words of a tombstone. One that cannot be read says that there is one: that is enough. StoreError."""
    try:
        return Tombstone.decode(read_document(store, tombstone)).said
    except (KeyMissing, DocumentError):
        return "taken down, for a reason that cannot be read"


def left_behind(store: Store, refs: Refs) -> frozenset[Sha256]:
    """What a repo named that was taken down, as long as that is not at its end. StoreError, DocumentError."""
    digest = refs.attachments.get(LEFT_BEHIND)
    return frozenset() if digest is None else decode_withdrawn(read_document(store, digest, MAX_DOCUMENT))


def why_pinned(store: Store, refs: Refs) -> str:
    """Where main is pinned to, by whom and why, in a line. What cannot be read says that it is: that is enough.

    StoreError.
    """
    try:
        said = f" {decode_pin(read_document(store, refs.attachments[PINNED])).said}"
    except (KeyMissing, DocumentError):
        said = ", for a reason that cannot be read"
    return f"main is pinned to {refs.commit_of(DEFAULT_BRANCH)}{said}"


def pinned_remark(store: Store, repo: Repo, refs: Refs, commit: CommitId, *, fetched: bool = False) -> str:
    """What a report says of a main that a person keeps where it is, while the upstream's is at `commit`.

    `fetched`: that was brought just now, and the report is about it.
    """
    said = why_pinned(store, refs)
    if refs.commit_of(DEFAULT_BRANCH) == commit:
        return said
    free = f"mirror-sync unpin {repo} lets main follow again"
    if fetched:
        return f"fetched {commit}, which is here by its id alone: {said}, and stays there; {free}"
    return f"{said}; the upstream's is {commit}, which is here by its id: {free}"


def read_root(store: Store, digest: Sha256) -> Root:
    return Root.decode(read_document(store, digest))


@dataclass(frozen=True, slots=True)
class Past:
    """A published commit and the newest of those before it, by their ids; its date is None where nobody knows it."""

    ids: frozenset[str] = frozenset()
    date: datetime | None = None


def read_past(store: Store, root: Root) -> Past:
    """What was told of a commit's history when it was published; where it cannot be read, there is the commit alone."""
    try:
        ids = [str(item["id"]) for item in json.loads(read_document(store, root.commits, MAX_DOCUMENT))]
    except (KeyMissing, DocumentError, ValueError, KeyError, TypeError, RecursionError):
        ids = []
    return Past(frozenset((root.commit, *ids)), moment(root.last.get("date")))


def read_infos(store: Store, refs: Refs, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The Hub's words about a repo when it was published: under these names first, then in the newest snapshots.

    What is damaged is left out: `verify` names it. A few documents are read, however much is published.
    """
    roots = dict.fromkeys(refs.root_of(name) for name in (*names, *reversed(refs.snapshots)))
    for digest in islice((digest for digest in roots if digest is not None), _INFOS):
        try:
            yield read_description(store, read_root(store, digest).info)
        except (KeyMissing, DocumentError):
            continue


def read_description(store: Store, info: Sha256) -> dict[str, Any]:
    """What an info document says of a repo, without its files, of which there may be millions.

    KeyMissing; DocumentError for other bytes, or none of an info document.
    """
    beginning = read_beginning(store, info, MAX_DESCRIPTION)
    try:
        return description(beginning.decode(errors="ignore"))
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"not an info document: {error!r}") from error


def identity_of(store: Store, refs: Refs, names: Iterable[str]) -> Identity:
    """Which repo is published, as far as its upstream told; of a withdrawn one, which it was."""
    told = (Identity.of(info) for info in read_infos(store, refs, names))
    return next(filter(None, told), refs.gone.identity if refs.gone is not None else Identity())


def read_listing(store: Store, root: Root, mapper: Mapper = map) -> Iterator[Entry]:
    """All files of a snapshot, in the order of its listing; no more than some shards are held.

    KeyMissing or DocumentError where one cannot be read, when its turn comes.
    """
    digests = iter(dict.fromkeys(shard.digest for shard in root.shards))
    while some := [*islice(digests, _SHARDS)]:
        for entries in mapper(lambda digest: read_entries(read_document(store, digest)), some):
            yield from entries


def shard_reader(store: Store, mapper: Mapper = map) -> Callable[[Iterable[Shard]], Iterable[bytes]]:
    """Reads shards, whose bytes are proved. KeyMissing, DocumentError, StoreError."""
    return lambda shards: mapper(lambda shard: read_document(store, shard.digest), shards)


def published_at(store: Store, root: Sha256) -> float | None:
    """When the root of a snapshot was written last, in seconds by the store's clock; None when it is not there.

    That is when it was published, but for what `rewritten_roots` says.
    """
    stat = store.stat(blob_key(root))
    return None if stat is None else stat.modified


def rewritten_roots(store: Store, refs: Refs) -> Mapping[Sha256, Rewritten]:
    """Snapshots that were published before their root was written. Raises StoreError, DocumentError."""
    digest = refs.attachments.get(PUBLISHED)
    return {} if digest is None else decode_rewritten(read_document(store, digest, MAX_REFS))


def published_snapshots(store: Store) -> Iterator[PublishedSnapshot]:
    """Every snapshot that the target publishes, and when it was published last. Raises StoreError."""
    from mirror_sync.domain.outcome.traffic import PublishedSnapshot

    for repo in mirrored_repos(store):
        refs = read_refs(store, repo)
        rewritten = rewritten_roots(store, refs)
        for commit, root in refs.snapshots.items():
            at = published_at(store, root)
            if at is not None:
                at = time_of(at, rewritten.get(root))
                yield PublishedSnapshot(repo, commit, datetime.fromtimestamp(at, UTC))


class Mirrored:
    """What a target publishes, as a job that is being expanded asks for it: listed once, and only when asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def matching(self, pattern: RepoPattern) -> list[Repo]:
        """The repos that a pattern names. Raises StoreError."""
        return [repo for repo in self._repos if pattern.matches(repo)]

    def names(self, repo: Repo) -> list[str]:
        """The branches and tags of a repo. Raises StoreError."""
        refs = read_refs(self._store, repo).refs
        return [ref.shortest for ref in refs]

    @cached_property
    def _repos(self) -> list[Repo]:
        return list(mirrored_repos(self._store))


def mirrored_repos(store: Store) -> Iterator[Repo]:
    """Every repo of which the target publishes something, in the order of keys: a walk that was left goes on by it."""
    yield from sorted(filter(None, (repo_of(stat.key) for stat in store.list(HUB))), key=refs_key)
