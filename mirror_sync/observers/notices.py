"""An observer that finds out when a repo's state changes, and gives a notice of it to a courier."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from mirror_sync.domain.events import Event, RepoFinished, RunStarted
from mirror_sync.domain.notices import Notice, State, turns
from mirror_sync.domain.report import RepoReport, RepoStatus
from mirror_sync.domain.times import iso_utc

_Key = tuple[str, str, str, str]


class Notices:
    """`known` gives what is remembered of every repo: what another process has told of is not told again."""

    def __init__(self, known: Callable[[], Iterable[RepoStatus]], deliver: Callable[[Notice], None]) -> None:
        self._known, self._deliver = known, deliver
        self._states: dict[_Key, State] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._remember(frozenset(event.jobs), event.partial)
            case RepoFinished():
                self._tell(event.run, event.report)

    def _remember(self, jobs: frozenset[str], partial: bool) -> None:
        """Of the jobs that begin, and of no others: those may be under way, with states newer than what is written.

        So may be a job that single repos are asked of: of that, what is not known yet.
        """
        states = {_key(status): State(status.outcome, status.code) for status in self._known() if status.job in jobs}
        with self._lock:
            self._states = states | self._states if partial else self._states | states

    def _tell(self, run: str, report: RepoReport) -> None:
        key = _key(report)
        with self._lock:
            before = self._states.get(key)
            self._states[key] = State(report.outcome, report.code)
        at = iso_utc(datetime.now(UTC))
        for turn in turns(before, report):
            self._deliver(Notice(turn, at, run, report, before.outcome if before else None))


def _key(named: RepoReport | RepoStatus) -> _Key:
    return named.job, named.kind, named.repo, named.revision
