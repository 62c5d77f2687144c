"""How much one reader may ask of a front: requests a minute, answers at once, bytes a second.

What is over comes later and not never: a request waits for its turn for up to PATIENCE, which is as long as clients
wait for an answer; one whose turn is later than that is told to ask again. See decision 31.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from mirror_sync.domain.access.access_tokens import Badge, Reader

PATIENCE = 10.0  # seconds; huggingface_hub gives up after as many
AGAIN = 1  # seconds after which who was refused may ask again
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """Of each reader: `requests` a minute, `connections` answers at once, `bandwidth` bytes a second; None: any."""

    requests: int | None = None
    connections: int | None = None
    bandwidth: int | None = None

    def __bool__(self) -> bool:
        return any(one is not None for one in (self.requests, self.connections, self.bandwidth))

    @property
    def at_once(self) -> int:
        """Requests that need not wait: those of a second."""
        return max(1, ceil((self.requests or 0) / _MINUTE))

    @property
    def waiting(self) -> int:
        """Requests that may wait for their turn."""
        return int((self.requests or 0) * PATIENCE / _MINUTE)

    def request_turn(self, due: float, now: float) -> tuple[float, float]:
        """When a request of a reader may be answered, and what `due` is for the next one; both by the clock of `now`.

        `due` is when all that was asked before would have had its turn, one after the other.
        """
        each = _MINUTE / (self.requests or _MINUTE)
        after = max(due, now) + each
        return max(now, after - self.at_once * each), after

    def byte_turn(self, due: float, now: float, count: int) -> tuple[float, float]:
        """The same for so many bytes of an answer."""
        begins = max(due, now)
        return begins, begins + count / (self.bandwidth or 1)


UNLIMITED = ReaderLimits()


def counted_as(reader: Reader, client: str) -> str:
    """Whom a request counts for: the name of a token of ours that is good, else the address it comes from."""
    return f"token {reader.name}" if reader.badge is Badge.HELD else f"address {client}"
