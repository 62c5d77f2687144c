"""`sync` and `plan`: what jobs ask for, done, or told what would be done."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mirror_sync.app.configured import Configured
from mirror_sync.app.trust.auditing import acting
from mirror_sync.domain.audit_record import Actor, ActorKind
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import PlanReport, RunReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.run import plan_jobs, sync_jobs
from mirror_sync.engine.stopping import Until
from mirror_sync.errors import Vanished

if TYPE_CHECKING:
    from mirror_sync.app.catalogues import Catalogues

_MOST_ASKED = 1024  # repos, and
_ASKED_FOR = timedelta(days=1)  # that readers have asked for: so long at least stays what was brought


class SyncJobs:
    """Safe for many threads."""

    def __init__(
        self,
        configured: Configured,
        context: Callable[[], RunContext],
        catalogues: Callable[[], Catalogues],
        by_rules: Callable[[Actor, Sequence[Job], RunReport], None],
        afterwards: Callable[[Actor, Sequence[Job], RunReport, threading.Event], None],
    ) -> None:
        """`by_rules` moves names at the end of a run; `afterwards`, when readers have it all, something may be made."""
        self._configured, self._context, self._catalogues = configured, context, catalogues
        self._by_rules, self._afterwards = by_rules, afterwards
        self._asked: OrderedDict[tuple[str, Repo], datetime] = OrderedDict()  # by readers, at fronts of the daemon
        self._asking = threading.Lock()

    def note_asked(self, target: str, repo: Repo) -> None:
        """A reader asks for a repo that is not in a target: runs of the next day bring it, if it was let go of."""
        with self._asking:
            self._asked[target, repo] = self._context().clock()
            self._asked.move_to_end((target, repo))
            while len(self._asked) > _MOST_ASKED:
                self._asked.popitem(last=False)

    def __call__(
        self,
        actor: Actor,
        names: Sequence[str] = (),
        repos: Collection[Repo] | None = None,
        until: datetime | None = None,
        *,
        anew: bool = False,
    ) -> RunReport:
        """Bring the named jobs' repos up to date, for `actor`: all, or `repos` alone. What fails is in the report.

        A run that goes on at `until` is stopped as by the program's stop: what was done is kept, and the report says
        what is left. `anew`: a target that has lost all that was published there was emptied on purpose.
        """
        jobs = self._configured.jobs(names)
        if repos is not None:
            jobs = tuple(replace(job, only=frozenset(repos)) for job in jobs)
        context = self._context()
        ordered = frozenset(repos) if repos is not None and actor.kind is ActorKind.USER else frozenset[Repo]()
        context = replace(context, wanted_now=ordered | self._asked_in({job.target for job in jobs}, context.clock()))
        if until is not None:
            context = replace(context, stop=Until(context.stop, until, context.clock))
        if anew:
            context = replace(context, remembered=lambda target: frozenset())
        targets = {job.name: job.target for job in jobs}
        with acting(context, actor, set(targets.values())) as acting_context:
            if anew:
                for target in set(targets.values()):
                    context.targets[target].audit.begin_anew()
            report = sync_jobs(acting_context, jobs, self._configured.jobs())
        self._by_rules(actor, jobs, report)
        doubted = {targets[repo.job] for repo in report.repos if repo.code == Vanished.code}
        self._catalogues().publish_all(set(targets.values()), doubted)
        self._afterwards(actor, jobs, report, context.stop)
        return report

    def _asked_in(self, targets: Collection[str], now: datetime) -> frozenset[Repo]:
        with self._asking:
            return frozenset(repo for (of, repo), at in self._asked.items() if of in targets and now - at < _ASKED_FOR)


class PlanJobs:
    """Safe for many threads."""

    def __init__(self, configured: Configured, context: Callable[[], RunContext]) -> None:
        self._configured, self._context = configured, context

    def __call__(self, names: Sequence[str] = ()) -> PlanReport:
        """What a sync would do; writes nothing to a target."""
        return plan_jobs(self._context(), self._configured.jobs(names), self._configured.jobs())
