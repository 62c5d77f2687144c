"""A source that has only so many requests and transfers open at once, shared fairly by short and long ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import BudgetState, Commit, Found, Heads, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Sought
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.turns import Length, next_turn
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source

_LONG = 1024 * 1024  # bytes of one fetch, from which on it is long: then it is they that take time, not the asking
_LOOK = 0.1  # seconds between two looks whether to go on waiting


class Connections:
    """So many places, for which threads queue by the law of `turns`. `go_on` raises when no one should wait longer."""

    def __init__(self, most: int, go_on: Callable[[], None]) -> None:
        self._free, self._go_on = most, go_on
        self._waiting: Mapping[Length, deque[threading.Event]] = {length: deque() for length in Length}
        self._running = dict.fromkeys(Length, 0)
        self._last = Length.LONG
        self._lock = threading.Lock()

    @contextmanager
    def one(self, length: Length) -> Iterator[None]:
        """Inside the block a place is ours. Never ask for a second one there."""
        turn = threading.Event()
        with self._lock:
            self._waiting[length].append(turn)
            self._give()
        try:
            while not turn.wait(_LOOK):
                self._go_on()
            yield
        finally:
            self._leave(length, turn)

    def _leave(self, length: Length, turn: threading.Event) -> None:
        with self._lock:
            if not turn.is_set():
                return self._waiting[length].remove(turn)
            self._free += 1
            self._running[length] -= 1
            return self._give()

    def _give(self) -> None:
        waiting = [length for length in Length if self._waiting[length]]
        while self._free and (length := next_turn(waiting, self._running, self._last)):
            self._free -= 1
            self._running[length] += 1
            self._last = length
            self._waiting[length].popleft().set()
            waiting = [length for length in Length if self._waiting[length]]


class ConnectedSource:
    """Takes a place of each of `connections`, always in this order, for every call of another source and as long as a
    stream of its is open.

    One source behind it must make one request at a time: then there are no more connections to a host than places.
    """

    def __init__(self, source: Source, connections: Sequence[Connections], long: int = _LONG) -> None:
        self._source, self._connections, self._long = source, tuple(connections), long

    def search(self, sought: Sought) -> Iterator[Found]:
        with self._connected():
            yield from self._source.search(sought)

    def heads(self, repos: Collection[Repo]) -> Heads:
        with self._connected():
            return self._source.heads(repos)

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        with self._connected():
            return self._source.resolve(repo, revision)

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        with self._connected():
            return self._source.refs(repo)

    def authorize(self, repo: Repo) -> None:
        with self._connected():
            self._source.authorize(repo)

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        with self._connected():
            yield from self._source.list(repo, commit)

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        with self._connected():
            return self._source.history(repo, commit)

    @contextmanager
    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> Iterator[ByteStream]:
        """A fetch of many bytes is long work, all else is short."""
        size = min(file.size if stop is None else stop, file.size) - start
        with (
            self._connected(Length.LONG if size >= self._long else Length.SHORT),
            self._source.fetch(repo, commit, file, start, stop) as stream,
        ):
            yield stream

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        self._source.distrust(repo, commit, file)

    def budget(self) -> Mapping[str, BudgetState]:
        return self._source.budget()

    def prove(self) -> TokenStatus:
        with self._connected():
            return self._source.prove()

    @contextmanager
    def _connected(self, length: Length = Length.SHORT) -> Iterator[None]:
        with ExitStack() as held:
            for connections in self._connections:
                held.enter_context(connections.one(length))
            yield
