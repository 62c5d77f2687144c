"""What was pushed, as a Source: a small mirror that `push` alone publishes into, in a bucket or a folder.

Earlier commits stay in it, so that a sync that reads one goes on beside a push. See decision 70.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from mirror_sync.domain.attested import Attested
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.upstream import Commit, Found, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.job.upstreams import pushed_into
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.source import Source
from mirror_sync.sources.directory.folder import disk, is_folder
from mirror_sync.sources.directory.folders import DirectorySource
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


class FolderAndPushed(Source):
    """A folder's repos, and those that were pushed there: a name is of one kind, since `push` takes no other."""

    def __init__(self, root: Path, pushed: OwnSource) -> None:
        self._folders, self._pushed, self._store = DirectorySource(root), pushed, pushed_into(root)

    def __repr__(self) -> str:
        return repr(self._folders)

    def search(self, sought: Sought) -> Iterator[Found]:
        if not isinstance(sought, Ranking) and self._is_used:
            yield from self._pushed.search(sought)
        yield from self._folders.search(sought)

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        return self._of(repo).resolve(repo, revision)

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        return self._of(repo).refs(repo)

    def authorize(self, repo: Repo) -> None:
        self._of(repo).authorize(repo)

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        return self._of(repo).list(repo, commit)

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        return self._of(repo).history(repo, commit)

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        return self._of(repo).fetch(repo, commit, file, start, stop)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        self._of(repo).distrust(repo, commit, file)

    def prove(self) -> TokenStatus:
        return self._folders.prove()

    def _of(self, repo: Repo) -> Source:
        """Who has a repo. Unreachable where the disk does not say."""
        place = self._store / refs_key(repo)
        with disk(place):
            try:
                place.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return self._folders
        return self._pushed

    @property
    def _is_used(self) -> bool:
        return is_folder(self._store)
