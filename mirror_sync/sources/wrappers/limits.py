"""What a job, or all of them together, may take of an upstream: as wrappers where there is a limit, else as nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from mirror_sync.domain.job.bandwidth import Bandwidth
from mirror_sync.domain.job.job import Job
from mirror_sync.ports.source import Source
from mirror_sync.sources.wrappers.connections import ConnectedSource, Connections
from mirror_sync.sources.wrappers.limited import LimitedSource
from mirror_sync.sources.wrappers.pacing import Limiter, Timing


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
