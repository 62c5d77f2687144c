"""A sync that something is done before: it notes, waits, or fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from mirror_sync.app.syncing import SyncJobs
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.domain.repo import Repo


class Before(SyncJobs):
    """`first` gets the moment at which the run would have to end."""

    def __init__(self, sync: SyncJobs, first: Callable[[datetime | None], object]) -> None:
        self._sync, self._first = sync, first

    def __call__(
        self,
        actor: Actor,
        names: Sequence[str] = (),
        repos: Collection[Repo] | None = None,
        until: datetime | None = None,
        *,
        anew: bool = False,
    ) -> RunReport:
        self._first(until)
        return self._sync(actor, names, repos, until, anew=anew)
