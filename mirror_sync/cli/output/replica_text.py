"""Replicas as a person reads them: how far each is, and how it compares with its target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.outcome.replicas import ReplicaStatus
from mirror_sync.engine.places.across import AcrossReport
from mirror_sync.observe.figures import age, counted, in_bytes, in_time

_HEADER = ("STATE", "AS OF", "BEHIND", "SNAPSHOTS", "LAST PASS", "REPLICA")
_DISPENSABLE = ("SNAPSHOTS", "LAST PASS")
_SHOWN = 20  # faults


def replicas_text(statuses: Sequence[ReplicaStatus], page: TextLayout, now: datetime) -> str:
    """One row each, with why it is behind."""
    rows = [Row(_cells(one, now), one.reason) for one in statuses]
    return page.table(_HEADER, rows, dispensable=_DISPENSABLE)


def copied_text(statuses: Sequence[ReplicaStatus], page: TextLayout, now: datetime) -> str:
    """What `replicate` came to."""
    sums = [
        f"{one.target}/{one.name}: {counted(one.copied_blobs, 'blob')} copied, {in_bytes(one.copied_bytes)}."
        for one in statuses
    ]
    return "\n".join((replicas_text(statuses, page, now), *map(page.sentence, sums)))


def across_text(reports: Sequence[AcrossReport], page: TextLayout) -> str:
    """What `verify --across` found."""
    parts = [page.table(("STATE", "REPO"), rows)] if (rows := [row for one in reports for row in _rows(one)]) else []
    return "\n".join((*parts, *(page.sentence(_verdict(one)) for one in reports)))


def _cells(one: ReplicaStatus, now: datetime) -> tuple[str, ...]:
    behind = one.seconds_behind(now)
    return (
        one.state,
        one.published or "never",
        in_time(behind) if one.behind_since else "-",
        f"{one.snapshots:,}" if one.snapshots else "-",
        age(one.tried or None, now),
        f"{one.target}/{one.name}",
    )


def _rows(report: AcrossReport) -> Iterator[Row]:
    place = f"{report.target}/{report.replica}"
    for repo in report.behind[:_SHOWN]:
        yield Row(("behind", repo), f"{place} has not what the target publishes now: the next pass brings it")
    for fault in report.faults[:_SHOWN]:
        what = f"{fault.path or 'a document'}, sha256 {fault.sha256}" if fault.sha256 else "refs.json"
        yield Row(("faulty", fault.repo), f"{place}: {what}: {fault.problem}")


def _verdict(report: AcrossReport) -> str:
    place = f"{report.target}/{report.replica}"
    if report.unreadable:
        return f"{place} was not compared to its end: {report.unreadable}"
    seen = f"{counted(report.repos, 'repo')}, {counted(report.blobs, 'blob')}"
    if report.faulty:
        mend = f"mirror-sync replicate --target {report.target} --replica {report.replica} --anew"
        return f"{place}: {seen}: {counted(report.faulty, 'fault')} found; mend it by {mend}"
    if report.behind:
        return f"{place}: {seen}: whole, and behind by {counted(len(report.behind), 'repo')}"
    return f"{place}: {seen}: the same as the target"
