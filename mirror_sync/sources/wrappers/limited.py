"""A source whose bytes come no faster than limits allow, and what limits a job, or all of them together, have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Self

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.bandwidth import Bandwidth
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Repo
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.wrappers.connections import ConnectedSource, Connections
from mirror_sync.sources.wrappers.pacing import Limiter, Timing
from mirror_sync.sources.wrappers.source_wrapper import Wrapper


class LimitedSource(Wrapper):
    """Holds the streams of another source to all of `limiters` at once; what is small, its other answers, passes.

    The waits are between reads, so that no time-out and no least rate of a connection counts them. Nothing is opened
    in a pause, and what is open is closed, to be opened again where it stopped: a server ends what lies idle. What a
    server without ranges sends before the bytes that were wanted is thrown away below, and counts for nothing here.
    """

    def __init__(self, source: Source, limiters: Sequence[Limiter]) -> None:
        super().__init__(source)
        self._limiters = tuple(limiters)

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """A stream that waits; Interrupted when it was asked to stop meanwhile."""

        def reopen(position: int) -> AbstractContextManager[ByteStream]:
            return self._source.fetch(repo, commit, file, position, stop)

        return _Limited(reopen, start, self._limiters)


class _Limited(AbstractContextManager[ByteStream]):
    """A stream over a stream, which is opened again after a pause."""

    def __init__(
        self,
        reopen: Callable[[int], AbstractContextManager[ByteStream]],
        position: int,
        limiters: tuple[Limiter, ...],
    ) -> None:
        self._reopen, self._position, self._limiters = reopen, position, limiters
        self._opened, self._counted = ExitStack(), ExitStack()
        self._stream: ByteStream | None = None

    def __enter__(self) -> ByteStream:
        with ExitStack() as undo:
            for limiter in self._limiters:
                undo.enter_context(limiter.reading())
            self._open()
            self._counted = undo.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._counted:
            self._opened.close()

    def readinto(self, buffer: memoryview) -> int:
        while True:
            stream = self._open()
            size = min(len(buffer), *(limiter.share() for limiter in self._limiters))
            if self._take(size):
                break
        count = 0
        try:
            count = stream.readinto(buffer[:size])
        finally:
            for limiter in self._limiters:
                limiter.give_back(size - count)
        self._position += count
        return count

    def _take(self, size: int) -> bool:
        """Whether all limiters granted it; False when one pauses by now: then none has."""
        for at, limiter in enumerate(self._limiters):
            if not limiter.take(size):
                for granted in self._limiters[:at]:
                    granted.give_back(size)
                return False
        return True

    def _open(self) -> ByteStream:
        """The stream at our position, outside of all pauses."""
        while any(limiter.paused for limiter in self._limiters):
            self._stream = None
            self._opened.close()
            for limiter in self._limiters:
                limiter.wait()
        if self._stream is None:
            self._stream = self._opened.enter_context(self._reopen(self._position))
        return self._stream


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that hold at once, each shared by all sources that it was given to."""

    limiters: tuple[Limiter, ...] = ()
    connections: tuple[Connections, ...] = ()

    @classmethod
    def of(cls, bandwidth: Bandwidth, connections: int | None, timing: Timing, go_on: Callable[[], None]) -> Self:
        """`connections` None: as many as one likes. `go_on` raises where nobody should wait any longer."""
        return cls(
            () if bandwidth.unlimited else (Limiter(bandwidth, timing),),
            () if connections is None else (Connections(connections, go_on),),
        )

    def __add__(self, other: Limits) -> Limits:
        return Limits(self.limiters + other.limiters, self.connections + other.connections)

    def __bool__(self) -> bool:
        return bool(self.limiters or self.connections)

    def on(self, source: Source) -> Source:
        """A stream that is paused gives its connection back: so the limits stand outside."""
        if self.connections:
            source = ConnectedSource(source, self.connections)
        return LimitedSource(source, self.limiters) if self.limiters else source


class JobLimits:
    """Gives each job its own limits, always the same one while its limits are the same. Safe for many threads."""

    def __init__(self, make: Callable[[Bandwidth, int | None], Limits]) -> None:
        self._make = make
        self._made: dict[tuple[str, Bandwidth, int | None], Limits] = {}
        self._lock = threading.Lock()

    def of(self, job: Job) -> Limits:
        key = (job.name, job.bandwidth, job.connections)
        with self._lock:
            if key not in self._made:
                self._made[key] = self._make(job.bandwidth, job.connections)
            return self._made[key]
