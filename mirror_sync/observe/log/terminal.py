"""What happens in a run, for a person who looks on: one short line for each repo that is done, above the bars.

All that a line leaves out, the log has: `-v`, `--log-format`, and whatever is no terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.outcome.events import (
    AuditPut,
    CataloguePublished,
    Event,
    FileFinished,
    RepoFinished,
    RepoPlanned,
    ReposListed,
    Retrying,
    RunFinished,
    RunStarted,
)
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.observe.figures import counted, in_bytes, in_time
from mirror_sync.observe.log.event_log import EventLog

_STATE = 11  # columns: the longest word for an outcome
_LEAST = 40  # columns of a line, however narrow the terminal is


class TerminalLog:
    """An observer. `say` shows a line, `width` gives the terminal's columns at that moment."""

    def __init__(self, say: Callable[[str], None], width: Callable[[], int]) -> None:
        self._say, self._width, self._log = say, width, EventLog()

    def __call__(self, event: Event) -> None:
        match event:
            case RepoFinished():
                if event.report.outcome is not RepoOutcome.UNCHANGED and not event.told_already:
                    self._tell(_repo(event.report))
            case Retrying():
                wait = in_time(max(event.wait, 1))
                self._tell(f"{'again':<{_STATE}}  in {wait}: {event.what}: {event.message}")
            case FileFinished() if event.error is not None:
                self._tell(f"{'failed':<{_STATE}}  {event.repo} {event.path}: {event.error}")
            case RunFinished() if not event.report.interrupted:
                pass  # the summary follows
            case RunStarted() | ReposListed() | RepoPlanned():
                pass  # the bars say this
            case AuditPut() | CataloguePublished(unread=0):
                pass  # of what the lines above told
            case _:
                self._log(event)

    def _tell(self, line: str) -> None:
        room = max(self._width() - 1, _LEAST)
        line = plain(f"{time.strftime('%H:%M:%S')}  {line}")
        self._say(line if len(line) <= room else f"{line[: room - 1]}\N{HORIZONTAL ELLIPSIS}")


def _repo(report: RepoReport) -> str:
    """published    acme/one@main  5 files, 6.0 MB in 14s; what was not published says why."""
    name = f"{report.outcome:<{_STATE}}  {report.spoken}"
    if report.outcome is RepoOutcome.PUBLISHED:
        came = in_bytes(report.fetched_bytes)
        return f"{name}  {counted(report.fetched_files, 'file')}, {came} in {in_time(report.seconds)}"
    return f"{name}  {report.reason}"
