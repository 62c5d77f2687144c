"""What a rescan found: data for a person and a script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from mirror_sync.domain.subject import Subject


class RescanResult(StrEnum):
    """What became of a snapshot, the best first."""

    CLEAN = "clean"
    BAD = "bad"  # what is published would be held or refused today; it stays
    FAILED = "failed"  # it could not be read, or a scan failed


@dataclass(frozen=True, slots=True)
class RescannedSnapshot(Subject):
    """A published commit that a name leads to, judged anew; `reason` in one line."""

    commit: str
    result: RescanResult
    reason: str


@dataclass(frozen=True, slots=True)
class RescanReport:
    """All snapshots that were judged; `interrupted`: there are more."""

    snapshots: tuple[RescannedSnapshot, ...]
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether all was judged, and all is clean."""
        return not self.interrupted and not any(self.bad)

    @property
    def bad(self) -> Iterator[RescannedSnapshot]:
        """Those that are not clean."""
        return (one for one in self.snapshots if one.result is not RescanResult.CLEAN)

    def faults(self, targets: Mapping[str, str]) -> dict[str, int]:
        """How many are not clean in each target that was judged; `targets` by the names of jobs."""
        bad = Counter(targets[one.job] for one in self.bad)
        return {targets[one.job]: bad[targets[one.job]] for one in self.snapshots}

    def encode(self) -> dict[str, Any]:
        """The document of `rescan --json`."""
        snapshots = [asdict(one) for one in self.snapshots]
        return {"ok": self.ok, "interrupted": self.interrupted, "snapshots": snapshots}
