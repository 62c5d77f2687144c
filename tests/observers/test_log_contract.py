"""The log is a contract: for each event its name, its level, and its fields with their types and in their order.

Scripts, collectors and alerts read these lines. A line that has to change is a change for whoever reads the log.
"""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from mirror_sync.domain.outcome.events import (
    BytesFetched,
    Called,
    Care,
    CatalogueFailed,
    CataloguePublished,
    ConfigRead,
    Crashed,
    Disproved,
    Event,
    FileFinished,
    FilesScanned,
    FileStarted,
    ListLags,
    PartsFound,
    RankingCutShort,
    RefsLeftOut,
    RepoFinished,
    RepoPlanned,
    RepoSigned,
    ReposListed,
    Retrying,
    RunAborted,
    RunFinished,
    RunStarted,
    SnapshotTurnedBad,
    TargetProbed,
    Tended,
    Verified,
)
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.observe.log.event_log import EventLog
from mirror_sync.observe.log.log import Format, LineWriter, LogStyle, start_log
from mirror_sync.observe.redaction import Redaction

AT = "2026-01-01T00:00:00Z"
MODEL, DATASET = Repo(Kind.MODEL, "acme/one"), Repo(Kind.DATASET, "acme/two")
COMMIT = "c" * 40


def report(outcome: RepoOutcome, reason: str = "", code: str = "", commit: str | None = COMMIT) -> RepoReport:
    """With a figure of its own for each count."""
    return RepoReport(
        "job",
        Kind.MODEL,
        "acme/one",
        "main",
        outcome,
        commit,
        reason,
        code,
        7,
        2,
        200,
        5,
        500,
        1.26,
        700,
        committed=AT,
        published=AT,
        resumed_bytes=30,
    )


PUBLISHED = replace(report(RepoOutcome.PUBLISHED), lag_seconds=61.5)
FAILED = report(RepoOutcome.FAILED, "no answer", "unreachable", commit=None)
HELD = report(RepoOutcome.HELD, "is gone", "gone", commit=None)
REFUSED = report(RepoOutcome.REFUSED, "license other", "license")
LOGGED: list[Event] = [
    RunStarted("r1", ("a", "b"), AT, partial=True),
    ReposListed("r1", "job", 3),
    RankingCutShort("r1", "job", 3, 20, 5000),
    RefsLeftOut("r1", "job", DATASET, ("v1.lock: git knows no such name",), 12),
    FilesScanned("disk", "job", Kind.MODEL, "acme/x", COMMIT, "picklescan", "1.0.5", 3, 0, 0),
    FilesScanned("disk", "job", Kind.MODEL, "acme/x", COMMIT, "hub", "", 3, 1, 1),
    RepoSigned("disk", MODEL, 2),
    SnapshotTurnedBad("job", Kind.MODEL, "acme/x", "main", COMMIT, "picklescan: model.pt is dangerous"),
    ListLags("r1", "job", MODEL, COMMIT, 20),
    RepoPlanned("r1", "job", DATASET, "main", COMMIT, 1, 2, 3, 4, 5),
    FileStarted("r1", DATASET, "a/b", 9),
    PartsFound("r1", MODEL, "a/b", -9),
    FileFinished("r1", MODEL, "a/b", 9),
    FileFinished("r1", MODEL, "a/b", 9, error="expected 00, got 11"),
    FileFinished("r1", MODEL, "a/b", 9, interrupted=True),
    FileFinished("r1", MODEL, "a/b", 9, error="stopped", interrupted=True),
    Retrying("GET https://hub/x", "unreachable", "timed out", 2, 1.26),
    Crashed("r1", MODEL, "Traceback"),
    Crashed("r1", RepoPattern(Kind.DATASET, "acme/*"), "Traceback"),
    RepoFinished("r1", PUBLISHED),
    RepoFinished("r1", replace(PUBLISHED, kind=Kind.DATASET, lag_seconds=None)),
    RepoFinished("r1", report(RepoOutcome.UNCHANGED)),
    RepoFinished("r1", report(RepoOutcome.UNCHANGED, "the first endpoint does not answer", "second-hand"), again=True),
    RepoFinished("r1", REFUSED),
    RepoFinished("r1", REFUSED, again=True),
    RepoFinished("r1", HELD),
    RepoFinished("r1", HELD, again=True),
    RepoFinished("r1", report(RepoOutcome.INTERRUPTED, "stopped", "interrupted")),
    RepoFinished("r1", FAILED),
    RepoFinished("r1", FAILED, again=True),
    RunFinished(RunReport("r1", AT, AT, (PUBLISHED, HELD, REFUSED))),
    RunFinished(RunReport("r1", AT, AT, (PUBLISHED, FAILED))),
    RunFinished(RunReport("r1", AT, AT, (PUBLISHED,), interrupted=True, left=4, jobs_left=1)),
    Tended("disk", Care.VERIFY, AT),
    Tended("disk", Care.PRUNE, AT, 2),
    CataloguePublished("disk", 6, 10, 1, 0, 1.26),
    CataloguePublished("disk", 6, 10, 1, 2, 0.04),
    CatalogueFailed("disk", "target-full", "no space"),
]
SILENT: list[Event] = [
    BytesFetched("r1", MODEL, "a/b", 9),
    Disproved("r1", MODEL, "a/b"),
    Called("https://hub", "api", "2xx"),
    RunAborted("job", "internal"),
    ConfigRead(("job",)),
    ConfigRead(None),
    TargetProbed("disk", answered=True),
    Verified(3, 300, 1),
]
ROOT = Path(__file__).parents[2]
LINES = (Path(__file__).parent / "log_lines.jsonl").read_text(encoding="utf-8").splitlines()  # but for the time


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The log is one of the process: what a test sets up ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines_of(*events: Event) -> list[str]:
    stream = io.StringIO()
    start_log(LogStyle(Format.JSON, logging.DEBUG), LineWriter(stream), Redaction())
    log = EventLog()
    for event in events:
        log(event)
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [json.dumps({key: value for key, value in line.items() if key != "timestamp"}) for line in written]


def test_an_event_is_logged_as_it_always_was() -> None:
    for event, line in zip(LOGGED, LINES, strict=True):
        assert lines_of(event) == [line]


def test_what_only_counts_has_no_line() -> None:
    assert lines_of(*SILENT) == []


def test_a_repetition_has_the_runs_that_go_on_after_its_own_fields() -> None:
    again = Retrying("resolve acme/one", "unreachable", "no answer", 1, 1.0)
    *_, last = lines_of(RunStarted("r1", ("a",), AT), RunStarted("r2", ("b",), AT), again)
    assert list(json.loads(last).items())[-4:-2] == [("wait", 1.0), ("run", "r1,r2")]


PLAIN = """
import io, sys
if sys.argv[1] == "structlog":
    import structlog
from mirror_sync.logger import Logger
from mirror_sync.observe.log.log import Format, LineWriter, LogStyle, start_log
from mirror_sync.observe.redaction import Redaction
stream, log = io.StringIO(), Logger()
for style in (Format.AUTO, Format.JSON):
    start_log(LogStyle(style, 20), LineWriter(stream), Redaction(["hush"]))
    log.debug("not.loud", enough=True)
    log.info("run.started", jobs=["a", "b c"], run="r1", text='with "quotes" \\\\ and = more', none=None, odd=object)
    log.warning("held", yes=True, no=False, number=1.5, secret="x hush y", lines="a\\nb\\x1b[31m")
    log.error("failed", exc_info=True, empty="", nested={"a": ["hush"]})
print(("structlog" in sys.modules), end=" ")
sys.stdout.write(stream.getvalue())
"""


def test_a_line_is_the_same_whether_structlog_writes_it_or_nobody_has_imported_it() -> None:
    said = {}
    for way in ("structlog", "none"):
        ran = subprocess.run([sys.executable, "-c", PLAIN, way], capture_output=True, text=True, check=True, cwd=ROOT)
        imported, _, lines = ran.stdout.partition(" ")
        assert imported == str(way == "structlog")
        said[way] = re.sub(r"[0-9T:.-]{20,}Z", "AT", lines).splitlines()
    assert said["none"] == said["structlog"]
    assert len(said["none"]) == 6
