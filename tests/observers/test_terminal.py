"""A person at a terminal gets one short line for each repo, and the log only for what the bars and lines do not say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from mirror_sync.domain.outcome.events import (
    CatalogueFailed,
    CataloguePublished,
    FileFinished,
    ReposListed,
    Retrying,
    RunFinished,
)
from mirror_sync.domain.outcome.report import RepoOutcome, RunReport
from mirror_sync.observe.log.terminal import TerminalLog
from tests.observers.happenings import REPO, RUN, STARTED, began, came, finished, planned, stored

WIDTH = 80


@pytest.fixture(autouse=True)
def log() -> Iterator[list[structlog.typing.EventDict]]:
    """What went to the log."""
    with capture_logs() as written:
        yield written


def said(*events: object) -> list[str]:
    lines: list[str] = []
    tell = TerminalLog(lines.append, lambda: WIDTH)
    for event in events:
        tell(event)  # type: ignore[arg-type]
    return lines


def test_a_repo_is_one_line_that_fits_the_terminal(log: list[structlog.typing.EventDict]) -> None:
    done = finished(RepoOutcome.PUBLISHED)
    report = replace(done.report, fetched_files=5, fetched_bytes=6_000_000, seconds=14.2)
    whole = (STARTED, ReposListed(RUN, "job", 3), planned(1, 9), began("a", 9), came("a", 9), stored("a", 9))
    lines = said(*whole, replace(done, report=report), finished(RepoOutcome.UNCHANGED))
    assert [line[10:] for line in lines] == ["published    acme/one@main  5 files, 6.0 MB in 14s"]
    assert {line["log_level"] for line in log} <= {"debug"}


@pytest.mark.parametrize("outcome", [RepoOutcome.FAILED, RepoOutcome.HELD, RepoOutcome.REFUSED])
def test_a_reason_is_cut_to_the_line_and_cannot_drive_the_terminal(outcome: RepoOutcome) -> None:
    (line,) = said(finished(outcome, reason="why\x1b[2J\n" + "word " * 100))
    assert len(line) == WIDTH - 1
    assert line.isprintable()
    assert line[10:].startswith(f"{outcome:<11}  acme/one@main  why")


def test_what_goes_wrong_with_a_file_or_a_call_is_a_line_too() -> None:
    lines = said(
        Retrying("GET https://hub/x", "unreachable", "timed out", 1, 0.3),
        Retrying("GET https://hub/x", "unreachable", "timed out", 2, 2.0),
        FileFinished(RUN, REPO, "w.bin", 9, error="expected 00"),
    )
    assert [line[10:] for line in lines] == [
        "again        in 1s: GET https://hub/x: timed out",
        "again        in 2s: GET https://hub/x: timed out",
        "failed       acme/one w.bin: expected 00",
    ]


def test_all_else_is_logged_as_ever(log: list[structlog.typing.EventDict]) -> None:
    at = "2026-01-01T00:00:00Z"
    whole, part = (CataloguePublished("disk", 9, 0, 0, unread, 0.1) for unread in (0, 1))
    failed, end = CatalogueFailed("disk", "target-full", "no space"), RunFinished(RunReport(RUN, at, at, ()))
    assert said(failed, end, whole, part) == []
    assert [line["event"] for line in log] == ["site.failed", "site.published"], "that all went well needs no line"
