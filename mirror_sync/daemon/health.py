"""Whether the daemon lives, and whether it serves its purpose: two questions with different answers to a "no".

Who does not live is started again. Who is not ready may have a target that is down, which no restart mends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mirror_sync.observe.metrics.ledger import MetricsSnapshot
from mirror_sync.observe.metrics.readings import Due

BEAT = 5.0  # seconds between two signs of life of the scheduler
LONGEST = 30.0  # seconds without one after which it is taken for dead


class Pulse:
    """The scheduler's heartbeat; `clock` in seconds, from any start. A process that starts is alive."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last = clock, clock()

    def beat(self) -> None:
        """Show that the scheduler lives."""
        self._last = self._clock()

    @property
    def age(self) -> float:
        """Seconds since the last beat."""
        return self._clock() - self._last

    @property
    def alive(self) -> bool:
        """Whether the last beat is at most LONGEST seconds old."""
        return self.age <= LONGEST


@dataclass(frozen=True, slots=True)
class Readiness:
    """`missing`: for each thing that is not as it should be, why, in one line."""

    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def readiness(
    page: MetricsSnapshot, jobs: Mapping[str, Due], stop: threading.Event, lease_trouble: str = ""
) -> Readiness:
    """Ready: not stopping, every job that was due has ended a run (also one before this start), all targets answer.

    So is a standby, that has nothing due, while it can see the lease.
    """
    return Readiness(dict(_missing(page, jobs, stop, lease_trouble)))


def _missing(
    page: MetricsSnapshot, jobs: Mapping[str, Due], stop: threading.Event, lease_trouble: str
) -> Iterator[tuple[str, str]]:
    if stop.is_set():
        yield "daemon", "it is stopping"
    if lease_trouble:
        yield "lease", lease_trouble
    for name, due in jobs.items():
        state = page.jobs.get(name)
        if due.overdue > 0 and (state is None or state.outcome is None):
            yield f"job {name}", "no run of it has ended yet"
    for target in sorted({due.target for due in jobs.values()}):
        if not page.up.get(target, False):
            yield f"target {target}", "it does not answer" if target in page.up else "it was not asked yet"
