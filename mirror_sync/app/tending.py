"""The care of targets: `verify`, `prune`, and both as the daemon does them when they are due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mirror_sync.app.configured import Configured
from mirror_sync.app.remembered import LocalMemory
from mirror_sync.app.trust.auditing import acting
from mirror_sync.config.settings import Settings
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.outcome.events import Care, Tended
from mirror_sync.domain.outcome.report import PruneReport, VerifyReport
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.published import mirrored_repos
from mirror_sync.engine.published_names import published_as
from mirror_sync.engine.upkeep.verify import Scope, Verification
from mirror_sync.errors import StoreError, UsageError, Vanished
from mirror_sync.logger import Logger
from mirror_sync.owners import cause
from mirror_sync.ports.memory import Checkpoint
from mirror_sync.state.locks import kept_checkpoint

if TYPE_CHECKING:
    from mirror_sync.app.catalogues import Catalogues
    from mirror_sync.app.places.tier_targets import TierTargets

_log = Logger()


class VerifyTargets:
    """Safe for many threads."""

    def __init__(self, settings: Settings, context: Callable[[], RunContext], remembered: LocalMemory) -> None:
        self._settings, self._context, self._remembered = settings, context, remembered

    def __call__(self, actor: Actor, scope: Scope | None = None) -> VerifyReport:
        """Re-hash what the targets publish; go on where an interrupted verify of the same scope had stopped. What is
        repaired is for `actor`.

        UsageError for a repo of the scope that no target publishes.
        """
        scope = scope or Scope()
        if scope.repo is not None:
            self._expect(scope.repo)
        with kept_checkpoint(self._settings.state_dir, scope.place) as checkpoint:
            report = self._verify(actor, scope, checkpoint)
        if scope.repo is not None and report.ok and not report.repos:  # taken down meanwhile
            raise UsageError(f"nothing of {scope.repo} is mirrored")
        if scope.whole and not report.interrupted:
            wrong = Counter(fault.target for fault in (*report.faults, *report.unreadable))
            _tell(self._context(), Care.VERIFY, report.targets, wrong)
        return report

    def _verify(self, actor: Actor, scope: Scope, checkpoint: Checkpoint) -> VerifyReport:
        context = self._context()
        if not scope.repair:  # it changes nothing
            return Verification(context, scope, self._settings.jobs, checkpoint).run()
        with acting(context, actor, context.targets) as acting_context:
            return Verification(acting_context, scope, self._settings.jobs, checkpoint).run()

    def _expect(self, repo: Repo) -> None:
        """UsageError for what is nowhere; the StoreError of a target that may have it, and cannot be read."""
        known: set[Repo] = set()
        silent: StoreError | None = None
        for name, target in self._context().targets.items():
            try:
                here = {*mirrored_repos(target.store), *self._remembered.published_in(name)}
                if published_as(target.store, repo, here) is not None:
                    return
                known |= here
            except StoreError as error:
                silent = error
        if silent is not None:
            raise silent
        near = did_you_mean(RepoPattern(repo.kind, repo.id), (RepoPattern(one.kind, one.id) for one in known))
        raise UsageError(f"nothing of {repo} is mirrored{near}")


class PruneTargets:
    """Safe for many threads."""

    def __init__(
        self,
        configured: Configured,
        context: Callable[[], RunContext],
        catalogues: Callable[[], Catalogues],
        state_dir: Path,
    ) -> None:
        self._configured, self._context, self._catalogues = configured, context, catalogues
        self._state_dir = state_dir

    def __call__(self, actor: Actor, *, dry_run: bool = False, everything: str | None = None) -> PruneReport:
        """Remove what nothing refers to any more, and uploads that nobody went on with, for `actor`.

        `dry_run` removes nothing.

        `everything` names a target that may lose all its blobs where it publishes no repo; UsageError for one that is
        none.
        """
        # all that tells when a snapshot goes, which verify never asks
        from mirror_sync.engine.upkeep.prune import Prune

        if everything is not None:
            self._configured.target(everything)
        if not dry_run:
            self.sweep()
        jobs = self._configured.jobs()
        context = self._context()
        if dry_run:
            return Prune(context, jobs, dry_run=True, everything=everything).run()
        with acting(context, actor, context.targets) as acting_context:
            report = Prune(acting_context, jobs, everything=everything).run()
        self._remember(report)
        _tell(context, Care.PRUNE, report.ended, report.faults)
        self._catalogues().publish_all({job.target for job in jobs}, report.faults)
        return report

    def _remember(self, report: PruneReport) -> None:
        """What came of bounds, for `status` and metrics, which can do without."""
        from mirror_sync.state.reads_file import keep_last

        for keep in report.keeps:
            try:
                keep_last(self._state_dir, keep)
            except OSError as error:
                _log.warning("keep.not-written", target=keep.target, reason=cause(error, self._state_dir))

    def sweep(self) -> None:
        """Remove from every target what uploads have left that nobody went on with for a week.

        What goes wrong is logged: not every S3-compatible server can list them, and they harm nobody.
        """
        from mirror_sync.engine.upkeep.prune import sweep_uploads

        context = self._context()
        for target in context.targets.values():
            if context.stop.is_set():
                return
            try:
                count = sweep_uploads(target)
            except StoreError as error:
                _log.warning("sweep.failed", target=target.name, reason=str(error))
                continue
            if count:
                _log.info("sweep.done", target=target.name, uploads=count)


class TendTargets:
    """What the daemon does to all targets when it is due; the log and the history say what came of it."""

    def __init__(
        self,
        settings: Settings,
        verify: VerifyTargets,
        prune: PruneTargets,
        catalogues: Callable[[], Catalogues],
        tiers: Callable[[], TierTargets],
    ) -> None:
        self._settings, self._verify, self._prune, self._catalogues = settings, verify, prune, catalogues
        self._tiers = tiers

    def __call__(self, actor: Actor, care: Care) -> None:
        if care is Care.PRUNE:
            for problem in self._prune(actor).problems:
                _log.error("tending.failed", care=care, reason=problem)
            self._move_tiers()
            return
        maintenance = self._settings.maintenance
        report = self._verify(actor, Scope(sample=maintenance.sample, rate=maintenance.rate))
        doubted = {fault.target for fault in report.faults if fault.code == Vanished.code}
        self._catalogues().publish_all({job.target for job in self._settings.jobs}, doubted)

    def _move_tiers(self) -> None:
        """After a prune: what it removed need not be moved. Without a target that has tiers nothing is imported."""
        if any(target.tiers is not None for target in self._settings.targets.values()):
            for report in self._tiers().move_due():
                for fault in report.faults:
                    _log.error("tiers.failed", target=report.target, reason=fault)


def _tell(context: RunContext, care: Care, targets: Iterable[str], faults: Mapping[str, int]) -> None:
    for name in targets:
        context.tell(Tended(name, care, context.now(), faults.get(name, 0)))
