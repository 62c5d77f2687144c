"""What a target publishes: reads refs, roots and manifests, and puts refs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Any

from mirror_sync.domain.content.keys import HUB, blob_key, refs_key, repo_of
from mirror_sync.domain.content.manifest import Manifest
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Root, read_shard
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.outcome.traffic import PublishedSnapshot
from mirror_sync.domain.policy.identity import Identity
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.errors import DocumentError, KeyMissing
from mirror_sync.ports.store import MAX_DOCUMENT, MAX_REFS, Store, read_document, read_refs_json

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Like the built-in map; an executor's map reads many documents at once."""
Stamp = tuple[str, str]
"""What the log of a refs.json says of a change: the time in ISO 8601, and which verb of whom made it."""
_INFOS = 4  # that are asked which repo is published: it is an oddity that the first does not tell


def read_refs(store: Store, repo: Repo) -> Refs:
    """Empty when the target holds nothing of the repo."""
    try:
        return Refs.decode(read_refs_json(store, repo))
    except KeyMissing:
        return Refs()


def put_refs(store: Store, repo: Repo, refs: Refs) -> None:
    """Replace a repo's refs.json, which publishes and un-publishes. The caller holds the repo's lock.

    DocumentError for one that nobody would read again.
    """
    body = refs.encode()
    if len(body) > MAX_REFS:
        raise DocumentError(f"{repo} has too many names and snapshots: its refs.json would be over {MAX_REFS:,} bytes")
    store.put(refs_key(repo), body, Sha256.of(body))


def why_taken_down(store: Store, tombstone: Sha256) -> str:
    """The words of a tombstone. One that cannot be read says that there is one: that is enough. StoreError."""
    try:
        return Tombstone.decode(read_document(store, tombstone)).said
    except (KeyMissing, DocumentError):
        return "taken down, for a reason that cannot be read"


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
            info = json.loads(read_document(store, read_root(store, digest).info, MAX_DOCUMENT))
        except (KeyMissing, DocumentError, ValueError, RecursionError):
            continue
        if isinstance(info, dict):
            yield info


def identity_of(store: Store, refs: Refs, names: Iterable[str]) -> Identity:
    """Which repo is published, as far as its upstream told; of a withdrawn one, which it was."""
    told = (Identity.of(info) for info in read_infos(store, refs, names))
    return next(filter(None, told), refs.gone.identity if refs.gone is not None else Identity())


def read_manifest(store: Store, root: Root, mapper: Mapper = map) -> Manifest:
    """All files of a snapshot, by path."""
    digests = dict.fromkeys(shard.digest for shard in root.shards)
    shards = mapper(lambda digest: list(read_shard(read_document(store, digest))), digests)
    return {file.path: file for shard in shards for file in shard}


def published_at(store: Store, root: Sha256) -> float | None:
    """When a snapshot was published last, in seconds by the store's clock; None when its root is not there."""
    stat = store.stat(blob_key(root))
    return None if stat is None else stat.modified


def published_snapshots(store: Store) -> Iterator[PublishedSnapshot]:
    """Every snapshot that the target publishes, and when it was published last. Raises StoreError."""
    for repo in mirrored_repos(store):
        for commit, root in read_refs(store, repo).snapshots.items():
            at = published_at(store, root)
            if at is not None:
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
