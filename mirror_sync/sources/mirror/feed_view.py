"""The feed of another mirror: one conditional call says of all its repos which have changed.

It is a hint: who goes by it checks each repo itself within a day, whatever it says. See domain/catalogue/feed.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from mirror_sync.domain.catalogue.feed import FIRST_FEED, LARGEST_FEED, LARGEST_PART, Feed, FeedPart, read_part
from mirror_sync.domain.catalogue.page_data import FEED
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import BadAnswer, DocumentError, MirrorLoop, NewerFormat, StoreError, UpstreamError
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
        self._parts: dict[str, dict[Repo, str] | None] = {}  # None for one that is not there, or is no part
        self._unproved: set[str] = set()  # those that are not what the root names: up to the next look at it

    def digest_of(self, repo: Repo) -> str:
        """The SHA-256 of a repo's refs.json; empty where nothing says it. MirrorLoop, and Unreachable and its like."""
        with self._lock:
            feed = self._poll()
            found = () if feed is None else ((self._part(one) or {}).get(repo, "") for one in feed.parts_for(repo))
            return next(filter(None, found), "")

    def repos(self) -> list[Repo] | None:
        """All that it names; None where there is no feed for us. Raises what `digest_of` does, and BadAnswer where a
        part is not there: the names in the others are no list of all.
        """
        with self._lock:
            feed = self._poll()
            found = self._all_of(feed)
            if self._unproved:  # it was read beside a writer, who may have ended by now
                self._asked = None
                feed = self._poll()
                found = self._all_of(feed)
            lacking = [] if feed is None else [one.name for one in feed.parts if self._part(one) is None]
            if lacking:
                raise BadAnswer(f"{self._reader}: its list of repos names {lacking[0]}, which is not there")
            return None if feed is None else found

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
            known = feed is not None and self._feed is not None and feed.parts == self._feed.parts
            self._parts = {name: part for name, part in self._parts.items() if known and name not in self._unproved}
            self._unproved.clear()
            self._feed, self._asked = feed, now
        return self._feed

    def _read(self) -> Feed | None:
        """None where there is none, or what is there cannot be read: then each repo is asked for by itself."""
        body = next(filter(None, map(self._told, (FEED, FIRST_FEED))), None)
        try:
            feed = None if body is None else Feed.decode(body)
        except NewerFormat as error:
            raise UpstreamError(f"{self._reader}: {error}") from None
        except DocumentError:
            return None
        if feed is not None:
            self._expect_others(feed)
        return feed

    def _told(self, name: str) -> bytes | None:
        """The root of a feed as it stands there, or stood when it was read; None where there is none of that name."""
        kept = self._recall(name, "")
        tag, _, body = (kept or b"").partition(b"\n")
        try:
            told = self._reader.site(name, tag.decode() if kept else "", LARGEST_FEED)
        except UpstreamError as error:
            if error.retryable:
                raise
            return None
        if told.body is None:
            return body
        self._remember(name, "", told.tag.encode() + b"\n" + told.body)
        return told.body

    def _expect_others(self, feed: Feed) -> None:
        own = self._own()
        if own & frozenset(feed.mirrors):
            raise MirrorLoop(f"{self._reader} is published by this mirror itself: it cannot mirror what it publishes")
        if own & feed.ids:
            raise MirrorLoop(f"{self._reader} mirrors this mirror: each would bring what the other has from it")

    def _all_of(self, feed: Feed | None) -> list[Repo]:
        return [repo for part in (() if feed is None else feed.parts) for repo in self._part(part) or ()]

    def _part(self, part: FeedPart) -> dict[Repo, str] | None:
        if part.name not in self._parts:
            found, proved = self._read_part(part)
            self._parts[part.name] = found
            self._unproved |= set() if proved else {part.name}
        return self._parts[part.name]

    def _read_part(self, part: FeedPart) -> tuple[dict[Repo, str] | None, bool]:
        """And whether it is the one that the root names. Of another one names alone are believed, and no digest: the
        two were read beside a writer, who may also have removed it, or has died between them.
        """
        with suppress(DocumentError):
            kept = self._recall(part.name, part.digest)
            if kept is not None:
                return read_part(kept), True
            try:
                body = self._reader.site(part.name, "", LARGEST_PART).body or b""
            except UpstreamError as error:
                if error.retryable:
                    raise
                return None, False
            found = read_part(body)
            if Sha256.of(body) != part.digest:
                return dict.fromkeys(found, ""), False
            self._remember(part.name, part.digest, body)
            return found, True
        return None, False

    def _recall(self, name: str, version: str) -> bytes | None:
        with suppress(StoreError):
            return self._memory.recall(name, version)
        return None

    def _remember(self, name: str, version: str, body: bytes) -> None:
        with suppress(StoreError):
            self._memory.remember(name, version, body)
