"""Checks the signatures beside the segments of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mirror_sync.domain.audit_record import records_of
from mirror_sync.domain.freshness import moment
from mirror_sync.errors import SigningError
from mirror_sync.signing.allowed_signers import AllowedSigners, read_signers
from mirror_sync.signing.sshsig import read_signature


@dataclass(frozen=True, slots=True)
class SegmentCheck:
    """Implements `SignatureCheck` by a file of keys, as ssh-keygen reads it."""

    signers: AllowedSigners

    @classmethod
    def read(cls, path: Path) -> SegmentCheck:
        """UsageError where the file cannot be read, or names no key."""
        return cls(read_signers(path))

    def __call__(self, segment: bytes, signature: bytes | None) -> str:
        """What is wrong, in a few words; empty where the key was valid at the last act of the segment."""
        if signature is None:
            return "is not signed"
        try:
            self.signers.expect(read_signature(signature), segment, _last(segment))
        except SigningError as error:
            return str(error)
        return ""


def _last(segment: bytes) -> datetime:
    records, _ = records_of(segment)
    found = moment(records[-1].at) if records else None
    return found or datetime.now(UTC)
