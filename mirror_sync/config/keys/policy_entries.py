"""`policy` of jobs.yaml: what holds for all jobs beside their licences, to which a job may add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pydantic import Field

from mirror_sync.config.findings import Finding, Trail
from mirror_sync.config.keys.base_model import Keys
from mirror_sync.config.keys.format_entries import FormatsEntry, ScanEntry
from mirror_sync.domain.job.job import Job


class PolicyEntry(Keys):
    """What may be mirrored, beside the licences, and when."""

    formats: FormatsEntry | None = Field(
        default=None,
        description="What becomes of a snapshot by what its files are; nobody looks at them when left out.",
        examples=[{"refuse": ["executable"], "hold": ["pickle", "code", "unknown"], "allow": ["data", "text"]}],
    )
    scan: ScanEntry | None = Field(
        default=None,
        description="Who scans the files of a snapshot; nobody when left out.",
        examples=[{"hub": "hold", "picklescan": True}],
    )

    def inspecting(self, job: Job, own: PolicyEntry | None) -> Job:
        """A job whose files are judged by this policy, which is common to all, and by its own."""
        formats = None if self.formats is None else self.formats.policy()
        if own is not None and own.formats is not None:
            formats = own.formats.policy() if formats is None else own.formats.upon(formats)
        scans = (entry.scan.policy() for entry in (self, own) if entry is not None and entry.scan is not None)
        scan = None
        for one in filter(None, scans):
            scan = one if scan is None else scan.tightened(one)
        return replace(job, formats=formats, scan=scan)

    def inspection_doubts(self, trail: Trail) -> Iterator[Finding]:
        """What is odd about scan."""
        if self.scan is not None:
            yield from self.scan.doubts((*trail, "scan"))

    def inspection_faults(self, trail: Trail, common: PolicyEntry | None = None) -> Iterator[Finding]:
        """What is wrong with formats and scan; `common`: of a job, beside what holds for all of them."""
        if self.formats is not None:
            yield from self.formats.doubled((*trail, "formats"))
            if common is not None and common.formats is not None:
                yield from self.formats.loosened((*trail, "formats"), common.formats)
        if self.scan is not None:
            yield from self.scan.faults((*trail, "scan"))
            if common is not None and common.scan is not None:
                yield from self.scan.loosened((*trail, "scan"), common.scan)
