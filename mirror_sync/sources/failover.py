"""Several endpoints of one upstream, in order: the next one answers when one does not, is slow, or lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TypeVar

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.gone import Standing
from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.domain.ranking import Sought
from mirror_sync.domain.refs import Ref
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.upstream import BudgetState, Commit, Found, Heads, Resolved
from mirror_sync.errors import BadAnswer, IntegrityError, MirrorError, Unreachable, UpstreamError
from mirror_sync.ports import ByteStream, Source
from mirror_sync.sources.arrivals import TooSlow
from mirror_sync.sources.breaker import Breaker, BreakerPolicy, Resting
from mirror_sync.sources.distrust import Suspicions

_SILENT = (Unreachable, BadAnswer, IntegrityError)  # all else is an answer, and another endpoint would give the same
_COMPLAINTS = (TooSlow, BadAnswer)  # it is there, and another may be better
_T = TypeVar("_T")


class FailoverSource:
    """Asks the sources in order; the one that answered in place of another is asked first for `loyalty` seconds.

    One that fails again and again is left alone, as `breaker` says; when all are, the call fails at once, and is not
    worth repeating (`Resting`). Complaints about one that is there (slow, wrong) never close the last way: a few bad
    files must not keep us from all others.
    When none answers, the first one's error leaves. `clock` in seconds, from any start.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        loyalty: float = 300.0,
        breaker: BreakerPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not sources:
            raise ValueError("no source to ask")
        self._sources = tuple(sources)
        self._breakers = [Breaker(breaker or BreakerPolicy(), clock) for _ in sources]
        self._suspicions = Suspicions()
        self._loyalty, self._clock = loyalty, clock
        self._first = (0, 0.0)  # which one is asked first, and until when; replaced in one step

    def search(self, sought: Sought) -> Iterator[Found]:
        """Falls over at the first repo; a later error leaves, and the next call asks another source first."""
        return self._stream(lambda source: source.search(sought))

    def heads(self, repos: Collection[Repo]) -> Heads:
        return self._ask(lambda source: source.heads(repos))

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

    @contextmanager
    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> Iterator[ByteStream]:
        """Falls over at opening; when it breaks or drags later, the next call asks another source first."""
        with ExitStack() as held:

            def opened(source: Source) -> ByteStream:
                return held.enter_context(source.fetch(repo, commit, file, start, stop))

            index, found = self._ask_in(self._suspicions.order(file.promise, self._order()), opened, settled=False)
            self._suspicions.served(file.promise, index)
            stream = _Overheard(found)
            try:
                yield stream
            finally:
                self._heard(index, stream)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """The next fetch of this content prefers those that have not given it, and the guilty come nearer to rest."""
        for index in self._suspicions.complain(file.promise):
            self._sources[index].distrust(repo, commit, file)
            self._breakers[index].doubt(may_open=self._elsewhere(index))
            self._prefer(index + 1)

    def prove(self) -> Standing:
        return self._ask(lambda source: source.prove())

    def budget(self) -> Mapping[str, BudgetState]:
        """Of the source that would be asked first."""
        index = next((index for index in self._order() if not self._breakers[index].open), 0)
        return self._sources[index].budget()

    def _ask(self, call: Callable[[Source], _T]) -> _T:
        return self._ask_in(self._order(), call)[1]

    def _ask_in(self, order: Sequence[int], call: Callable[[Source], _T], *, settled: bool = True) -> tuple[int, _T]:
        """Who answered, and what. `settled`: the answer is all there is, so that it speaks for its endpoint."""
        errors: list[MirrorError] = []
        for index in order:
            if not self._breakers[index].admit():
                continue
            try:
                answer = call(self._sources[index])
            except _SILENT as error:
                errors.append(error)
                self._fail(index, error)
                continue
            except UpstreamError:
                self._breakers[index].succeed()  # a refusal is an answer
                raise
            if settled:
                self._breakers[index].succeed()
            if errors:
                self._prefer(index)
            return index, answer
        raise errors[0] if errors else self._resting()

    def _stream(self, call: Callable[[Source], Iterator[_T]]) -> Iterator[_T]:
        def begun(source: Source) -> Iterator[_T]:
            items = call(source)
            first = next(items, None)
            return iter(()) if first is None else chain([first], items)

        index, items = self._ask_in(self._order(), begun)
        try:
            yield from items
        except _SILENT as error:
            self._fell_short(index, error)
            raise

    def _heard(self, index: int, stream: _Overheard) -> None:
        """Judge by what became of a stream after it was opened; one that was not read says nothing."""
        if isinstance(stream.error, _SILENT):
            self._fell_short(index, stream.error)
        elif stream.moved:
            self._breakers[index].succeed()

    def _fell_short(self, index: int, error: MirrorError) -> None:
        self._fail(index, error)
        self._prefer(index + 1)

    def _fail(self, index: int, error: MirrorError) -> None:
        if isinstance(error, IntegrityError):
            self._breakers[index].doubt(may_open=self._elsewhere(index))
        else:
            complaint = isinstance(error, _COMPLAINTS)
            self._breakers[index].fail(may_open=not complaint or self._elsewhere(index))

    def _elsewhere(self, index: int) -> bool:
        return any(breaker.healthy for at, breaker in enumerate(self._breakers) if at != index)

    def _resting(self) -> Resting:
        wait = min(breaker.tried_in for breaker in self._breakers)
        return Resting(f"{self._sources[0]} has not answered for a while: not asked again for {wait:.0f} s")

    def _order(self) -> Sequence[int]:
        first, until = self._first
        start = first if self._clock() < until else 0
        return (*range(start, len(self._sources)), *range(start))

    def _prefer(self, index: int) -> None:
        self._first = (index % len(self._sources), self._clock() + self._loyalty)


class _Overheard:
    """A stream that remembers whether it moved, and how it broke."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.moved = False
        self.error: MirrorError | None = None

    def readinto(self, buffer: memoryview) -> int:
        try:
            count = self._stream.readinto(buffer)
        except MirrorError as error:
            self.error = error
            raise
        self.moved = self.moved or count > 0
        return count
