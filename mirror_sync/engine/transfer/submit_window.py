"""Runs one call for each of very many files, a few hundred of them handed over at any time.

Calls are waited for in batches, since to wake somebody after each costs as much as a small file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import Sha256

Numbered = tuple[int, RemoteFile]


@dataclass(frozen=True, slots=True)
class Stream:
    """Files for one pool: as many are waited for `together`, in so many `batches` at once.

    There have to be enough that no thread of the pool is without work while the last of a batch ends.
    """

    pool: Executor
    files: Iterator[Numbered]
    together: int
    batches: int


class SubmitWindow:
    """Calls `bring` for files, and `landed` with their numbers and what came of them.

    Its block ends when all calls have. Only one thread runs it; `bring` is called by the pools'.
    """

    def __init__(
        self, bring: Callable[[RemoteFile], Sha256], landed: Callable[[Iterable[tuple[int, Sha256]]], None]
    ) -> None:
        self._bring, self._landed = bring, landed
        self._out: set[_Batch] = set()
        self._ended: SimpleQueue[_Batch] = SimpleQueue()

    def __enter__(self) -> SubmitWindow:
        return self

    def __exit__(self, *exc: object) -> None:
        futures = [future for batch in self._out for future in batch.futures]
        for future in futures:
            future.cancel()
        wait(futures)

    def run(self, *streams: Stream) -> None:
        """All files of all streams, each in its order. Raises the first error, as soon as it is known."""
        for stream in streams:
            for _ in range(stream.batches):
                self._hand_over(stream)
        while self._out:
            batch = self._ended.get()
            self._landed(batch.results())
            self._out.remove(batch)
            self._hand_over(batch.stream)

    def _hand_over(self, stream: Stream) -> None:
        files = [*islice(stream.files, stream.together)]
        if files:
            batch = _Batch(stream, files, self._ended.put)
            self._out.add(batch)
            batch.start(self._bring)


class _Batch:
    """Files that are waited for together; `ended` is told when all of them are done, or the first has failed."""

    def __init__(self, stream: Stream, files: Sequence[Numbered], ended: Callable[[_Batch], None]) -> None:
        self.stream = stream
        self.futures: list[Future[Sha256]] = []
        self._files, self._ended = files, ended
        self._left = len(files)
        self._lock = threading.Lock()

    def start(self, bring: Callable[[RemoteFile], Sha256]) -> None:
        """Hand its files over to the pool."""
        for _, file in self._files:
            future = self.stream.pool.submit(bring, file)
            self.futures.append(future)
            future.add_done_callback(self._count)

    def results(self) -> Iterator[tuple[int, Sha256]]:
        """By number. Raises the error of one that failed."""
        for future in self.futures:
            if future.done():
                future.result()
        return ((number, future.result()) for (number, _), future in zip(self._files, self.futures, strict=True))

    def _count(self, future: Future[Sha256]) -> None:
        failed = not future.cancelled() and future.exception() is not None
        with self._lock:
            self._left -= 1
            tell = self._left == 0 or (failed and self._left > 0)
        if tell:
            self._ended(self)
