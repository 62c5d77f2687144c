"""The report of `prune` as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from mirror_sync.cli.output.reports import SHORT, spoken_repo
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.bounds import plain
from mirror_sync.domain.outcome.report import PrunedRepo, PruneReport
from mirror_sync.observe.figures import counted, in_bytes

_NAMED = 10  # commits of a repo that are listed


def prune_text(report: PruneReport, page: TextLayout) -> str:
    rows = list(_rows(report))
    parts = [page.table(("TARGET", "SNAPSHOTS", "BLOBS", "BYTES", "REPO"), rows)] if rows else []
    parts += [f"problem: {plain(problem)}" for problem in report.problems]
    parts += [page.sentence(keep_text(asdict(keep), dry_run=report.dry_run)) for keep in report.keeps]
    parts += list(_left(report))
    parts.append(_total(report))
    if report.interrupted:
        parts.append("Stopped before the end: run the same command again to go on.")
    return "\n".join(parts)


def _rows(report: PruneReport) -> Iterator[Row]:
    for repo in report.repos:
        name = spoken_repo(repo.kind, repo.repo)
        cells = (repo.target, f"{len(repo.snapshots):,}", f"{repo.blobs:,}", in_bytes(repo.bytes), name)
        yield Row(cells, "; ".join(filter(None, (_commits(repo), repo.why and f"let go of: {repo.why}"))))
    blobs = report.blobs - sum(repo.blobs for repo in report.repos)
    if blobs:
        size = report.bytes - sum(repo.bytes for repo in report.repos)
        yield Row(("-", "-", f"{blobs:,}", in_bytes(size), "(left by runs that did not end, or earlier prunes)"))


def _commits(repo: PrunedRepo) -> str:
    if not repo.snapshots:
        return ""
    some = ", ".join(commit[:SHORT] for commit in repo.snapshots[:_NAMED])
    more = len(repo.snapshots) - _NAMED
    return f"snapshots {some} and {more:,} more" if more > 0 else f"snapshots {some}"


def keep_text(keep: Mapping[str, Any], *, dry_run: bool = False) -> str:
    """What came of the bound of a target in a sentence or two; `keep` is a KeepReport as a document."""
    name, limit, stored, left = (keep[word] for word in ("target", "limit", "bytes", "left"))
    stores = "would store" if dry_run and keep["repos"] else "stores"
    bound = f"target {name} may store {in_bytes(limit)} and {stores} {in_bytes(left if keep['repos'] else stored)}"
    gone = counted(len(keep["repos"]), "repo")
    went = f", once {gone} had been let go of" if dry_run else f", after {gone} had been let go of"
    said = f"{bound}{went if keep['repos'] else ''}"
    if keep["problem"]:
        return f"{said}; nothing is let go of, since it is not known what is read: {plain(keep['problem'])}."
    if left <= limit:
        return f"{said}."
    stays = "; ".join(f"{counted(count, 'repo')}: {why}" for why, count in sorted(keep["stays"].items()))
    return f"{said}, which is {in_bytes(left - limit)} too much. What stays: {stays}."


def _left(report: PruneReport) -> Iterator[str]:
    if report.young:
        yield f"{counted(report.young, 'blob')} that nothing refers to: kept, younger than the grace period."
    if report.spared:
        yield f"{counted(report.spared, 'blob')} spared this time: something else was quicker."


def _total(report: PruneReport) -> str:
    snapshots = sum(len(repo.snapshots) for repo in report.repos)
    what = (
        f"{counted(snapshots, 'snapshot')} of {counted(len(report.repos), 'repo')} and {counted(report.blobs, 'blob')} "
        f"({in_bytes(report.bytes)})"
        if snapshots or report.blobs
        else "nothing"
    )
    return f"Dry run, nothing was removed: a prune would remove {what}." if report.dry_run else f"Removed {what}."
