"""The feed of another mirror: one conditional call says of all its repos which have changed.

It is a hint: who goes by it checks each repo itself within a day, whatever it says. See domain/catalogue/feed.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from mirror_sync.domain.catalogue.feed import FEED, LARGEST_FEED, LARGEST_SHARD, Feed, read_shard, shard_name
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError, MirrorLoop, NewerFormat, StoreError, UpstreamError
from mirror_sync.ports.memory import ReadCache
from mirror_sync.sources.mirror.readers import MirrorReader

FRESH = 30.0  # seconds for which a feed is gone by before it is asked for again


class FeedView:
    """Safe for many threads. `own` gives the ids of those whom this mirror publishes as: a feed that has one of them
    comes from ourselves, and is refused.
    """

    def __init__(
        self,
        reader: MirrorReader,
        memory: ReadCache,
        own: Callable[[], frozenset[str]] = frozenset,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader, self._memory, self._own, self._monotonic = reader, memory, own, monotonic
        self._lock = threading.Lock()
        self._asked: float | None = None
        self._feed: Feed | None = None
        self._shards: dict[str, dict[Repo, str]] = {}

    def digest_of(self, repo: Repo) -> str:
        """The SHA-256 of a repo's refs.json; empty where nothing says it. MirrorLoop, and Unreachable and its like."""
        with self._lock:
            feed = self._poll()
            digits = None if feed is None else feed.shard_of(repo)
            return "" if feed is None or digits is None else self._shard(feed, digits).get(repo, "")

    def repos(self) -> list[Repo] | None:
        """All that it names; None where there is no feed for us. Raises what `digest_of` does."""
        with self._lock:
            feed = self._poll()
            if feed is None:
                return None
            return [repo for digits in feed.shards for repo in self._shard(feed, digits)]

    @property
    def is_whole(self) -> bool:
        """Whether it says of itself that it names all there are."""
        with self._lock:
            feed = self._poll()
            return feed is not None and feed.whole

    def _poll(self) -> Feed | None:
        now = self._monotonic()
        if self._asked is None or now - self._asked >= FRESH:
            feed = self._read()
            if feed is None or self._feed is None or feed.shards != self._feed.shards:
                self._shards.clear()
            self._feed, self._asked = feed, now
        return self._feed

    def _read(self) -> Feed | None:
        """None where there is none, or what is there cannot be read: then each repo is asked for by itself."""
        kept = self._recall(FEED, "")
        tag, _, body = (kept or b"").partition(b"\n")
        try:
            told = self._reader.site(FEED, tag.decode() if kept else "", LARGEST_FEED)
        except UpstreamError as error:
            if error.retryable:
                raise
            return None
        if told.body is not None:
            body = told.body
        try:
            feed = Feed.decode(body)
        except NewerFormat as error:
            raise UpstreamError(f"{self._reader}: {error}") from None
        except DocumentError:
            return None
        if told.body is not None:
            self._remember(FEED, "", told.tag.encode() + b"\n" + body)
        self._expect_others(feed)
        return feed

    def _expect_others(self, feed: Feed) -> None:
        own = self._own()
        if own & frozenset(feed.mirrors):
            raise MirrorLoop(f"{self._reader} is published by this mirror itself: it cannot mirror what it publishes")
        if own & feed.ids:
            raise MirrorLoop(f"{self._reader} mirrors this mirror: each would bring what the other has from it")

    def _shard(self, feed: Feed, digits: str) -> dict[Repo, str]:
        found = self._shards.get(digits)
        if found is None:
            found = self._shards[digits] = self._read_shard(digits, feed.shards[digits])
        return found

    def _read_shard(self, digits: str, digest: str) -> dict[Repo, str]:
        """Of one that is not the one that the root names, nothing is believed: the two were read beside a writer."""
        name = shard_name(digits)
        with suppress(DocumentError):
            kept = self._recall(name, digest)
            if kept is not None:
                return read_shard(kept)
            body = self._reader.site(name, "", LARGEST_SHARD).body or b""
            if Sha256.of(body) != digest:
                return {}
            found = read_shard(body)
            self._remember(name, digest, body)
            return found
        return {}

    def _recall(self, name: str, version: str) -> bytes | None:
        with suppress(StoreError):
            return self._memory.recall(name, version)
        return None

    def _remember(self, name: str, version: str, body: bytes) -> None:
        with suppress(StoreError):
            self._memory.remember(name, version, body)
