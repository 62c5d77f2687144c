"""Several endpoints of one upstream, in order: the next one answers when one does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain
from typing import TypeVar

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.domain.refs import Ref
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.upstream import Commit, Resolved
from mirror_sync.errors import BadAnswer, Unreachable
from mirror_sync.ports import ByteStream, Source

_SILENT = (Unreachable, BadAnswer)  # every other error is an answer, and another endpoint would give the same
_T = TypeVar("_T")


class FailoverSource:
    """Asks the sources in order; the one that answered in place of another is asked first for `loyalty` seconds.

    When none answers, the first one's error leaves. `clock` in seconds, from any start.
    """

    def __init__(
        self, sources: Sequence[Source], *, loyalty: float = 300.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not sources:
            raise ValueError("no source to ask")
        self._sources = tuple(sources)
        self._loyalty, self._clock = loyalty, clock
        self._first = (0, 0.0)  # which one is asked first, and until when; replaced in one step

    def search(self, pattern: RepoPattern) -> Iterator[Resolved]:
        """Falls over at the first repo; a later error leaves, and the next call asks another source first."""
        return self._stream(lambda source: source.search(pattern))

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        return self._ask(lambda source: source.resolve(repo, revision))

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        return self._ask(lambda source: source.refs(repo))

    def authorize(self, repo: Repo) -> None:
        self._ask(lambda source: source.authorize(repo))

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """Falls over at the first file; a later error leaves, and the next call asks another source first."""
        return self._stream(lambda source: source.list(repo, commit))

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        return self._ask(lambda source: source.history(repo, commit))

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """Falls over at opening."""
        return self._open(lambda source: source.fetch(repo, commit, file, start, stop))

    def _ask(self, call: Callable[[Source], _T]) -> _T:
        return self._ask_which(call)[1]

    def _ask_which(self, call: Callable[[Source], _T]) -> tuple[int, _T]:
        errors: list[Unreachable | BadAnswer] = []
        for index in self._order():
            try:
                answer = call(self._sources[index])
            except _SILENT as error:
                errors.append(error)
                continue
            if errors:
                self._prefer(index)
            return index, answer
        raise errors[0]

    @contextmanager
    def _open(self, fetch: Callable[[Source], AbstractContextManager[ByteStream]]) -> Iterator[ByteStream]:
        with ExitStack() as held:
            yield self._ask(lambda source: held.enter_context(fetch(source)))

    def _stream(self, call: Callable[[Source], Iterator[_T]]) -> Iterator[_T]:
        def begun(source: Source) -> Iterator[_T]:
            items = call(source)
            first = next(items, None)
            return iter(()) if first is None else chain([first], items)

        index, items = self._ask_which(begun)
        try:
            yield from items
        except _SILENT:
            self._prefer(index + 1)
            raise

    def _order(self) -> Iterator[int]:
        first, until = self._first
        start = first if self._clock() < until else 0
        return ((start + step) % len(self._sources) for step in range(len(self._sources)))

    def _prefer(self, index: int) -> None:
        self._first = (index % len(self._sources), self._clock() + self._loyalty)
