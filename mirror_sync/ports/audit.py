"""An audit: where it is written what is done in one target and by whom, before it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mirror_sync.domain.audit_record import AuditHead, AuditRecord

Signer = Callable[[bytes], bytes]
"""Signs the bytes of a segment; what it returns lies beside the segment. Raises MirrorError when it cannot."""
SignatureCheck = Callable[[bytes, bytes | None], str]
"""What is wrong with the signature of a segment (None where there is none), in a few words; empty when it is good."""


class Audit(Protocol):
    """The record of one target on one machine. Safe for many threads and processes.

    Whoever does an act records it first: what cannot be recorded is not done. Such a record survives the end of the
    process and of the machine's power at any moment. It may lie on this machine alone for a while; what a process that
    ended has left there, the next one brings into the target, before it does anything.
    """

    def record(self, *records: AuditRecord) -> None:
        """Write these down, and return when they are sure to stay.

        Raises StoreError: then none of the acts may be done. NotRecorded where trying again will not help, Vanished
        where the target lacks all that was there.
        """
        ...

    def begin_anew(self) -> None:
        """The target was emptied on purpose: the chain goes on there, with a gap, as long as this run does."""
        ...

    def seal(self) -> None:
        """A run is over: what was recorded and is not in the target yet goes there. Raises nothing.

        What the target does not take stays here, and is told; nothing more is recorded before it is there.
        """
        ...

    def state(self, name: str) -> str:
        """What was remembered last under a name: what an act that is only one when something changes compares with.

        Empty for nothing, also where it was lost: then such an act is recorded once more. Never raises.
        """
        ...

    def remember(self, name: str, state: str) -> None:
        """Keep a state under a name; an empty one forgets it. It is kept at the latest with `seal`. Never raises."""
        ...

    @property
    def head(self) -> AuditHead | None:
        """The newest segment that this machine brought into the target; None for none, or where nobody can tell."""
        ...


class NoAudit:
    """Implements `Audit` by writing nothing down: for verbs that change nothing, and for tests of the engine alone."""

    head = None

    def record(self, *records: AuditRecord) -> None:
        pass

    def begin_anew(self) -> None:
        pass

    def seal(self) -> None:
        pass

    def state(self, name: str) -> str:
        return ""

    def remember(self, name: str, state: str) -> None:
        pass
