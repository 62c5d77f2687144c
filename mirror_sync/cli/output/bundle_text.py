"""The reports of `export` and `import` as a person reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.bounds import plain
from mirror_sync.domain.outcome.bundle_reports import ExportReport, Imported, ImportReport
from mirror_sync.observe.figures import counted, in_bytes

_NAMED = 20  # repos of a bundle that are named


def export_text(report: ExportReport, page: TextLayout) -> str:
    rows = [Row((part.name, in_bytes(part.bytes), part.sha256)) for part in report.parts]
    parts = [page.table(("PART", "BYTES", "SHA-256"), rows)]
    named = ", ".join(report.repos[:_NAMED])
    more = len(report.repos) - _NAMED
    parts.append(page.sentence(f"Repos: {named}{f' and {more:,} more' if more > 0 else ''}."))
    parts += map(page.sentence, _exported(report))
    return "\n".join(parts)


def _exported(report: ExportReport) -> Iterator[str]:
    size = sum(part.bytes for part in report.parts)
    yield (
        f"{report.folder}: {counted(len(report.repos), 'repo')}, {counted(report.blobs, 'blob')} "
        f"({in_bytes(report.bytes)}) in {counted(len(report.parts), 'part')} of together {in_bytes(size)}."
    )
    if report.needs:
        yield f"Left out, as the receiver must have it already: {counted(report.needs, 'blob')}."
    if report.resumed:
        yield f"{counted(report.resumed, 'part')} of an earlier call, of which {report.carried} are elsewhere by now."
    yield f"Signed with {report.signer}." if report.signer else "Not signed: jobs.yaml names no trust: {key: FILE}."


def import_text(report: ImportReport, page: TextLayout) -> str:
    worst = [*reversed(Imported)]
    repos = sorted(report.repos, key=lambda one: worst.index(one.outcome))
    shown = [one for one in repos if one.outcome is not Imported.UNCHANGED or one.why]
    rows = [Row((one.outcome, f"{one.snapshots:,}", one.repo), one.why) for one in shown]
    parts = [page.table(("OUTCOME", "SNAPSHOTS", "REPO"), rows)] if rows else []
    parts += [f"problem: {plain(problem)}" for problem in report.problems]
    counts = Counter(one.outcome for one in repos)
    listed = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    parts.append(page.sentence(f"{counted(len(repos), 'repo')}: {listed}." if repos else "No repos."))
    brought = f"Brought {counted(report.blobs, 'blob')} ({in_bytes(report.bytes)}); {report.there:,} were here before."
    signed = (
        f"Signed by {report.signer}." if report.signer else "Nobody's signature was looked at: there was no --signers."
    )
    parts.append(page.sentence(f"{brought} {signed}"))
    if not report.ok:
        parts.append("What came is kept: bring what is named, and run the same command again to go on.")
    return "\n".join(parts)
