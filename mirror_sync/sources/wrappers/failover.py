"""Several endpoints of one upstream, in order: the next one answers when one does not, is slow, or lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import BudgetState, Commit, Found, Heads, Resolved, Stead
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Sought
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import (
    BadAnswer,
    FileNotFound,
    IntegrityError,
    MirrorError,
    NoSuchCall,
    NotFoundOrPrivate,
    RateLimited,
    RevisionNotFound,
    Unreachable,
    UpstreamError,
)
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.http.arrivals import TooSlow
from mirror_sync.sources.wrappers.breaker import Breaker, BreakerPolicy, Resting
from mirror_sync.sources.wrappers.distrust import Suspicions

_SILENT = (Unreachable, BadAnswer, IntegrityError)  # no answer; all else is one
_ABSENT = (
    NotFoundOrPrivate,
    NoSuchCall,
    RevisionNotFound,
    FileNotFound,
)  # an answer that speaks for one endpoint alone
_COMPLAINTS = (TooSlow, BadAnswer)  # it is there, and another may be better
_T = TypeVar("_T")


class FailoverSource:
    """Asks the sources in order.

    What a name stands for is asked of the first whenever that can be. Of what a commit holds, which no two can tell
    differently, the one that answered in place of another is asked first for `loyalty` seconds.

    One that fails again and again is left alone, as `breaker` says; when all are, the call fails at once, and says when
    it is worth repeating (`Resting`). Complaints about one that is there (slow, wrong) never close the last way: a few
    bad files must not keep us from all others, nor from what no other endpoint holds.
    When none answers, the first one's error leaves. `clock` in seconds, from any start.

    The endpoints do not all hold the same. What one of them has not, the next is asked for, and it is missing when all
    say so: while one of them could not be asked, nothing is. Any other refusal is the last word where the first gives
    it; that of another stands when all have been asked. What another than the first tells of a repo says so (`Stead`).
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
        self._complained: set[int] = set()  # of whom the last that was said against them is a complaint, not silence
        self._loyalty, self._clock = loyalty, clock
        self._last = ""  # what went wrong last, for a person
        self._as_written = range(len(self._sources))
        self._first = (0, 0.0)  # which one is asked first, and until when; replaced in one step

    def search(self, sought: Sought) -> Iterator[Found]:
        """Falls over at the first repo; a later error leaves, and the next call asks another source first.

        A list that is empty is no last word either.
        """
        stead, items = self._begin(self._as_written, lambda source: source.search(sought), empty_is_absent=True)
        for item in items:
            yield replace(item, stead=stead) if isinstance(item, Resolved) else item

    def heads(self, repos: Collection[Repo]) -> Heads:
        asked = _Question()
        heads = self._ask_in(self._as_written, lambda source: source.heads(repos), asked)[1]
        stead = self._stead(asked)
        return replace(heads, found=tuple(replace(head, stead=stead) for head in heads.found))

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        asked = _Question()
        found = self._ask_in(self._as_written, lambda source: source.resolve(repo, revision), asked)[1]
        return replace(found, stead=self._stead(asked))

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        return self._ask(lambda source: source.refs(repo))

    def authorize(self, repo: Repo) -> None:
        self._ask(lambda source: source.authorize(repo))

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """Falls over at the first file; a later error leaves, and the next call asks another source first."""
        return self._begin(self._order(), lambda source: source.list(repo, commit))[1]

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

            order = self._suspicions.order(file.promise, self._order())
            index, found = self._ask_in(order, opened, _Question(), settled=False)
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
            self._complained.add(index)
            self._breakers[index].doubt(may_open=self._elsewhere(index))
            self._prefer(index + 1)

    def prove(self) -> TokenStatus:
        """Of the first alone: another's token, or want of one, says nothing of what the first refuses."""
        return self._ask_in((0,), lambda source: source.prove(), _Question())[1]

    def budget(self) -> Mapping[str, BudgetState]:
        """Of the source that would be asked first."""
        index = next((index for index in self._order() if not self._breakers[index].open), 0)
        return self._sources[index].budget()

    def _ask(self, call: Callable[[Source], _T]) -> _T:
        return self._ask_in(self._as_written, call, _Question())[1]

    def _ask_in(
        self, order: Sequence[int], call: Callable[[Source], _T], asked: _Question, *, settled: bool = True
    ) -> tuple[int, _T]:
        """Who answered, and what. `settled`: the answer is all there is, so that it speaks for its endpoint."""
        for index in self._worth_asking(order, asked):
            try:
                answer = call(self._sources[index])
            except _SILENT as error:
                asked.silent.append(error)
                self._fail(index, error)
                continue
            except UpstreamError as error:
                self._breakers[index].succeed()  # a refusal is an answer
                if isinstance(error, RateLimited) or (index == 0 and not isinstance(error, _ABSENT)):
                    raise
                asked.refused[index] = error
                continue
            if settled:
                self._breakers[index].succeed()
            if asked.silent:
                self._prefer(index)
            asked.answered = index
            return index, answer
        raise asked.error or self._resting(asked.resting)

    def _worth_asking(self, order: Sequence[int], asked: _Question) -> Iterator[int]:
        """Those that are not left alone; then, where all of them lack the thing, those that rest for complaints alone.

        They do answer, and may be the only ones that hold it: once for each call, whose repetitions are bounded.
        """
        for index in order:
            if self._breakers[index].admit():
                yield index
            else:
                asked.resting.append(index)
        if asked.silent or not asked.refused:
            return
        for index in [index for index in asked.resting if index in self._complained]:
            asked.resting.remove(index)
            yield index

    def _stead(self, asked: _Question) -> Stead | None:
        """Who answered where it was not the first."""
        if asked.answered == 0:
            return None
        return Stead(str(self._sources[asked.answered]), silent=0 not in asked.refused)

    def _begin(
        self, order: Sequence[int], call: Callable[[Source], Iterator[_T]], *, empty_is_absent: bool = False
    ) -> tuple[Stead | None, Iterator[_T]]:
        """A stream whose first item has come, and who gives it where it is not the first."""

        def begun(source: Source) -> Iterator[_T]:
            items = call(source)
            first = next(items, None)
            if first is None and empty_is_absent:
                raise _Empty(f"{source} lists nothing of it")
            return iter(()) if first is None else chain([first], items)

        asked = _Question()
        try:
            index, items = self._ask_in(order, begun, asked)
        except _Empty:
            return None, iter(())
        return self._stead(asked), self._overheard(index, items)

    def _overheard(self, index: int, items: Iterator[_T]) -> Iterator[_T]:
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
        self._last = str(error)
        complaint = isinstance(error, (*_COMPLAINTS, IntegrityError))
        (self._complained.add if complaint else self._complained.discard)(index)
        if isinstance(error, IntegrityError):
            self._breakers[index].doubt(may_open=self._elsewhere(index))
        else:
            self._breakers[index].fail(may_open=not complaint or self._elsewhere(index))

    def _elsewhere(self, index: int) -> bool:
        return any(breaker.healthy for at, breaker in enumerate(self._breakers) if at != index)

    def _resting(self, resting: Sequence[int]) -> Resting:
        """Of those that were left alone; one that answered has nothing to be waited for."""
        index = min(resting, key=lambda index: self._breakers[index].outcome_in)
        next_one = self._breakers[index]
        wait, cause = f"{next_one.tried_in:.0f} s", f"; {self._last}" if self._last else ""
        why = f"{self._sources[index]} has not answered for a while: not asked again for {wait}{cause}"
        return Resting(why, next_one.outcome_in, next_one.silent)

    def _order(self) -> Sequence[int]:
        first, until = self._first
        start = first if self._clock() < until else 0
        return (*range(start, len(self._sources)), *range(start))

    def _prefer(self, index: int) -> None:
        self._first = (index % len(self._sources), self._clock() + self._loyalty)


class _Empty(NotFoundOrPrivate):
    """An endpoint lists nothing: as little the last word as a 404."""


class _Question:
    """What became of one question at several endpoints; `answered` is the index of the one that gave an answer."""

    def __init__(self) -> None:
        self.silent: list[MirrorError] = []
        self.refused: dict[int, UpstreamError] = {}
        self.resting: list[int] = []
        self.answered = 0

    @property
    def error(self) -> MirrorError | None:
        """What to say when none gave an answer; None when all that might have were left alone."""
        if self.silent:
            return self._doubted(self.silent[0])
        if self.resting or not self.refused:
            return None
        by_index = [error for _, error in sorted(self.refused.items())]
        if isinstance(self.refused.get(0), _ABSENT):  # what others refuse otherwise, they alone do
            by_index = [error for error in by_index if isinstance(error, _ABSENT)]
        return max(by_index, key=_tells)  # of equals the first

    def _doubted(self, error: MirrorError) -> MirrorError:
        """The error of one that could not be asked, and why what the others say is not the answer."""
        if not self.refused or not isinstance(error, Unreachable | BadAnswer):
            return error
        said = self.refused[min(self.refused)]
        return type(error)(f"{error}; not believed until it answers: {said}")


def _tells(error: UpstreamError) -> int:
    """How much an endpoint must know of a repo to refuse it so."""
    if isinstance(error, _Empty):
        return 1
    kinds = {NotFoundOrPrivate: 0, NoSuchCall: 1, RevisionNotFound: 2, FileNotFound: 3}
    return kinds.get(type(error), len(kinds))


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
