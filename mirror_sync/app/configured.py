"""What jobs.yaml names: the jobs, with what is decided about their repos now, and the targets as a front reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mirror_sync.config.decisions.decisions_file import read_decisions
from mirror_sync.config.load import with_decisions
from mirror_sync.config.settings import Settings
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.targets import Target
from mirror_sync.domain.nearest import jobs_instead, names_instead
from mirror_sync.errors import ConfigError, UsageError
from mirror_sync.logger import Logger
from mirror_sync.ports.store import Store

_log = Logger()


class Configured:
    """`open_store` makes the store of a target, to be read by a front."""

    def __init__(self, settings: Settings, open_store: Callable[[Target], Store]) -> None:
        self._settings, self._open_store = settings, open_store

    def jobs(self, names: Sequence[str] = ()) -> tuple[Job, ...]:
        """All jobs, or those named, in the order of jobs.yaml. UsageError for a name that is none.

        What is decided is read anew for each run: a decision counts from the next one on. A file that has faults by
        now, or is there no more, leaves what was decided before.
        """
        self._decide()
        known = {job.name: job for job in self._settings.jobs}
        for name in names:
            if name not in known:
                instead = jobs_instead(name, self._settings.jobs)
                raise UsageError(f"{self._settings.path.name} has no job {name!r}{instead}")
        return tuple(job for job in self._settings.jobs if not names or job.name in names)

    def _decide(self) -> None:
        if self._settings.decisions is None:
            return
        path, known = self._settings.decisions, any(job.decisions.every for job in self._settings.jobs)
        try:
            found = read_decisions(path)
            if found.there or not known:  # else what was rejected would be let through, as long as an edit takes
                self._settings = with_decisions(self._settings, found)
            else:
                _log.error("config.fault", reason=f"{path} is not there any more; what was decided before counts")
        except ConfigError as error:
            for fault in error.faults:
                _log.error("config.fault", reason=f"{fault}; what was decided before counts")

    def target(self, name: str) -> Target:
        """UsageError for a name that is none."""
        if name not in self._settings.targets:
            instead = names_instead(name, self._settings.targets)
            raise UsageError(f"{self._settings.path.name} has no target {name!r}{instead}")
        return self._settings.targets[name]

    def store(self, target: str) -> Store:
        """A target's store, as a front reads it. UsageError for a name that is none."""
        return self._open_store(self.target(target))
