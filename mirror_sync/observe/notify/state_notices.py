"""An observer that finds out when repos change their state, and gives notices of it to the delivery of hooks.

What a run finds is told when it ends, once for each change and cause with all its repos: an outage is one event, not as
many as there are repos. A run that goes on for long tells meanwhile what it has found.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from mirror_sync.domain.outcome.events import (
    Event,
    RepoFinished,
    RepoNameMoved,
    RunFinished,
    RunStarted,
    SnapshotTurnedBad,
)
from mirror_sync.domain.outcome.notices import LastState, NameNotice, Notice, StateChange, ToldRepo, turns
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RepoStatus
from mirror_sync.domain.subject import Subject
from mirror_sync.domain.times import iso_utc

LONGEST = 900.0  # seconds that a finding waits for the end of its run
_Group = tuple[str, StateChange, str, str]  # run, job and cause


class Notices:
    """`known` gives what is remembered of every repo: what another process has told of is not told again."""

    def __init__(
        self,
        known: Callable[[], Iterable[RepoStatus]],
        deliver: Callable[[Notice], None],
        clock: Callable[[], float] = time.monotonic,
        deliver_names: Callable[[NameNotice], None] = lambda notice: None,
    ) -> None:
        self._known, self._deliver, self._clock, self._deliver_names = known, deliver, clock, deliver_names
        self._states: dict[Subject, LastState] = {}
        self._found: dict[_Group, tuple[float, list[ToldRepo]]] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._remember(frozenset(event.jobs), event.partial)
            case RepoFinished() if event.report.outcome is not RepoOutcome.INTERRUPTED:
                self._find(event.run, event.report)
                self._tell(lambda group, since: self._clock() - since > LONGEST)
            case RepoNameMoved():
                told = event.name, event.verb, event.before, event.after, event.by, event.why, event.at
                self._deliver_names(NameNotice(event.target, str(event.repo), *told))
            case SnapshotTurnedBad():
                self._deliver(_turned_bad(event))
            case RunFinished():
                self._tell(lambda group, since: group[0] == event.report.run)

    def _remember(self, jobs: frozenset[str], partial: bool) -> None:
        """Of the jobs that begin, and of no others: those may be under way, with states newer than what is written.

        So may be a job that single repos are asked of: of that, what is not known yet.
        """
        states = {
            status.subject: LastState(status.outcome, status.code)
            for status in self._known()
            if status.job in jobs and status.outcome is not None
        }
        with self._lock:
            self._states = states | self._states if partial else self._states | states

    def _find(self, run: str, report: RepoReport) -> None:
        key, alone = report.subject, list[Notice]()
        with self._lock:
            before = self._states.get(key)
            self._states[key] = LastState(report.outcome, report.code)
            told = ToldRepo(report, before.outcome if before else None)
            for turn in turns(before, report):
                if turn is StateChange.PUBLISHED:
                    alone.append(Notice(turn, _now(), run, (told,), several=False))
                group = (run, turn, report.job, report.code)
                self._found.setdefault(group, (self._clock(), []))[1].append(told)
        for notice in alone:
            self._deliver(notice)

    def _tell(self, due: Callable[[_Group, float], bool]) -> None:
        with self._lock:
            groups = [group for group, (since, _) in self._found.items() if due(group, since)]
            found = [(group, self._found.pop(group)[1]) for group in groups]
        for (run, turn, _, _), repos in found:
            self._deliver(Notice(turn, _now(), run, tuple(repos)))


def _turned_bad(event: SnapshotTurnedBad) -> Notice:
    """What is published is not held itself: whoever is told of what is held is told of it all the same."""
    parts = event.job, event.kind, event.repo, event.revision
    reason = f"what is published turned bad: {event.reason}"
    report = RepoReport(*parts, outcome=RepoOutcome.HELD, commit=event.commit, reason=reason, code="scan")
    return Notice(StateChange.HELD, _now(), "rescan", (ToldRepo(report, RepoOutcome.PUBLISHED),), several=False)


def _now() -> str:
    return iso_utc(datetime.now(UTC))
