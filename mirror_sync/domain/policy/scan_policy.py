"""Who scans the files of a snapshot, and what is made of an answer: only `clean` lets it pass.

A scan that failed, that did not take place, or that is still to come is not clean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from mirror_sync.domain.bounds import plain, short
from mirror_sync.domain.policy.rules import Outcome, Verdict

SCAN = "scan"  # the name of this rule
FILE = "{file}"  # what stands for the file in a command
_SHOWN = 3  # findings that a reason names
_SAID = 200  # characters of one


class ScanResult(StrEnum):
    """What a scanner says of a file, the best first."""

    CLEAN = "clean"
    SUSPICIOUS = "suspicious"
    DANGEROUS = "dangerous"
    NOT_SCANNED = "not scanned"
    FAILED = "failed"

    @property
    def found(self) -> bool:
        """Whether the scanner did its work and found something."""
        return self in (ScanResult.SUSPICIOUS, ScanResult.DANGEROUS)


class OnFailure(StrEnum):
    """What becomes of a snapshot of which a scan failed, or did not take place."""

    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """What a scanner may take for one file; `memory` in bytes of address space, 0: any."""

    timeout: timedelta = timedelta(minutes=10)
    memory: int = 4 << 30

    def tightened(self, own: ScanLimits) -> ScanLimits:
        """The lower of both."""
        memory = min(filter(None, (self.memory, own.memory)), default=0)
        return ScanLimits(min(self.timeout, own.timeout), memory)


@dataclass(frozen=True, slots=True)
class ScanCommand:
    """A program that is started for each file: `words` with FILE for its path; `version` those that say its version."""

    words: tuple[str, ...]
    limits: ScanLimits = ScanLimits()
    version: tuple[str, ...] = ()

    def tightened(self, own: ScanCommand) -> ScanCommand:
        """The same command with the lower limits of both, and a version where either asks for one."""
        return ScanCommand(self.words, self.limits.tightened(own.limits), self.version or own.version)


@dataclass(frozen=True, slots=True)
class ScanPolicy:
    """Who is asked. `hub`: what the upstream itself says of its files; `limits` are those of picklescan."""

    hub: bool = False
    picklescan: bool = False
    command: ScanCommand | None = None
    on_failure: OnFailure = OnFailure.HOLD
    limits: ScanLimits = ScanLimits()

    def tightened(self, own: ScanPolicy) -> ScanPolicy:
        """The same with whom a job asks beside it; of a scanner that both ask the lower limits count."""
        command, limits = self.command or own.command, self.limits if self.picklescan else own.limits
        if self.command is not None and own.command is not None:
            command = self.command.tightened(own.command)
        if self.picklescan and own.picklescan:
            limits = self.limits.tightened(own.limits)
        on_failure = max(self.on_failure, own.on_failure, key=list(OnFailure).index)
        return ScanPolicy(self.hub or own.hub, self.picklescan or own.picklescan, command, on_failure, limits)


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """What a scanner says of a file, and why in a line; empty for what is clean."""

    path: str
    result: ScanResult
    why: str = ""


@dataclass(frozen=True, slots=True)
class ScannerReport:
    """What one scanner says of a snapshot. `at`: when, ISO 8601 in UTC. `files` are those that it was asked about.

    `bad` are all that are not clean.
    """

    scanner: str
    version: str
    at: str
    files: int
    bad: tuple[ScannedFile, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether of some file there is no answer."""
        return any(not one.result.found for one in self.bad)

    @property
    def said(self) -> str:
        """Who it is, and when it looked."""
        version = f" {plain(short(self.version, 40))}" if self.version else ""
        return f"{self.scanner}{version} ({self.at})"


def judge_scans(policy: ScanPolicy, reports: Sequence[ScannerReport]) -> Verdict:
    """What all scanners together come to: what was found holds, what failed does as `on_failure` says."""
    if not any(report.bad for report in reports):
        told = "; ".join(f"{report.said}: {report.files:,} files clean" for report in reports)
        return Verdict(SCAN, Outcome.ALLOWED, told or "no scanner was asked")
    refuse = policy.on_failure is OnFailure.REFUSE and any(report.failed for report in reports)
    said = "; ".join(_spoken(report) for report in reports if report.bad)
    return Verdict(SCAN, Outcome.REFUSED if refuse else Outcome.HELD, said)


def _spoken(report: ScannerReport) -> str:
    """The findings first, and of each kind the first."""
    order = sorted(report.bad, key=lambda one: not one.result.found)
    told = ", ".join(
        f"{plain(one.path)} is {one.result}" + (f" ({plain(short(one.why, _SAID))})" if one.why else "")
        for one in order[:_SHOWN]
    )
    more = f" and {len(order) - _SHOWN:,} more" if len(order) > _SHOWN else ""
    return f"{report.said}: {told}{more}"
