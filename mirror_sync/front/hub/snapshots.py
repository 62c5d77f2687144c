"""Reads refs and the documents of snapshots from a store, with a cache.

Documents are immutable and kept as long as there is room; refs.json is read again after `refs_seconds`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mirror_sync.domain.access.rights import closed_by
from mirror_sync.domain.content import alias
from mirror_sync.domain.content.keys import alias_key, replica_key, withdrawn_key
from mirror_sync.domain.content.refs import CLOSED, Refs
from mirror_sync.domain.content.snapshot import Root, description
from mirror_sync.domain.content.tombstone import decode_withdrawn
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.replicas import LARGEST_MARK, MARK, ReplicaMark, decode_held
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError, KeyMissing, StoreError
from mirror_sync.front.hub.listing import count
from mirror_sync.front.hub.lru import ByteLru
from mirror_sync.ports.store import (
    MAX_DESCRIPTION,
    MAX_DOCUMENT,
    MAX_TREE,
    Store,
    read_all,
    read_beginning,
    read_document,
    read_refs_json,
)

DOCUMENT_BYTES = 96 << 20  # that are kept, unless the caller says otherwise
_AS_OF = 5  # so many times as long as refs.json is believed, that a replica's word is
_OVERHEAD = 512  # bytes that a cached value takes beside its text, roughly
_DECODED = 4  # a decoded document takes about so many times the bytes of its text


class Snapshots:
    """What is published in a store. Safe for many threads; raises StoreError and DocumentError."""

    def __init__(
        self,
        store: Store,
        refs_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        document_bytes: int = DOCUMENT_BYTES,
    ) -> None:
        self._store = store
        self._refs_seconds = refs_seconds
        self._clock = clock
        self._documents: ByteLru[Sha256, bytes] = ByteLru(document_bytes)
        self._roots: ByteLru[Sha256, Root] = ByteLru(document_bytes // 3)
        self._refs: ByteLru[Repo, tuple[float, Refs | None]] = ByteLru(document_bytes // 6)
        self._aliases: ByteLru[str, tuple[float, Repo | None]] = ByteLru(document_bytes // 24)
        self._closed: ByteLru[Sha256, bool] = ByteLru(document_bytes // 24)
        self._counts: ByteLru[Sha256, int] = ByteLru(document_bytes // 24)
        self._withdrawn: ByteLru[str, tuple[float, frozenset[Sha256]]] = ByteLru(document_bytes // 24)
        self._held: ByteLru[str, tuple[float, frozenset[Sha256]]] = ByteLru(document_bytes // 24)
        self._as_of: tuple[float, str] = -math.inf, ""

    def looks(self) -> tuple[int, int]:
        """How often a document, or a root, was kept in memory, and how often it had to be read."""
        (found, missed), (roots, more) = self._documents.looks, self._roots.looks
        return found + roots, missed + more

    def as_of(self) -> str:
        """Up to when a replica has all that its target has published, in ISO 8601; empty where this is no replica, or
        nobody can tell: no answer fails for that. Asked for again more rarely than refs.
        """
        asked, said = self._as_of
        now = self._clock()
        if now - asked >= _AS_OF * self._refs_seconds:
            with suppress(StoreError, DocumentError):
                said = ""
                said = ReplicaMark.decode(read_all(self._store, MARK, LARGEST_MARK)).published
            self._as_of = now, said
        return said

    def refs(self, repo: Repo) -> Refs | None:
        """What is mirrored of a repo, at most `refs_seconds` ago; None when it is not mirrored."""
        now = self._clock()
        cached = self._refs.get(repo)
        if cached is not None and now < cached[0]:
            return cached[1]
        refs, size = self._read_refs(repo)
        self._refs.put(repo, (now + self._refs_seconds, refs), _OVERHEAD + _DECODED * size)
        return refs

    def published_by_alias(self, repo: Repo) -> Repo | None:
        """The repo that the id of an unknown one stands for, in other letters or as a former name.

        It is published, or was taken down, which its own address says.
        """
        small = Repo(repo.kind, repo.id.lower())
        told = self._alias(small)
        for other in (told, small):
            if other is not None and other != repo and self._is_there(other):
                return other
        return None

    def _is_there(self, repo: Repo) -> bool:
        refs = self.refs(repo)
        return refs is not None and bool(refs.snapshots or refs.tombstone)

    def root(self, digest: Sha256) -> Root:
        """A root document. KeyMissing when there is none, DocumentError when it is something else."""
        root = self._roots.get(digest)
        if root is None:
            body = read_document(self._store, digest)
            root = Root.decode(body)
            self._roots.put(digest, root, _OVERHEAD + _DECODED * len(body))
        return root

    def is_closed(self, refs: Refs) -> bool:
        """Whether the upstream gave what is published to some people only, or does not say that it did not.

        What it said of `main` counts, as the repo's newest word; without that name, whatever snapshot is closed. While
        `main` is pinned its words may be older than what was closed since: then each of the newest counts. What it has
        closed since without a commit stands in refs.json.
        """
        return CLOSED in refs.attachments or any(map(self._closes, refs.telling))

    def _closes(self, root: Sha256) -> bool:
        known = self._closed.get(root)
        if known is None:
            known = closed_by(self.described(self.root(root)))
            self._closed.put(root, known, _OVERHEAD)
        return known

    def described(self, root: Root) -> dict[str, Any]:
        """What the upstream says of the repo of a snapshot, beside its files."""
        text = read_beginning(self._store, root.info, MAX_DESCRIPTION).decode(errors="ignore")
        try:
            return description(text)
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"not an info document: {error!r}") from error

    def document(self, digest: Sha256, limit: int = MAX_DOCUMENT) -> bytes:
        """A document of a snapshot, proved by its digest. DocumentError for one of more bytes than `limit`."""
        body = self._documents.get(digest)
        if body is None:
            body = read_document(self._store, digest, limit)
            self._documents.put(digest, body, _OVERHEAD + len(body))
        return body

    def entries(self, shard: Sha256) -> int:
        """How many entries a shard of a listing has."""
        known = self._counts.get(shard)
        if known is None:
            known = count(self.document(shard, MAX_TREE))
            self._counts.put(shard, known, _OVERHEAD)
        return known

    def is_withdrawn(self, digest: Sha256) -> bool:
        """Whether a digest is of what is being taken down, as it was said at most `refs_seconds` ago."""
        now, key = self._clock(), withdrawn_key(digest)
        cached = self._withdrawn.get(key)
        if cached is None or now >= cached[0]:
            try:
                listed = decode_withdrawn(read_all(self._store, key, MAX_DOCUMENT))
            except KeyMissing:
                listed = frozenset()
            cached = now + self._refs_seconds, listed
            self._withdrawn.put(key, cached, _OVERHEAD * (1 + len(listed)))
        return digest in cached[1]

    def is_held(self, replica: str, repo: Repo, root: Sha256) -> bool:
        """Whether a replica is known to have a snapshot, as it was told at most `refs_seconds` ago; no answer fails for
        that.
        """
        now, key = self._clock(), replica_key(replica, repo)
        cached = self._held.get(key)
        if cached is None or now >= cached[0]:
            held = frozenset[Sha256]()
            with suppress(StoreError, DocumentError):
                held = decode_held(read_all(self._store, key, MAX_DOCUMENT))
            cached = now + self._refs_seconds, held
            self._held.put(key, cached, _OVERHEAD + _DECODED * 64 * len(held))
        return root in cached[1]

    def _alias(self, repo: Repo) -> Repo | None:
        now, key = self._clock(), alias_key(repo)
        cached = self._aliases.get(key)
        if cached is not None and now < cached[0]:
            return cached[1]
        try:
            told = alias.decode(repo.kind, read_all(self._store, key, alias.MAX_ALIAS))
        except KeyMissing:
            told = None
        self._aliases.put(key, (now + self._refs_seconds, told), _OVERHEAD)
        return told

    def _read_refs(self, repo: Repo) -> tuple[Refs | None, int]:
        try:
            body = read_refs_json(self._store, repo)
        except KeyMissing:
            return None, 0
        return Refs.decode(body), len(body)
