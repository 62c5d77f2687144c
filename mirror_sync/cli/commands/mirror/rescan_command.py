"""`rescan`: what scanners say today of what is published."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, OnlyRepo, command, repo_of
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.outcome.rescan_report import RescanReport


@command
def rescan(
    invocation: Invocation,
    repo: OnlyRepo = None,
    again: Annotated[bool, typer.Option("--again", help="What is held is scanned anew by the next sync.")] = False,
    as_json: Json = False,
) -> None:
    """Scan again what is published.

    It is judged by the policy and the scanners of today. Nothing is taken away: a new commit that still has what was
    found is held, and hooks of `held` are told.
    """
    with invocation.mirror("scanning") as mirror:
        report = mirror.rescan(None if repo is None else repo_of(repo), again=again)
    invocation.answer(report, lambda page: _text(report, page), as_json=as_json)
    end(report.ok)


def _text(report: RescanReport, page: TextLayout) -> str:
    rows = [Row((one.result, one.commit[:8], f"{one.spoken} ({one.job})"), one.reason) for one in report.bad]
    parts = [page.table(("RESULT", "COMMIT", "REPO"), rows, words=("COMMIT",))] if rows else []
    counts = f"{len(report.snapshots):,} judged, {len(rows):,} of them not clean"
    parts.append(page.sentence(f"Published snapshots: {counts}."))
    if report.interrupted:
        parts.append("Stopped before the end: there may be more.")
    return "\n".join(parts)
