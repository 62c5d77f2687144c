"""What is held against endpoints that may be asked: against one by its answers, against several by wrong bytes."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from mirror_sync.domain.digest import Promise
from mirror_sync.errors import BadAnswer, IntegrityError, MirrorError, UpstreamError
from mirror_sync.net.response import TooSlow
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.wrappers.breaker import Breaker
from mirror_sync.sources.wrappers.several_answers import SILENT

_COMPLAINTS = (TooSlow, BadAnswer, IntegrityError)  # it is there, and another may be better
_REMEMBERED = 4096  # files: those in flight are a few dozen
_T = TypeVar("_T")


class FailoverCandidate:
    """A source with its breaker; `breakers` are those of all candidates.

    Complaints about one that is there (slow, wrong) never close the last way: a few bad files must not keep us from all
    others, nor from what no other endpoint holds.
    """

    def __init__(self, source: Source, breaker: Breaker, breakers: Sequence[Breaker]) -> None:
        self.source, self.breaker, self._breakers = source, breaker, breakers
        self.complained = False
        """Whether the last that was said against it is a complaint, not silence."""

    def ask(self, call: Callable[[Source], _T], *, settled: bool = True) -> _T:
        """`settled`: the answer is all there is, so that it speaks for its endpoint."""
        try:
            answer = call(self.source)
        except SILENT as error:
            self.fail(error)
            raise
        except UpstreamError:
            self.breaker.succeed()  # a refusal is an answer
            raise
        if settled:
            self.breaker.succeed()
        return answer

    def fail(self, error: MirrorError) -> None:
        """It gave no answer, or none of use."""
        self.complained = isinstance(error, _COMPLAINTS)
        if isinstance(error, IntegrityError):
            self.breaker.doubt(may_open=self._elsewhere)
        else:
            self.breaker.fail(may_open=not self.complained or self._elsewhere)

    def doubt(self) -> None:
        """It gave wrong bytes, as their reader has found."""
        self.complained = True
        self.breaker.doubt(may_open=self._elsewhere)

    @property
    def _elsewhere(self) -> bool:
        return any(breaker.healthy for breaker in self._breakers if breaker is not self.breaker)


class Overheard:
    """A stream that remembers whether it moved, how quickly, and how it broke.

    `first_byte`: seconds since `asked` until its first bytes came; `count` of others came in `seconds` of waiting.
    """

    def __init__(self, stream: ByteStream, asked: float, clock: Callable[[], float]) -> None:
        self._stream, self._asked, self._clock = stream, asked, clock
        self.moved = False
        self.first_byte, self.count, self.seconds = 0.0, 0, 0.0
        self.error: MirrorError | None = None

    def readinto(self, buffer: memoryview) -> int:
        before = self._clock()
        try:
            count = self._stream.readinto(buffer)
        except MirrorError as error:
            self.error = error
            raise
        if self.moved:
            self.count, self.seconds = self.count + count, self.seconds + self._clock() - before
        elif count > 0:
            self.moved, self.first_byte = True, self._clock() - self._asked
        return count


class Suspicions:
    """Which endpoints gave which files' bytes, by index, and which of them proved wrong: only a file's reader can tell.

    Forgets the oldest. Safe for many threads.
    """

    def __init__(self) -> None:
        self._served: OrderedDict[Promise, set[int]] = OrderedDict()
        self._wrong: OrderedDict[Promise, Counter[int]] = OrderedDict()
        self._lock = threading.Lock()

    def served(self, content: Promise, index: int) -> None:
        """An endpoint gave bytes of this content."""
        with self._lock:
            self._served.setdefault(content, set()).add(index)
            _keep_newest(self._served, content)

    def complain(self, content: Promise) -> frozenset[int]:
        """The bytes were wrong: the endpoints that gave them. Which of several it was, the next tries will tell."""
        with self._lock:
            guilty = frozenset(self._served.pop(content, ()))
            self._wrong.setdefault(content, Counter()).update(guilty)
            _keep_newest(self._wrong, content)
            return guilty

    def order(self, content: Promise, indexes: Iterable[int]) -> list[int]:
        """The endpoints for a content: those with the fewest complaints about it first, otherwise as they come."""
        with self._lock:
            wrong = self._wrong.get(content, Counter())
            return sorted(indexes, key=lambda index: wrong[index])


def _keep_newest(known: OrderedDict[Promise, set[int]] | OrderedDict[Promise, Counter[int]], content: Promise) -> None:
    known.move_to_end(content)
    while len(known) > _REMEMBERED:
        known.popitem(last=False)
