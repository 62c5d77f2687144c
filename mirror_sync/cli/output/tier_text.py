"""What went cold, and what came back, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.bounds import plain
from mirror_sync.domain.outcome.tier_report import Move, MovedRepo, TierReport
from mirror_sync.observe.figures import counted, in_bytes


def tiers_text(reports: Sequence[TierReport], page: TextLayout, asked: str = "") -> str:
    """What `archive` came to: a row for each repo, and a sentence for each target; one more where nothing of the repo
    that was `asked` for went.
    """
    rows = [row for report in reports for row in _rows(report)]
    parts = [page.table(("TARGET", "TIER", "FILES", "BYTES", "REPO"), rows)] if rows else []
    if asked and not rows and all(report.ok for report in reports):
        parts.append(page.sentence(f"{asked}: nothing more of it goes: it is cold, small, or needed by another repo."))
    parts += [f"problem: {plain(fault)}" for report in reports for fault in report.faults]
    parts += [page.sentence(tier_text(asdict(report), dry_run=report.dry_run)) for report in reports]
    return "\n".join(parts)


def tier_text(tiers: Mapping[str, Any], *, dry_run: bool = False) -> str:
    """How much lies where in a target, in a sentence or two; `tiers` is a TierReport as a document."""
    holds = "would have" if dry_run else "has"
    name, warm, cold = tiers["target"], in_bytes(tiers["warm"]), in_bytes(tiers["cold"])
    said = f"target {name} {holds} {warm} warm and {cold} cold"
    waiting = sum(one["waiting"] for one in tiers["repos"])
    said += f", of which {counted(waiting, 'file')} asked for, to come within hours" if waiting else ""
    if tiers["later"]:
        said += f"; {counted(tiers['later'], 'repo')} more, read since, may come back with the next pass"
        said += " (tiers.warm_back_most)"
    if tiers["unsure"]:
        said += f"; nothing goes cold by itself, since it is not known what is read: {plain(tiers['unsure'])}"
    return f"{said}."


def thawed_text(moved: MovedRepo) -> str:
    """What `thaw` came to."""
    if moved.waiting:
        some = f"{counted(moved.waiting, 'file')} asked for, which the bucket restores within hours"
        return f"{moved.repo}: {some}; thaw it again then, or leave it to the next pass."
    if not moved.blobs:
        return f"{moved.repo}: nothing of it is cold."
    return f"{moved.repo}: {counted(moved.blobs, 'file')} brought back, {in_bytes(moved.bytes)}."


def _rows(report: TierReport) -> Iterator[Row]:
    for one in report.repos:
        blobs = one.blobs + one.waiting
        words = {Move.ARCHIVED: "cold", Move.THAWED: "warm" if not one.waiting else "asked for"}
        yield Row((report.target, words[one.move], f"{blobs:,}", in_bytes(one.bytes), one.repo), plain(one.why))
