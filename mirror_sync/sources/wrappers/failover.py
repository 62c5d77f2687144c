"""Several endpoints of one upstream, in order: the next one answers when one does not, is slow, or lies.

`several_answers` says what their answers mean together, `candidate` what is held against them, `breaker` when one is
left alone; which of them is the quickest `way_gauge` knows, as of roads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import chain, islice
from types import TracebackType
from typing import TypeVar

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.upstream import BudgetState, Fallback, Found, Heads, Resolved
from mirror_sync.domain.digest import CommitId, Promise
from mirror_sync.domain.job.ranking import Sought
from mirror_sync.domain.job.upstreams import Prefer
from mirror_sync.domain.job.way_gauge import PROBE, EndpointGauge, WayPace
from mirror_sync.domain.outcome.events import EndpointTaken, Observer
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import MirrorError, UpstreamError
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.wrappers.breaker import Breaker, BreakerPolicy, Resting
from mirror_sync.sources.wrappers.candidate import FailoverCandidate, Overheard, Suspicions
from mirror_sync.sources.wrappers.several_answers import SILENT, Answers, EmptyList
from mirror_sync.sources.wrappers.source_wrapper import Wrapper

_T = TypeVar("_T")


class FailoverSource(Wrapper):
    """Asks the sources in order.

    What a name stands for is asked of the first whenever that can be. Of what a commit holds, which no two can tell
    differently, the one that answered in place of another is asked first for `loyalty` seconds.

    One that fails again and again is left alone, as `breaker` says, the only one, too; when all are, the call fails at
    once, and says when it is worth repeating (`Resting`). When none answers, the first one's error leaves. What another
    than the first tells of a repo says so (`Fallback`). `clock` in seconds, from any start.

    With `fastest` what a commit holds is asked of the quickest first, as streams are measured, and not by loyalty.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        loyalty: float = 300.0,
        breaker: BreakerPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        prefer: Prefer = Prefer.ORDER,
        tell: Observer = lambda _: None,
    ) -> None:
        if not sources:
            raise ValueError("no source to ask")
        super().__init__(sources[0])
        breakers = [Breaker(breaker or BreakerPolicy(), clock) for _ in sources]
        self._all = [FailoverCandidate(source, own, breakers) for source, own in zip(sources, breakers, strict=True)]
        self._suspicions = Suspicions()
        self._loyalty, self.clock = loyalty, clock
        self._last = ""  # what went wrong last, for a person
        self._as_written = range(len(self._all))
        self._first = (0, 0.0)  # which one is asked first, and until when; replaced in one step
        self._fastest, self._tell = prefer is Prefer.FASTEST and len(sources) > 1, tell
        self._gauge, self._gauging = EndpointGauge(len(sources)), threading.Lock()
        self._told = 0  # the endpoint that was told last to be the quickest

    def around(self, verb: str, call: Callable[[Source], _T], about: object = "") -> _T:
        return self._ask(self._as_written, call, Answers())

    def search(self, sought: Sought) -> Iterator[Found]:
        """Falls over at the first repo; a later error leaves, and the next call asks another source first.

        A list that is empty is no last word either.
        """
        answers = Answers()
        try:
            items = self._begin(self._as_written, lambda source: _not_empty(source, source.search(sought)), answers)
        except EmptyList:
            return
        fallback = self._fallback(answers)
        for item in items:
            yield replace(item, fallback=fallback) if isinstance(item, Resolved) else item

    def heads(self, repos: Collection[Repo]) -> Heads:
        answers = Answers()
        heads = self._ask(self._as_written, lambda source: source.heads(repos), answers)
        fallback = self._fallback(answers)
        return replace(heads, found=tuple(replace(head, fallback=fallback) for head in heads.found))

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        answers = Answers()
        found = self._ask(self._as_written, lambda source: source.resolve(repo, revision), answers)
        fallback = self._fallback(answers)
        return found if fallback == found.fallback else replace(found, fallback=fallback)

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """Falls over at the first file; a later error leaves, and the next call asks another source first."""
        return self._begin(self._order(), lambda source: source.list(repo, commit), Answers())

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """Falls over at opening; when it breaks or drags later, the next call asks another source first."""

        def opened(source: Source) -> tuple[AbstractContextManager[ByteStream], ByteStream]:
            given = source.fetch(repo, commit, file, start, stop)
            return given, given.__enter__()

        return _Fetch(self, file.promise, (file.size if stop is None else stop) - start, opened)

    def opened(self, promise: Promise, size: int, call: Callable[[Source], _T]) -> tuple[int, _T]:
        """Which source opened a file, or a part of so many bytes, and what it gave."""
        answers, order = Answers(), self._order(size)
        chosen, opened = order[0], -1
        if len(order) > 1:
            order = self._suspicions.order(promise, order)
        try:
            given = self._ask(order, call, answers, settled=False)
            opened = answers.answered
            self._suspicions.served(promise, opened)
            return opened, given
        finally:
            self._weigh(chosen, opened, answers)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """The next fetch of this content prefers those that have not given it, and the guilty come nearer to rest."""
        for index in self._suspicions.complain(file.promise):
            self._all[index].source.distrust(repo, commit, file)
            self._all[index].doubt()
            self._prefer(index + 1)
            with self._gauging:
                self._gauge.lied(index)

    def prove(self) -> TokenStatus:
        """Of the first alone: another's token, or want of one, says nothing of what the first refuses."""
        return self._ask((0,), lambda source: source.prove(), Answers())

    def budget(self) -> Mapping[str, BudgetState]:
        """Of the source that would be asked first."""
        index = next((index for index in self._order() if not self._all[index].breaker.open), 0)
        return self._all[index].source.budget()

    def speeds(self) -> Mapping[str, WayPace]:
        """By endpoint; none where there is but one."""
        if len(self._all) == 1:
            return {}
        with self._gauging:
            paces = self._gauge.paces()
        taken = None if self._fastest else self._order()[0]
        return {
            str(one.source): pace if taken is None else replace(pace, taken=index == taken)
            for index, (one, pace) in enumerate(zip(self._all, paces, strict=True))
        }

    def _ask(self, order: Sequence[int], call: Callable[[Source], _T], answers: Answers, *, settled: bool = True) -> _T:
        """The first answer, and in `answers` whose it is. See `FailoverCandidate.ask` for `settled`."""
        for index in self._worth_asking(order, answers):
            try:
                answer = self._all[index].ask(call, settled=settled)
            except SILENT as error:
                self._last = str(error)
                answers.fall_silent(index, error)
            except UpstreamError as error:
                answers.refuse(index, error)
            else:
                if answers.silent:
                    self._prefer(index)
                answers.answered = index
                return answer
        raise answers.error or self._resting(answers.resting)

    def _worth_asking(self, order: Sequence[int], answers: Answers) -> Iterator[int]:
        """Those that are not left alone; then, where all of them lack the thing, those that rest for complaints alone.

        They do answer, and may be the only ones that hold it: once for each call, whose repetitions are bounded.
        """
        for index in order:
            if self._all[index].breaker.admit():
                yield index
            else:
                answers.resting.append(index)
        if not answers.all_lack_it:
            return
        for index in [index for index in answers.resting if self._all[index].complained]:
            answers.resting.remove(index)
            yield index

    def _fallback(self, answers: Answers) -> Fallback | None:
        """Who answered where it was not the first."""
        if answers.answered == 0:
            return None
        return Fallback(str(self._all[answers.answered].source), silent=0 not in answers.refused)

    def _begin(self, order: Sequence[int], call: Callable[[Source], Iterator[_T]], answers: Answers) -> Iterator[_T]:
        """A list whose first item has come, if there is one."""

        def begun(source: Source) -> Iterator[_T]:
            items = call(source)
            return chain([*islice(items, 1)], items)

        items = self._ask(order, begun, answers)
        return self._overheard(answers.answered, items)

    def _overheard(self, index: int, items: Iterator[_T]) -> Iterator[_T]:
        try:
            yield from items
        except SILENT as error:
            self._fell_short(index, error)
            raise

    def judge(self, index: int, stream: Overheard) -> None:
        """By what became of a stream after it was opened; one that was not read says nothing."""
        if isinstance(stream.error, SILENT):
            self._fell_short(index, stream.error)
        elif stream.moved:
            self._all[index].breaker.succeed()
        with self._gauging:
            if stream.moved:
                self._gauge.opened(index, stream.first_byte)
                self._gauge.came(index, stream.count, stream.seconds)
            if stream.moved or isinstance(stream.error, SILENT):
                self._gauge.ended(index, well=not isinstance(stream.error, SILENT))
            else:
                self._gauge.passed(index)

    def _fell_short(self, index: int, error: MirrorError) -> None:
        self._last = str(error)
        self._all[index].fail(error)
        self._prefer(index + 1)

    def _resting(self, resting: Sequence[int]) -> Resting:
        """Of those that were left alone; one that answered has nothing to be waited for.

        The cause comes first, and no figure that counts down: a report is read hours later, of many repos at once.
        """
        next_one = min((self._all[index] for index in resting), key=lambda one: one.breaker.outcome_in)
        rest = next_one.breaker
        cause = self._last or f"{next_one.source} has not answered"
        return Resting(f"{cause}; not asked again for a while", rest.outcome_in, rest.silent)

    def _weigh(self, chosen: int, opened: int, answers: Answers) -> None:
        """What became of an opening is known of those that did not answer; of the one that did, its stream tells."""
        asked = {*answers.silent_of, *answers.refused}
        with self._gauging:
            for index in asked:
                self._gauge.ended(index, well=False)
            if chosen not in asked and chosen != opened:
                self._gauge.passed(chosen)

    def _order(self, size: int | None = None) -> Sequence[int]:
        """Of which a content of so many bytes is asked, one after the other; None for what is no file."""
        if self._fastest:
            start = self._quickest(size)
            return (start, *(index for index in self._as_written if index != start))
        first, until = self._first
        start = first if self.clock() < until else 0
        return (*range(start, len(self._all)), *range(start))

    def _quickest(self, size: int | None) -> int:
        able = [index for index in self._as_written if not self._all[index].breaker.open] or self._as_written
        with self._gauging:
            start = self._gauge.choose(able, probes=size is not None and size <= PROBE)
            paces = self._gauge.paces()
            taken = next(index for index, pace in enumerate(paces) if pace.taken)
            before, self._told = self._told, taken
        if before != taken:
            self._tell(EndpointTaken(str(self._all[taken].source), str(self._all[before].source), *_said(paces[taken])))
        return start

    def _prefer(self, index: int) -> None:
        self._first = (index % len(self._all), self.clock() + self._loyalty)


def _said(pace: WayPace) -> tuple[float, float]:
    return round(pace.first_byte, 3), round(pace.rate)


def _not_empty(source: Source, items: Iterator[_T]) -> Iterator[_T]:
    """The items; EmptyList for none."""
    first = next(items, None)
    if first is None:
        raise EmptyList(f"{source} lists nothing of it")
    return chain([first], items)


class _Fetch(AbstractContextManager[ByteStream]):
    """A stream of the first source that opens it, which is judged by what became of it."""

    def __init__(
        self,
        sources: FailoverSource,
        promise: Promise,
        size: int,
        open_: Callable[[Source], tuple[AbstractContextManager[ByteStream], ByteStream]],
    ) -> None:
        self._sources, self._promise, self._size, self._open = sources, promise, size, open_

    def __enter__(self) -> ByteStream:
        def opened(source: Source) -> tuple[float, tuple[AbstractContextManager[ByteStream], ByteStream]]:
            asked = self._sources.clock()  # of the one that answers alone
            return asked, self._open(source)

        self._index, (asked, (self._given, stream)) = self._sources.opened(self._promise, self._size, opened)
        self._stream = Overheard(stream, asked, self._sources.clock)
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._sources.judge(self._index, self._stream)
        finally:
            self._given.__exit__(kind, error, trace)
