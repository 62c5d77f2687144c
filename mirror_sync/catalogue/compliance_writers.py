"""The compliance report as people and machines read it: a page to print, CSV for a spreadsheet, one JSON document.

Each writer takes the repos one by one and gives pieces of text; what is counted on the way is said at the end. Nothing
of what upstreams, operators or a bucket say can be a formula, a tag or a control character in it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from mirror_sync.catalogue import formats
from mirror_sync.domain.bounds import plain
from mirror_sync.domain.outcome.compliance import (
    FilesReport,
    RepoCompliance,
    ReportHead,
    ReportTotals,
    SnapshotCompliance,
)
from mirror_sync.domain.policy.decisions import Decision
from mirror_sync.domain.policy.rules import Verdict
from mirror_sync.domain.times import iso_utc

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # what spreadsheets take for one, by its beginning
_JOINT = "; "
Redact = Callable[[Any], Any]
"""The same value without secrets, however deep it is."""
ReportWriter = Callable[[ReportHead, Iterable[RepoCompliance], ReportTotals, Redact], Iterator[str]]


def as_json(head: ReportHead, repos: Iterable[RepoCompliance], totals: ReportTotals, redact: Redact) -> Iterator[str]:
    """One document, a line for each repo; in ASCII, so that no character in it rules a terminal."""
    said = partial(json.dumps, separators=(",", ":"))
    yield f"{said(redact(head.encode())).removesuffix('}')},\n"
    joint = '"repos":[\n'
    for repo in repos:
        yield joint + said(redact(repo.encode(head.made)))
        joint = ",\n"
    yield '"repos":[' if joint.startswith('"') else "\n"
    yield f'],\n"totals":{said(totals.encode())},\n"ok":{said(totals.ok)}}}\n'


def as_csv(head: ReportHead, repos: Iterable[RepoCompliance], _: ReportTotals, redact: Redact) -> Iterator[str]:
    """RFC 4180: a line for each snapshot, and one for a repo that has none."""
    yield _line(_COLUMNS)
    for repo in repos:
        for one in repo.snapshots or (None,):
            yield _line(redact(_cells(head, repo, one)))


def as_html(head: ReportHead, repos: Iterable[RepoCompliance], totals: ReportTotals, redact: Redact) -> Iterator[str]:
    """One page that asks for nothing beside itself."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("mirror_sync.catalogue"),
        undefined=StrictUndefined,
        autoescape=True,
        optimized=False,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            plain(redact(value)) if isinstance(value, str) and not hasattr(value, "__html__") else value
        ),
    )
    made.filters.update(joined=_listed, size=formats.size, count=formats.count, span=formats.span, moment=_moment)
    made.globals.update(decision=partial(_decision, now=head.made), verdict=_verdict, classes=_classes)
    page = made.get_template("compliance.html.j2").stream(
        head=head, repos=repos, totals=totals, made=iso_utc(head.made)
    )
    page.enable_buffering(64)
    yield from page


WRITERS: Mapping[str, ReportWriter] = {"html": as_html, "csv": as_csv, "json": as_json}
"""By the name of the format; the totals are those of the repos that were taken, when the last piece is given."""

_COLUMNS = (
    *("kind", "repo", "commit", "names", "licence", "licence_verdict", "verdicts", "decisions"),
    *("files", "bytes", "classes", "run_code", "code_files", "committed", "published"),
    *("sums_signed", "model_signed", "bom", "statement_serial", "statement_issued", "statement_agrees"),
    *("state", "last_check", "lag_seconds", "held", "withdrawn", "absent", "downloads", "bytes_read", "clients"),
    "problem",
)


def _cells(head: ReportHead, repo: RepoCompliance, one: SnapshotCompliance | None) -> list[object]:
    """In the order of the columns; None for what is not known, and for what a repo without a snapshot has not."""
    verdict = None if one is None else one.licence_verdict
    decided = repo.decisions if one is None else repo.decisions_on(one.commit)
    said, content, readers = repo.statement, None if one is None else one.content, repo.readers
    problems = repo.problems if one is None else (*repo.problems, *filter(None, (one.problem,)))
    return [
        *(repo.kind, repo.repo),
        *((None, None, None) if one is None else (one.commit, _joined(one.names), _joined(one.licences))),
        None if verdict is None else verdict.outcome.value,
        None if one is None else _joined(map(_verdict, one.verdicts)),
        _joined(_decision(decision, head.made) for decision in decided),
        *((None, None) if one is None else (one.files, one.bytes)),
        None if content is None else _classes(content),
        None if content is None else content.running,
        None if content is None else _joined(content.named),
        *((None, None) if one is None else (one.committed, one.published)),
        *((None, None, None) if one is None or one.files is None else (one.sums_signed, one.model_signed, one.bom)),
        *((None, None, None) if said is None else (said.serial, said.issued, said.agrees)),
        _joined(dict.fromkeys(line.state.value for line in repo.lines)),
        repo.last_check,
        None if one is None else repo.lag_of(one.commit),
        _joined(f"{note.commit} since {note.since}" for note in repo.held),
        _withdrawn(repo),
        "" if repo.gone is None else f"{repo.gone.code} since {iso_utc(repo.gone.since)}",
        *((None, None, None) if readers is None else (readers.downloads, readers.bytes, readers.clients)),
        _joined(problems),
    ]


def _line(cells: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([_cell(one) for one in cells])
    return buffer.getvalue()


def _cell(value: object) -> str:
    """Text that no spreadsheet computes, in one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return plain(f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text)


def _joined(words: Iterable[str]) -> str:
    return _JOINT.join(words)


def _listed(words: Iterable[str]) -> str:
    """Not jinja's own `join`, whose result counts as safe, and would be shown as it is."""
    return ", ".join(words)


def _withdrawn(repo: RepoCompliance) -> str:
    if not repo.taken_down:
        return ""
    return "taken down, for a reason that cannot be read" if repo.tombstone is None else repo.tombstone.said


def _verdict(one: Verdict) -> str:
    return f"{one.rule}: {one.outcome}, {one.reason}"


def _decision(one: Decision, now: datetime) -> str:
    """`approve licence, any commit, until 2026-11-30, ended: Ada: the terms are read (LEGAL-42)`."""
    until = "" if one.until is None else f", until {one.last_day}"
    ended = ", ended" if one.has_ended(now) else ""
    commit = f"commit {one.commit}" if one.commit else "any commit"
    return f"{one.outcome} {one.rule}, {commit}{until}{ended}: {one.said}"


def _classes(content: FilesReport) -> str:
    """`data 3, pickle 1`; by names alone where nobody looked inside."""
    if content.classes is None:
        return "not inspected"
    return ", ".join(f"{of} {files:,}" for of, (files, _) in content.classes.items())


def _moment(time: str | None) -> str:
    return "-" if not time else formats.moment(time)
