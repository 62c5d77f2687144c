"""The attachment `scans` of a snapshot: which scanners found its files clean, in which version, and when.

{"format": 1, "scanners": [{"name": "picklescan", "version": "1.0.5", "at": "2026-01-01T00:00:00Z", "files": 3}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from mirror_sync.domain.bounds import text, whole
from mirror_sync.domain.content.document_format import few
from mirror_sync.domain.formats.class_list import exact
from mirror_sync.domain.policy.scan_policy import ScannerReport
from mirror_sync.errors import DocumentError

SCANS = "scans"  # the name of the attachment
_FORMAT = 1
_MOST = 32  # scanners


@dataclass(frozen=True, slots=True)
class CleanScan:
    """A scanner; `files` are those that it looked at for this snapshot, and for none before it."""

    name: str
    version: str
    at: str
    files: int


@dataclass(frozen=True, slots=True)
class ScanList:
    """All scanners of a snapshot."""

    scanners: tuple[CleanScan, ...] = ()

    @classmethod
    def of(cls, reports: Iterable[ScannerReport]) -> ScanList:
        """Those to whom all is clean: who has found something, or failed, is asked again about each of the files."""
        clean = (one for one in reports if not one.bad)
        return cls(tuple(CleanScan(one.scanner, one.version, one.at, one.files) for one in clean))

    def has(self, name: str, version: str) -> bool:
        """Whether a scanner of this version has looked."""
        return any((one.name, one.version) == (name, version) for one in self.scanners)

    def encode(self) -> bytes:
        """The document."""
        document = {"format": _FORMAT, "scanners": [asdict(one) for one in self.scanners]}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes) -> ScanList:
        """DocumentError for what is no such document."""
        try:
            document = json.loads(body)
            exact(document["format"], _FORMAT)
            return cls(tuple(map(_entry, few(document["scanners"], _MOST))))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"not a document of scans: {error!r:.200}") from error


def _entry(one: dict[str, object]) -> CleanScan:
    return CleanScan(text(one["name"]), text(one["version"]), text(one["at"]), whole(one["files"]))
