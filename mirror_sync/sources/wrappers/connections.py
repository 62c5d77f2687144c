"""A source that has only so many requests and transfers open at once, shared fairly by short and long ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.turns import Length, Turns
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.wrappers.source_wrapper import Wrapper, whole

T = TypeVar("T")

_LONG = 1024 * 1024  # bytes of one fetch, from which on it is long: then it is they that take time, not the asking
_LOOK = 0.1  # seconds between two looks whether to go on waiting


class Connections:
    """So many places, for which threads queue by the law of `turns`. `go_on` raises when no one should wait longer."""

    def __init__(self, most: int, go_on: Callable[[], None]) -> None:
        self._turns, self._go_on = Turns[threading.Event](most), go_on
        self._lock = threading.Lock()

    @contextmanager
    def one(self, length: Length) -> Iterator[None]:
        """Inside the block a place is ours. Never ask for a second one there."""
        turn = threading.Event()
        with self._lock:
            self._turns.wait(length, turn)
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
                return self._turns.give_up(length, turn)
            self._turns.leave(length)
            return self._give()

    def _give(self) -> None:
        while turn := self._turns.next():
            turn.set()


class ConnectedSource(Wrapper):
    """Takes a place of each of `connections`, always in this order, for every call of another source and as long as a
    stream of its is open.

    One source behind it must make one request at a time: then there are no more connections to a host than places.
    """

    def __init__(self, source: Source, connections: Sequence[Connections], long: int = _LONG) -> None:
        super().__init__(source)
        self._connections, self._long = tuple(connections), long

    def around(self, verb: str, call: Callable[[Source], T], about: object = "") -> T:
        """A list is read whole while the places are held: whoever goes through it may take their time, or stop."""
        with self._connected():
            return whole(super().around(verb, call, about))

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """Too long to be held: the places are taken until it has been gone through, or left."""
        with self._connected():
            yield from self._source.list(repo, commit)

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

    @contextmanager
    def _connected(self, length: Length = Length.SHORT) -> Iterator[None]:
        with ExitStack() as held:
            for connections in self._connections:
                held.enter_context(connections.one(length))
            yield
