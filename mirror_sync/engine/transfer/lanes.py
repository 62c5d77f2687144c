"""One pool of threads with two lanes, so that what is short need not wait for what takes hours, nor the other way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from mirror_sync.domain.turns import Length, Turns, most_long

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Work:
    """A call that somebody waits for."""

    length: Length
    call: Callable[[], Any]
    future: Future[Any]

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            found = self.call()
        except BaseException as error:  # theirs who wait
            self.future.set_exception(error)
        else:
            self.future.set_result(found)


class Lanes:
    """At most `workers` calls at once, over both lanes, by the law of `turns`. A block of it ends when all work has.

    `begin` is called first in each thread.
    """

    def __init__(self, workers: int, name: str, begin: Callable[[], None] = lambda: None) -> None:
        self._turns = Turns[_Work](workers, most_long(workers))
        self._pool = ThreadPoolExecutor(workers, name, begin)
        self._changed = threading.Condition()
        self.short, self.long = _Lane(self, Length.SHORT), _Lane(self, Length.LONG)

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._turns.are_over)
        self._pool.shutdown()

    def start(self, work: _Work) -> None:
        """Now, or when it is its turn."""
        with self._changed:
            self._turns.wait(work.length, work)
            begun = self._turns.next()
        if begun is not None:
            self._pool.submit(self._run, begun)

    def _run(self, begun: _Work) -> None:
        """One call after the other while there are any that may run."""
        work: _Work | None = begun
        while work is not None:
            work.run()
            with self._changed:
                self._turns.leave(work.length)
                work = self._turns.next()
                if work is None and self._turns.are_over:  # to wake somebody after each costs as much as a small file
                    self._changed.notify_all()


class _Lane(Executor):
    """One lane, as whoever runs calls on it sees it."""

    def __init__(self, lanes: Lanes, length: Length) -> None:
        self._lanes, self._length = lanes, length

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._lanes.start(_Work(self._length, lambda: fn(*args, **kwargs), future))
        return future
