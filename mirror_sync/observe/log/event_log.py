"""Every domain event as one log line, at the level of the attention it deserves."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import Any

import structlog

from mirror_sync.domain.outcome.events import (
    BytesFetched,
    Called,
    CatalogueFailed,
    CataloguePublished,
    ConfigRead,
    Crashed,
    Disproved,
    Event,
    FileFinished,
    FileStarted,
    ListLags,
    PartsFound,
    RankingCutShort,
    RefsLeftOut,
    RepoFinished,
    RepoPlanned,
    ReposListed,
    Retrying,
    RunAborted,
    RunFinished,
    RunStarted,
    TargetProbed,
    Tended,
    Verified,
)
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.repo import Kind

# a glob may stand for thousands of repos that did not change
_LEVELS = {
    RepoOutcome.PUBLISHED: "info",
    RepoOutcome.UNCHANGED: "debug",
    RepoOutcome.REFUSED: "warning",
    RepoOutcome.HELD: "warning",
    RepoOutcome.INTERRUPTED: "info",
    RepoOutcome.FAILED: "error",
}

_LASTING = (RepoOutcome.HELD, RepoOutcome.REFUSED)  # told when they begin or change; the run's last line counts them

# counts, and what who tells it logs in words of its own
_UNSPOKEN = (BytesFetched, Called, ConfigRead, Disproved, RunAborted, TargetProbed, Verified)


def is_told_already(event: RepoFinished) -> bool:
    """Whether it is a hold or a refusal that the last run had found, too."""
    return event.again and event.report.outcome in _LASTING


def log_event(event: Event) -> None:
    """An observer: logs the event. Bytes are counted elsewhere; a line for each chunk or blob tells nobody anything."""
    if not isinstance(event, _UNSPOKEN):
        level, name, fields = line_of(event)
        getattr(structlog.get_logger(), level)(name, **fields)


class EventLog:
    """Logs events, and adds the runs that go on to those that name none: of several, any may be meant.

    Safe for many threads.
    """

    def __init__(self) -> None:
        self._runs: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            with self._lock:
                self._runs = (*self._runs, event.run)
        elif isinstance(event, RunFinished):
            with self._lock:
                self._runs = tuple(run for run in self._runs if run != event.report.run)
        if isinstance(event, Retrying) and self._runs:
            level, name, fields = line_of(event)
            getattr(structlog.get_logger(), level)(name, **fields, run=",".join(self._runs))
        else:
            log_event(event)


def line_of(event: Event) -> tuple[str, str, dict[str, Any]]:  # noqa: C901, PLR0911, PLR0912  one line for each kind
    """Level, event name and fields."""
    match event:
        case RunStarted():
            return "info", "run.started", {"jobs": list(event.jobs), "run": event.run}
        case ReposListed():
            return "info", "job.listed", {"job": event.job, "repos": event.repos, "run": event.run}
        case RankingCutShort():
            fields = {"job": event.job, "repos": event.repos, "limit": event.limit, "seen": event.seen}
            return "warning", "job.cut-short", fields | {"run": event.run}
        case RefsLeftOut():
            told = {"job": event.job, "repo": str(event.repo), "refs": list(event.refs), "count": event.count}
            return "info", "repo.refs-left-out", told | {"run": event.run}
        case ListLags():
            fields = {"job": event.job, "repo": str(event.repo), "commit": event.commit, "repos": event.repos}
            return "info", "list.lags", fields | {"run": event.run}
        case RepoPlanned():
            return "info", "repo.planned", _plan(event)
        case FileStarted():
            return "debug", "file.started", _file(event) | {"bytes": event.size}
        case FileFinished():
            return _file_finished(event)
        case PartsFound():
            return "debug", "file.resumed", _file(event) | {"bytes": event.count}
        case Retrying():
            return "warning", "retrying", _retry(event)
        case Crashed():
            return "debug", "internal-error", {"repo": str(event.repo), "trace": event.trace, "run": event.run}
        case RepoFinished():
            level = "debug" if is_told_already(event) else _LEVELS[event.report.outcome]
            return level, f"repo.{event.report.outcome}", {**_repo(event.report), "run": event.run}
        case RunFinished():
            return _run_finished(event.report)
        case Tended():
            return ("error" if event.faults else "info"), "target.tended", asdict(event)
        case CataloguePublished():
            fields = asdict(event) | {"seconds": round(event.seconds, 1)}
            return ("warning" if event.unread else "info"), "site.published", fields
        case CatalogueFailed():
            return "warning", "site.failed", asdict(event)
        case _:
            return "debug", type(event).__name__.lower(), asdict(event)


def _plan(event: RepoPlanned) -> dict[str, Any]:
    return {
        "job": event.job,
        "repo": f"{event.repo}@{event.revision}",
        "commit": event.commit,
        "fetch_files": event.fetch_files,
        "fetch_bytes": event.fetch_bytes,
        "reuse_files": event.reuse_files,
        "reuse_bytes": event.reuse_bytes,
        "delete_files": event.delete_files,
        "run": event.run,
    }


def _file(event: FileStarted | FileFinished | PartsFound) -> dict[str, Any]:
    return {"repo": str(event.repo), "path": event.path, "run": event.run}


def _file_finished(event: FileFinished) -> tuple[str, str, dict[str, Any]]:
    if event.interrupted:
        return "debug", "file.interrupted", _file(event)
    if event.error is None:
        return "debug", "file.stored", _file(event) | {"bytes": event.size}
    return "warning", "file.failed", _file(event) | {"reason": event.error}


def _retry(event: Retrying) -> dict[str, Any]:
    return {
        "what": event.what,
        "cause": event.cause,
        "reason": event.message,
        "attempt": event.attempt,
        "wait": round(event.wait, 1),
    }


def _repo(report: RepoReport) -> dict[str, Any]:
    name = report.repo if report.kind is Kind.MODEL else f"{report.kind}:{report.repo}"
    fields: dict[str, Any] = {"job": report.job, "repo": f"{name}@{report.revision}"}
    if report.commit:
        fields["commit"] = report.commit
    if report.reason:
        fields |= {"code": report.code, "reason": report.reason}
    if report.outcome in (RepoOutcome.PUBLISHED, RepoOutcome.INTERRUPTED):
        fields |= {
            "files": report.files,
            "fetched_files": report.fetched_files,
            "fetched_bytes": report.fetched_bytes,
            "resumed_bytes": report.resumed_bytes,
            "reused_files": report.reused_files,
            "reused_bytes": report.reused_bytes,
        }
    if report.lag_seconds is not None:
        fields["lag_seconds"] = report.lag_seconds
    return {**fields, "seconds": round(report.seconds, 1)}


def _run_finished(report: RunReport) -> tuple[str, str, dict[str, Any]]:
    counts = {outcome.value: report.count(outcome) for outcome in RepoOutcome}
    fields: dict[str, Any] = {
        **counts,
        "left": report.left,
        "jobs_left": report.jobs_left,
        "fetched_bytes": sum(repo.fetched_bytes for repo in report.repos),
        "resumed_bytes": sum(repo.resumed_bytes for repo in report.repos),
        "run": report.run,
    }
    if report.interrupted:
        return "warning", "run.interrupted", fields
    return ("info" if report.ok else "error"), "run.finished", fields
