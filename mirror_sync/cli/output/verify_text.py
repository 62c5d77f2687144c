"""`verify`: its report as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from mirror_sync.cli.output.reports import SHORT, spoken_repo
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.outcome.report import BlobFault, VerifyReport
from mirror_sync.errors import Vanished
from mirror_sync.observe.figures import counted, in_bytes

_THEN = (
    "is the target mounted, and is its url right? A sync publishes again what jobs.yaml names; take out of it what is "
    "gone on purpose."
)


def verify_text(report: VerifyReport, page: TextLayout) -> str:
    if report.repos == 0 and not (report.faults or report.unreadable or report.interrupted):
        return "Nothing to verify: no target publishes anything yet; run mirror-sync sync, or look at url of targets."
    rows = list(_rows(report))
    parts = [page.table(("STATE", "REPO"), rows)] if rows else []
    if report.resumed:
        parts.append("Went on where an interrupted verify had stopped; its part is counted in.")
    if report.sampled < 1:
        parts.append(f"A sample of {100 * report.sampled:.4g}%: {counted(report.skipped, 'blob')} left out.")
    if report.frozen:
        parts.append(f"{counted(report.frozen, 'blob')} in a class of storage that gives nothing at once: not read.")
    parts.append(page.sentence(f"Verified {_seen(report)}: {_verdict(report)}."))
    if vanished := sum(fault.code == Vanished.code for fault in report.faults):
        gone = counted(vanished, "repo is gone", "repos are gone")
        parts.append(page.sentence(f"Of what was published {gone}: {_THEN}"))
    if report.interrupted:
        parts.append("Stopped before the end: run the same command again to go on.")
    return "\n".join(parts)


def _rows(report: VerifyReport) -> Iterator[Row]:
    """What needs a person first."""
    for state, faults in (("faulty", report.faults), ("unreadable", report.unreadable), ("repaired", report.repaired)):
        for fault in faults:
            at = f"@{fault.commit[:SHORT]}" if fault.commit else ""
            if fault.kind is None:
                yield Row((state, f"target {fault.target}"), fault.problem)
            else:
                yield Row((state, spoken_repo(fault.kind, fault.repo) + at), _note(fault))


def _note(fault: BlobFault) -> str:
    digest = f", sha256 {fault.sha256}" if fault.sha256 else ""
    repair = f"; {fault.repair}" if fault.repair else ""
    return f"{fault.path or 'a document of the snapshot'}{digest}, target {fault.target}: {fault.problem}{repair}"


def _seen(report: VerifyReport) -> str:
    return (
        f"{counted(report.repos, 'repo')}, {counted(report.snapshots, 'snapshot')}, "
        f"{counted(report.blobs, 'blob')}, {in_bytes(report.bytes)}"
    )


def _verdict(report: VerifyReport) -> str:
    """1 fault found, 2 repaired, 1 not readable."""
    found = [counted(len(report.faults), "fault") + " found"] if report.faults else []
    if report.repaired:
        found.append(f"{len(report.repaired):,} repaired")
    if report.unreadable:
        found.append(f"{len(report.unreadable):,} not readable")
    return ", ".join(found) or "all as published"
