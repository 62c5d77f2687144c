"""Every domain event as one log line: an observer that asks each how it is logged."""

from __future__ import annotations

import threading
from typing import Any

from mirror_sync.domain.outcome.events import Event, Retrying, RunFinished, RunStarted
from mirror_sync.logger import Logger

_log = Logger()


class EventLog:
    """Logs events, and adds the runs that go on to those that name none: of several, any may be meant.

    Safe for many threads.
    """

    def __init__(self) -> None:
        self._runs: tuple[str, ...] = ()
        self._lock = threading.Lock()

    @staticmethod
    def hears(kind: type[Event]) -> bool:
        """Whether events of a class may have a line."""
        name = getattr(kind, "log_name")  # noqa: B009  a property where only an event itself knows it
        return name is not Event.__dict__["log_name"] and name != ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            with self._lock:
                self._runs = (*self._runs, event.run)
        elif isinstance(event, RunFinished):
            with self._lock:
                self._runs = tuple(run for run in self._runs if run != event.report.run)
        level = event.level
        if level not in _log.silent and (name := event.log_name):
            _log.at(level, name, **event.fields(), **self._runs_of(event))

    def _runs_of(self, event: Event) -> dict[str, Any]:
        return {"run": ",".join(self._runs)} if isinstance(event, Retrying) and self._runs else {}
