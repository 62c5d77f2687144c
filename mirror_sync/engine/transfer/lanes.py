"""One pool of threads with two lanes, so that what is short need not wait for what takes hours, nor the other way.

`bring_all` makes one call on them for each of very many files, a few hundred of them handed over at any time. They are
waited for in batches, since to wake somebody after each costs as much as a small file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.turns import Length, Turns, most_long
from mirror_sync.engine.single_flight import StoredContent
from mirror_sync.errors import MirrorError

P = ParamSpec("P")
T = TypeVar("T")

Numbered = tuple[int, RemoteFile]
Landed = tuple[int, StoredContent]
_Work = tuple[Length, Callable[[], None]]
"""A call that raises nothing: whoever waits for it is told by the call itself."""


class Lanes:
    """At most `workers` calls at once, over both lanes, by the law of `turns`. A block of it ends when all work has.

    `begin` is called first in each thread.
    """

    def __init__(self, workers: int, name: str, begin: Callable[[], None] = lambda: None) -> None:
        self._turns = Turns[_Work](workers, most_long(workers))
        self._pool = ThreadPoolExecutor(workers, name, begin)
        self._lock = threading.Lock()
        self._over = threading.Condition(self._lock)
        self.short, self.long = Lane(self, Length.SHORT), Lane(self, Length.LONG)

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._over.wait_for(lambda: self._turns.are_over)
        self._pool.shutdown()

    def start(self, length: Length, calls: Iterable[Callable[[], None]]) -> None:
        """Each now, or when it is its turn."""
        begun: list[_Work] = []
        with self._lock:
            for call in calls:
                self._turns.wait(length, (length, call))
            while (work := self._turns.next()) is not None:
                begun.append(work)
        for work in begun:
            self._pool.submit(self._run, work)

    def _run(self, begun: _Work) -> None:
        """One call after the other while there are any that may run."""
        work: _Work | None = begun
        while work is not None:
            length, call = work
            call()
            with self._lock:
                self._turns.leave(length)
                work = self._turns.next()
                if work is None and self._turns.are_over:  # to wake somebody after each costs as much as a small file
                    self._over.notify_all()


class Lane(Executor):
    """One lane, as whoever runs calls on it sees it."""

    def __init__(self, lanes: Lanes, length: Length) -> None:
        self._lanes, self._length = lanes, length

    def start(self, calls: Iterable[Callable[[], None]]) -> None:
        """Make calls that raise nothing, and of which nobody asks what they gave: a future costs more than the rest."""
        self._lanes.start(self._length, calls)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                found = fn(*args, **kwargs)
            except BaseException as error:  # theirs who wait
                future.set_exception(error)
            else:
                future.set_result(found)

        self.start((run,))
        return future


@dataclass(frozen=True, slots=True)
class Stream:
    """Files for one lane: as many are waited for `together`, in so many `batches` at once.

    There have to be enough that no thread is without work while the last of a batch ends.
    """

    lane: Lane
    files: Iterator[Numbered]
    together: int
    batches: int


def bring_all(
    bring: Callable[[RemoteFile], StoredContent], landed: Callable[[Collection[Landed]], None], *streams: Stream
) -> None:
    """Call `bring` for all files of all streams, each in its order, and `landed` with what came of some, by number.

    Raises the first error, as soon as it is known and what had begun has ended; of what has landed by then `landed` is
    told all the same. `bring` is called by the threads of the lanes, `landed` by this one.
    """
    out: set[_Batch] = set()
    ended: SimpleQueue[_Batch] = SimpleQueue()

    def hand_over(stream: Stream) -> bool:
        files = [*islice(stream.files, stream.together)]
        if files:
            batch = _Batch(stream, len(files), ended.put)
            out.add(batch)
            batch.start(bring, files)
        return bool(files)

    try:
        for stream in streams:
            begun = 0
            while begun < stream.batches and hand_over(stream):
                begun += 1
        while out:
            batch = ended.get()
            if batch.error is not None:
                raise batch.error
            landed(batch.landed)
            out.remove(batch)
            hand_over(batch.stream)
    finally:
        for batch in out:
            batch.stop()
        with suppress(MirrorError):  # what ended it is what has to be told
            for batch in out:
                landed(batch.rest())


class _Batch:
    """So many files that are waited for together; `ended` is told when all are done, or the first has failed."""

    def __init__(self, stream: Stream, count: int, ended: Callable[[_Batch], None]) -> None:
        self.stream = stream
        self.landed: list[Landed] = []
        self.error: BaseException | None = None
        self._left, self._running, self._stopped = count, 0, False
        self._ended = ended
        self._lock = threading.Lock()
        self._quiet = threading.Condition(self._lock)

    def start(self, bring: Callable[[RemoteFile], StoredContent], files: Sequence[Numbered]) -> None:
        """Hand its files over to the lane."""
        self.stream.lane.start([partial(self._bring, bring, number, file) for number, file in files])

    def stop(self) -> None:
        """Begin no other file."""
        with self._lock:
            self._stopped = True

    def rest(self) -> Collection[Landed]:
        """What has landed, when nothing of a stopped batch is on its way any more."""
        with self._lock:
            self._quiet.wait_for(lambda: not self._running)
        return self.landed

    def _bring(self, bring: Callable[[RemoteFile], StoredContent], number: int, file: RemoteFile) -> None:
        with self._lock:
            if self._stopped:
                return
            self._running += 1
        stored, error = None, None
        try:
            stored = bring(file)
        except BaseException as caught:  # theirs who wait
            error = caught
        with self._lock:
            self._running -= 1
            self._left -= 1
            if stored is not None:
                self.landed.append((number, stored))
            told, self.error = self.error is not None, self.error or error
            tell = not told and (error is not None or self._left == 0)
            if self._stopped and not self._running:
                self._quiet.notify_all()
        if tell:
            self._ended(self)
