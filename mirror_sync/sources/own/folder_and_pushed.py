"""A folder as an upstream: the folders that lie there, and what was pushed, which is read as a mirror."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.upstream import Found
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.job.upstreams import pushed_into
from mirror_sync.domain.repo import Repo
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.directory.folder import disk, is_folder
from mirror_sync.sources.directory.folders import DirectorySource
from mirror_sync.sources.wrappers.source_wrapper import Wrapper

_T = TypeVar("_T")


class FolderAndPushed(Wrapper):
    """A folder's repos, and those that were pushed there: a name is of one kind, since `push` takes no other."""

    def __init__(self, root: Path, pushed: Callable[[], Source]) -> None:
        """`pushed` makes what reads the second ones, when the first of them is met."""
        super().__init__(DirectorySource(root))
        self._store = pushed_into(root)
        self._make, self._made, self._lock = pushed, list[Source](), threading.Lock()

    def __repr__(self) -> str:
        return repr(self._source)

    def around(self, verb: str, call: Callable[[Source], _T], about: object = "") -> _T:
        """Of a repo, who has it is asked; the folder of all else."""
        return call(self._of(about) if isinstance(about, Repo) else self._source)

    def search(self, sought: Sought) -> Iterator[Found]:
        if not isinstance(sought, Ranking) and is_folder(self._store):
            yield from self._pushed().search(sought)
        yield from self._source.search(sought)

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        return self._of(repo).fetch(repo, commit, file, start, stop)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        self._of(repo).distrust(repo, commit, file)

    def _of(self, repo: Repo) -> Source:
        """Who has a repo. Unreachable where the disk does not say."""
        place = self._store / refs_key(repo)
        with disk(place):
            try:
                place.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return self._source
        return self._pushed()

    def _pushed(self) -> Source:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]
