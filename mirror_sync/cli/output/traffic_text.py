"""`traffic`: its report as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mirror_sync.cli.output.reports import SHORT
from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.domain.outcome.traffic import COLD, FAR_ABOVE, Oddity, TrafficReport
from mirror_sync.observe.figures import counted, in_bytes

_SAID = {
    Oddity.SURGE: f"reads over {FAR_ABOVE} times its usual",
    Oddity.NEWCOMER: "was never seen before and reads a large part of all",
    Oddity.SWEEP: "asks for many names",
}
_LISTED = 20  # of each kind; --json has them all


def traffic_text(report: TrafficReport, page: TextLayout, *, every: bool) -> str:
    """Tables of repos, misses, unusual clients and cold snapshots, each only where there is something to show."""
    limit = None if every else _LISTED
    parts = list(filter(None, (_reads(report, page, limit), _misses(report, page, limit))))
    parts += map(page.sentence, _unusual(report))
    parts += _cold(report, page, limit)
    return "\n".join([*parts, *map(page.sentence, _end(report))])


def _reads(report: TrafficReport, page: TextLayout, limit: int | None) -> str:
    rows = [
        Row((f"{reads.downloads:,}", in_bytes(reads.bytes), f"{len(reads.clients):,}", str(repo)))
        for repo, reads in report.repos.items()
    ]
    return _table(page, ("DOWNLOADS", "BYTES", "CLIENTS", "REPO"), rows, limit)


def readers_text(report: TrafficReport, page: TextLayout, role_of: Mapping[str, str] | None) -> str:
    """Who reads, by the names of tokens or by their roles, and how often somebody was refused."""
    rows = [
        Row((f"{reads.downloads:,}", in_bytes(reads.bytes), f"{len(reads.clients):,}", name))
        for name, reads in report.readers(role_of).items()
    ]
    said = {"token": "for want of a good token", "role": "since they may not read what they asked for"}
    refused = [f"Refused: {counted(count, 'request')} {said[why]}." for why, count in report.refused.items()]
    header = ("DOWNLOADS", "BYTES", "CLIENTS", "USER" if role_of is None else "ROLE")
    return "\n".join(filter(None, [_table(page, header, rows, None), *map(page.sentence, (*refused, *_end(report)))]))


def _misses(report: TrafficReport, page: TextLayout, limit: int | None) -> str:
    rows = [Row((f"{miss.requests:,}", f"{len(miss.clients):,}", str(repo))) for repo, miss in report.misses.items()]
    return _table(page, ("MISSED", "CLIENTS", "NOT MIRRORED"), rows, limit)


def _unusual(report: TrafficReport) -> Iterator[str]:
    for one in report.unusual:
        said = _SAID[one.kind]
        much = f"{in_bytes(one.bytes)} of {counted(one.names, 'repo')} on {one.day}"
        usual = f"usually {in_bytes(one.usual)} of {counted(one.usual_names, 'repo')} a day"
        yield f"unusual: client {one.client} {said}: {much}; {usual}"


def _cold(report: TrafficReport, page: TextLayout, limit: int | None) -> Iterator[str]:
    if report.cold is None:
        yield f"Snapshots that nobody reads cannot be told: the logs do not reach back {COLD.days} days."
        return
    rows = [Row((f"{item.since:%Y-%m-%d}", item.commit[:SHORT], str(item.repo))) for item in report.cold]
    if rows:
        yield _table(page, ("COLD SINCE", "COMMIT", f"NOT READ FOR {COLD.days} DAYS"), rows, limit)


def _end(report: TrafficReport) -> Iterator[str]:
    if report.unread:
        yield f"{counted(report.unread, 'line')} not understood: not of a front's JSON log."
    if report.first is None or report.last is None:
        yield "No request for a repo in these logs."
        return
    downloads = sum(reads.downloads for reads in report.repos.values())
    clients = {client for reads in report.repos.values() for client in reads.clients}
    size = sum(reads.bytes for reads in report.repos.values())
    yield (
        f"{report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC: {counted(downloads, 'download')}, "
        f"{in_bytes(size)}, {counted(len(clients), 'client')}, {counted(len(report.repos), 'repo')}."
    )


def _table(page: TextLayout, header: tuple[str, ...], rows: Iterable[Row], limit: int | None) -> str:
    rows = list(rows)
    if not rows:
        return ""
    left = 0 if limit is None else max(len(rows) - limit, 0)
    table = page.table(header, rows[:limit])
    return f"{table}\nand {left:,} more: -v shows all" if left else table
