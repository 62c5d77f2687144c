"""A place at which daemons agree on who of them works: one small object, written only by who knows what it is."""

from __future__ import annotations

from typing import NamedTuple, Protocol

LEASE_KEY = "daemon/lease.json"
PROBE_KEY = "daemon/probe-"  # and a name of the moment; gone again after the start of a daemon
MAX_LEASE = 4 * 1024 * 1024  # bytes; some hundred for each job


class Tagged(NamedTuple):
    """What stands there, and the mark by which the store tells it from all that stood there before."""

    body: bytes
    tag: str


class WrittenByAnother(Exception):
    """A write that was refused, since something else stands there than its writer expects. Nothing was written."""


class LeasePlace(Protocol):
    """Safe for many threads and machines. Raises StoreError; no call takes longer than the place was opened for."""

    def prove(self) -> None:
        """Try whether this place refuses the writes that it must. StoreError, in one line, where it does not."""
        ...

    def read(self) -> Tagged | None:
        """None when, and only when, nothing stands there."""
        ...

    def write(self, body: bytes, expected: str | None) -> str:
        """Write where what stands there has this mark, nothing for None; returns the new mark. WrittenByAnother.

        After a StoreError nobody knows whether it was written: read, and compare. No body is ever written twice.
        """
        ...
