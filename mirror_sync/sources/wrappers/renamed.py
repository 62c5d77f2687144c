"""A source whose repos go by other names here: all above it knows the published ones alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from mirror_sync.domain.attested import Attested
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import Commit, Found, Heads, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.policy.scan_policy import ScannedFile
from mirror_sync.domain.repo import PublishedAs, Repo, RepoPattern
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.wrappers.source_wrapper import Wrapper


class RenamedSource(Wrapper):
    """Asks another source by its own names. A repo whose published name is none is not found by a search."""

    def __init__(self, source: Source, names: PublishedAs) -> None:
        super().__init__(source)
        self._names = names

    def search(self, sought: Sought) -> Iterator[Found]:
        for found in self._source.search(self._sought(sought)):
            try:
                if isinstance(found, Resolved):
                    yield self._here(found, self._names.published(found.queried))
                else:
                    yield self._names.published(found) if isinstance(found, Repo) else found
            except ValueError:  # longer than an id may be, say
                continue

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        return self._here(self._source.resolve(self._names.upstream(repo), revision), repo)

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        return self._source.list(self._names.upstream(repo), commit)

    def heads(self, repos: Collection[Repo]) -> Heads:
        asked = {self._names.upstream(repo): repo for repo in repos}
        heads = self._source.heads([*asked])
        return replace(heads, found=tuple(self._here(one, asked[one.queried]) for one in heads.found))

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        return self._source.refs(self._names.upstream(repo))

    def authorize(self, repo: Repo) -> None:
        self._source.authorize(self._names.upstream(repo))

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        return self._source.history(self._names.upstream(repo), commit)

    def scans(self, repo: Repo, commit: CommitId, paths: Collection[str]) -> Mapping[str, ScannedFile]:
        return self._source.scans(self._names.upstream(repo), commit, paths)

    def attested(self, repo: Repo, commit: CommitId) -> Attested | None:
        return self._source.attested(self._names.upstream(repo), commit)

    def forget_lists(self, repos: Collection[Repo]) -> None:
        self._source.forget_lists([self._names.upstream(repo) for repo in repos])

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        return self._source.fetch(self._names.upstream(repo), commit, file, start, stop)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        self._source.distrust(self._names.upstream(repo), commit, file)

    def _sought(self, sought: Sought) -> Sought:
        if isinstance(sought, Ranking):
            without = tuple(self._pattern(one) for one in sought.without)
            return replace(sought, pattern=self._pattern(sought.pattern), without=without)
        return self._pattern(sought)

    def _pattern(self, wanted: RepoPattern) -> RepoPattern:
        return RepoPattern(wanted.kind, self._names.upstreams(wanted.glob))

    def _here(self, found: Resolved, asked: Repo) -> Resolved:
        """As of the repo that it is here."""
        current = self._current(found, asked)
        named: dict[str, Any] = {key: current.id for key in ("id", "modelId") if key in found.described}
        if "author" in found.described:
            named["author"] = current.owner
        return replace(found, queried=asked, canonical=current, described={**found.described, **named})

    def _current(self, found: Resolved, asked: Repo) -> Repo:
        try:
            return self._names.published(found.canonical) if found.renamed else asked
        except ValueError:  # its new name makes none here: it keeps the one it has
            return asked
