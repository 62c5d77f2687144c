"""What is news of a repo, and what is as the last run that looked at it had found it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from mirror_sync.domain.outcome.events import Event, Observer, RepoFinished, RunStarted
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.subject import Subject

_Found = tuple[RepoOutcome, str, str]


class News:
    """An observer before all others: it passes events on to `tell`, and marks what a repo came to before, too.

    `known` gives what every repo came to last, also in other processes, with its code and its reason; OSError where it
    cannot be read, and then all is news.
    """

    def __init__(self, known: Callable[[], Iterable[tuple[Subject, RepoOutcome, str, str]]], tell: Observer) -> None:
        self._known, self._tell = known, tell
        self._found: dict[Subject, _Found] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._remember(event)
            case RepoFinished() if event.report.outcome is not RepoOutcome.INTERRUPTED:
                event = replace(event, again=self._is_again(event.report))
        self._tell(event)

    def _remember(self, event: RunStarted) -> None:
        """What is not known yet: of jobs that run meanwhile, what is written may be older than what was found."""
        try:
            before = {subject: (outcome, code, reason) for subject, outcome, code, reason in self._known()}
        except OSError:
            return
        with self._lock:
            self._found = before | self._found

    def _is_again(self, report: RepoReport) -> bool:
        key, found = report.subject, _found(report)
        with self._lock:
            before = self._found.get(key)
            self._found[key] = found
        return before == found


def _found(report: RepoReport) -> _Found:
    return report.outcome, report.code, report.reason
