"""Checks the signatures beside the segments of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mirror_sync.domain.audit_record import records_of
from mirror_sync.domain.freshness import moment
from mirror_sync.errors import SigningError, UsageError
from mirror_sync.signing.allowed_signers import AllowedSigners
from mirror_sync.signing.sshsig import read_signature

_LARGEST = 1024 * 1024  # bytes of a file of keys


@dataclass(frozen=True, slots=True)
class SegmentCheck:
    """Implements `SignatureCheck` by a file of keys, as ssh-keygen reads it."""

    signers: AllowedSigners

    @classmethod
    def read(cls, path: Path) -> SegmentCheck:
        """UsageError where the file cannot be read, or names no key."""
        try:
            with path.open("rb") as file:
                found = AllowedSigners.decode(file.read(_LARGEST))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from error
        except SigningError as error:
            raise UsageError(f"{path}: {error}") from error
        if not found.signers:
            raise UsageError(f'{path} names no key; a line is: NAME namespaces="mirror-sync" ssh-ed25519 AAAA...')
        return cls(found)

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
