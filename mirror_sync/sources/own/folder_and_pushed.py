"""A folder as an upstream: the folders that lie there, and what was pushed, which is read as a mirror."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import Commit, Found, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.job.upstreams import pushed_into
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.directory.folder import disk, is_folder
from mirror_sync.sources.directory.folders import DirectorySource


class FolderAndPushed(Source):
    """A folder's repos, and those that were pushed there: a name is of one kind, since `push` takes no other."""

    def __init__(self, root: Path, pushed: Callable[[], Source]) -> None:
        """`pushed` makes what reads the second ones, when the first of them is met."""
        self._folders, self._store = DirectorySource(root), pushed_into(root)
        self._make, self._made, self._lock = pushed, list[Source](), threading.Lock()

    def __repr__(self) -> str:
        return repr(self._folders)

    def search(self, sought: Sought) -> Iterator[Found]:
        if not isinstance(sought, Ranking) and self._is_used:
            yield from self._pushed().search(sought)
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
        return self._pushed()

    @property
    def _is_used(self) -> bool:
        return is_folder(self._store)

    def _pushed(self) -> Source:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]
