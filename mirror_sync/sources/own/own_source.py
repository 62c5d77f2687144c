"""What was pushed, as a Source: a small mirror that `push` alone publishes into, in a bucket or a folder.

Earlier commits stay in it, so that a sync that reads one goes on beside a push. See decision 70.
"""

from __future__ import annotations

from dataclasses import replace

from mirror_sync.domain.attested import Attested
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Repo
from mirror_sync.ports.memory import ReadCache
from mirror_sync.sources.mirror.feed_view import FeedView
from mirror_sync.sources.mirror.mirror_source import MirrorSource
from mirror_sync.sources.mirror.readers import StoreReader


class OwnSource(MirrorSource):
    """It has nothing but what was pushed: no other mirror vouches for it, and it has no catalogue."""

    def __init__(self, reader: StoreReader, memory: ReadCache) -> None:
        super().__init__(reader, memory, FeedView(reader, memory), anonymous=True)

    def _at(self, repo: Repo, refs: Refs, revision: str) -> Resolved | None:
        found = super()._at(repo, refs, revision)
        return None if found is None else replace(found, provenance=None)

    def attested(self, repo: Repo, commit: CommitId) -> Attested | None:
        return None
