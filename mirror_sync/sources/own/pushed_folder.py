"""One folder as one repo that is about to be pushed: its commit is made of its files and of what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, MAIN, Ref
from mirror_sync.domain.content.upstream import Commit, Found, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Sought
from mirror_sync.domain.own.pushed import Pushed, commit_after
from mirror_sync.domain.policy.terms import terms_from_card
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import PointerOnly, RevisionNotFound, UnsafePath, UpstreamError
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.directory.folders import DirectorySource


class _OneFolder(DirectorySource):
    """Any folder as the one of a repo."""

    def _folder(self, repo: Repo) -> Path:
        return self._root


class PushedFolder(Source):
    """`before` are the newest commits that were pushed, newest first; `at` is the time of this one, ISO 8601 in UTC."""

    def __init__(self, folder: Path, pushed: Pushed, before: tuple[Commit, ...], at: str) -> None:
        self._folder, self._files = folder, _OneFolder(folder)
        self._pushed, self._before, self._at = pushed, before, at
        self._trees: dict[CommitId, CommitId] = {}  # what the folder calls it

    def __str__(self) -> str:
        return str(self._folder)

    def expect_whole(self, repo: Repo) -> Resolved:
        """What would be pushed. UpstreamError, or UnsafePath, for a folder that should not be."""
        found = self._files.resolve(repo, DEFAULT_BRANCH)
        if found.terms.unread:
            raise UpstreamError(f"{found.terms.unread}; mend it, since nobody could say what licence it has")
        if found.remark:
            raise UpstreamError(f"{plain(str(self._folder))}: {found.remark}; remove them, or fetch the files anew")
        files = 0
        for file in self._files.list(repo, found.commit):
            _expect_takeable(file)
            files += 1
        if not files:
            raise UpstreamError(f"{plain(str(self._folder))} has no file to push")
        return self.resolve(repo, DEFAULT_BRANCH)

    def search(self, sought: Sought) -> Iterator[Found]:
        """UpstreamError: nothing is listed."""
        raise UpstreamError(f"{self} is one repo, and lists none")

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        """Of main, which is the folder as it is now. RevisionNotFound for any other."""
        found = self._files.resolve(repo, DEFAULT_BRANCH)
        commit = commit_after(repo, [one.id for one in self._before], found.commit, self._pushed)
        self._trees[commit] = found.commit
        if revision not in (DEFAULT_BRANCH, commit):
            raise RevisionNotFound(f"{self} is pushed as {DEFAULT_BRANCH} alone")
        described = self._pushed.described(found.described)
        card = described["cardData"]
        terms = terms_from_card(card, described["tags"], unread=found.terms.unread)
        return replace(found, commit=commit, terms=terms, described={**described, "lastModified": self._at})

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        return (Ref("branches", DEFAULT_BRANCH, MAIN, self.resolve(repo, DEFAULT_BRANCH).commit),)

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        return self._files.list(repo, self._tree(repo, commit))

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        if self._before and self._before[0].id == commit:
            return self._before
        title, _, rest = self._pushed.message.partition("\n")
        new = Commit(commit, title or f"Push of {repo.id}", self._at, rest.strip(), (self._pushed.by,))
        return (new, *self._before[:49])

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        return self._files.fetch(repo, self._tree(repo, commit), file, start, stop)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        self._files.distrust(repo, commit, file)

    def _tree(self, repo: Repo, commit: CommitId) -> CommitId:
        """What the folder calls a commit: it says itself where it has changed since it was looked at."""
        if commit not in self._trees:
            self.resolve(repo, commit)
        return self._trees[commit]


def _expect_takeable(file: RemoteFile) -> None:
    """UpstreamError, UnsafePath for what no client could be given, or not as it is called."""
    if file.pointer_only:
        raise PointerOnly(
            f"{plain(file.path)} is an LFS pointer, and no file: get it with `git lfs pull`, and push again"
        )
    if not file.path.isprintable():
        raise UnsafePath(file.path, "has characters that nobody sees")
    if "\\" in file.path:
        raise UnsafePath(file.path, "has a backslash, which clients on Windows take for a folder")
