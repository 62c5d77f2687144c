"""The program put together of jobs.yaml: its verbs, each imported and made with what it needs when it is first used."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from mirror_sync.app.configured import Configured
from mirror_sync.app.fingerprints import fingerprints_of, places_of
from mirror_sync.app.remembered import LocalMemory
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.job.targets import Replica, Target
from mirror_sync.domain.outcome.events import Care, Event, Observer, Tended, tell_all
from mirror_sync.domain.outcome.notices import Hooks
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import StoreError, UsageError
from mirror_sync.logger import Logger
from mirror_sync.observe.notify.news import News
from mirror_sync.observe.notify.state_notices import Notices
from mirror_sync.owners import is_there
from mirror_sync.state.history import HISTORY_FILE, History
from mirror_sync.state.ways_file import Ways, WaysCounter, kept_ways
from mirror_sync.stores.wrapped_store import ReadOnlyStore
from mirror_sync.wiring.adapters import open_store

if TYPE_CHECKING:
    from mirror_sync.app.catalogues import Catalogues
    from mirror_sync.app.measuring import MeasureTraffic
    from mirror_sync.app.own.pushing import PushModels
    from mirror_sync.app.places.bundles import Bundles
    from mirror_sync.app.places.promoting_replica import Promotion
    from mirror_sync.app.places.replicating import Replicas
    from mirror_sync.app.places.tier_targets import TierTargets
    from mirror_sync.app.syncing import PlanJobs, SyncJobs
    from mirror_sync.app.tending import PruneTargets, TendTargets, VerifyTargets
    from mirror_sync.app.trust.auditing import AuditTrail
    from mirror_sync.app.trust.reporting import ComplianceReport
    from mirror_sync.app.trust.signing_repos import SignReport
    from mirror_sync.app.trust.taking_down import TakeDownRepo
    from mirror_sync.app.versions.releasing import ReleaseNames
    from mirror_sync.app.versions.rolling_out import RollOut
    from mirror_sync.app.versions.watching_names import WatchNames
    from mirror_sync.app.wishing import LookAtWanted
    from mirror_sync.catalogue.publication import PublishResult
    from mirror_sync.domain.audit_record import Actor
    from mirror_sync.domain.content.difference import Difference
    from mirror_sync.domain.content.upstream import BudgetState
    from mirror_sync.domain.digest import Sha256
    from mirror_sync.domain.job.job import Job
    from mirror_sync.domain.job.way_gauge import WayPace
    from mirror_sync.domain.outcome.report import RunReport
    from mirror_sync.domain.outcome.rescan_report import RescanReport
    from mirror_sync.domain.outcome.tier_report import MovedRepo
    from mirror_sync.engine.context import RunContext
    from mirror_sync.engine.places.replica_pass import Replicated
    from mirror_sync.observe.notify.hook_delivery import HookDelivery
    from mirror_sync.ports.audit import SignatureCheck
    from mirror_sync.ports.store import Store
    from mirror_sync.wiring.assembly import Assembly

_LAST_WORDS = 3.0  # seconds that hooks get after a stop
_ANY_KEY = refs_key(Repo(Kind.MODEL, "mirror-sync/probe"))

Made = TypeVar("Made")

_log = Logger()


class _Once(Generic[Made]):
    """Makes a value when it is first asked for; threads that ask at once get the same one."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make, self._lock = make, threading.Lock()
        self.made: Made | None = None

    def __call__(self) -> Made:
        with self._lock:
            if self.made is None:
                self.made = self._make()
            return self.made


class Mirror:
    """The program, assembled. Safe for several threads; each verb may be called again and again.

    `stop` ends every verb early. `learn` is told the secrets that come up while it works, as the keys of a role.
    `reading`: for the verbs that change nothing, and then nothing is written in the state folder.
    OSError when the state folder cannot be written, or is none.
    """

    def __init__(
        self,
        settings: Settings,
        observers: Sequence[Observer] = (),
        stop: threading.Event | None = None,
        learn: Callable[[Iterable[str]], None] = lambda _: None,
        *,
        reading: bool = False,
    ) -> None:
        self.settings, self._learn, self._reading = settings, learn, reading
        if reading and is_there(settings.state_dir) and not settings.state_dir.is_dir():  # it would look empty
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(settings.state_dir))
        self.stop = stop or threading.Event()
        self._observers = tuple(observers)
        self._hook_delivery = _Once(self._deliverer)
        self._overhears: list[Observer] = []
        history = settings.state_dir / HISTORY_FILE
        targets = {job.name: job.target for job in settings.jobs}
        self._history = _Once(lambda: History(history, places=places_of(settings), targets=targets, reading=reading))
        self._closing = ExitStack()
        self._context = _Once(self._assemble)
        remembered = self._remembered = LocalMemory(settings, self._history)
        self._catalogues = _Once(self._new_catalogues)
        self._rollouts = _Once(self._roll_out)
        configured = self._configured = Configured(settings, self._for_readers)
        self.jobs, self.store = configured.jobs, configured.store
        self.status, self.tended, self.replica_states = remembered.status, remembered.tended, remembered.replicas
        self.remembered = remembered.repos_and_runs

    @cached_property
    def sync(self) -> SyncJobs:
        """Bring jobs up to date."""
        from mirror_sync.app.syncing import SyncJobs

        return SyncJobs(self._configured, self._context, self._catalogues, self._by_rules, self._afterwards)

    @cached_property
    def plan(self) -> PlanJobs:
        """Say what a sync would do."""
        from mirror_sync.app.syncing import PlanJobs

        return PlanJobs(self._configured, self._context)

    @cached_property
    def push(self) -> PushModels:
        """Make a folder a commit of an own model."""
        from mirror_sync.app.own.pushing import OwnPlaces, PushModels
        from mirror_sync.sources.own.pushed_folder import PushedFolder

        places = OwnPlaces(lambda name: self._context().sources[name], PushedFolder, self._storing)
        return PushModels(self.settings, self._configured, places, lambda: self.sync)

    def _storing(self, name: str, target: Target) -> RunContext:
        """A run that publishes into an upstream of ours alone: unsigned, without doors, and not remembered."""
        from mirror_sync.config.keys.program_entries import EngineEntry, FrontEntry
        from mirror_sync.config.keys.trust_entries import Trust
        from mirror_sync.wiring.assembly import Assembly

        plain = replace(
            self.settings,
            upstreams={},
            targets={name: target},
            jobs=(),
            trust=Trust(),
            front=FrontEntry(),
            engine=EngineEntry(),
            tokens=None,
        )
        return Assembly(plain, self.stop, self._learn, closing=self._closing).context(
            tell_all(self._observers), lambda report: None
        )

    @cached_property
    def verify(self) -> VerifyTargets:
        """Prove what is published."""
        from mirror_sync.app.tending import VerifyTargets

        return VerifyTargets(self.settings, self._context, self._remembered)

    @cached_property
    def prune(self) -> PruneTargets:
        """Remove what nothing refers to; its `sweep` what uploads have left."""
        from mirror_sync.app.tending import PruneTargets

        return PruneTargets(self._configured, self._context, self._catalogues, self.settings.state_dir)

    @cached_property
    def tend(self) -> TendTargets:
        """Do what is due to targets."""
        from mirror_sync.app.tending import TendTargets

        return TendTargets(self.settings, self.verify, self.prune, self._catalogues, lambda: self.tiers)

    @cached_property
    def tiers(self) -> TierTargets:
        """Let files go cold that nobody reads, and bring them back."""
        from mirror_sync.app.places.tier_targets import TierTargets

        return TierTargets(self.settings, self._configured, self._context)

    def thaw(self, target: str, repo: Repo) -> MovedRepo:
        """A reader asks a front for a repo whose files lie in the cold tier. See `TierTargets.thaw`."""
        return self.tiers.thaw(target, repo)

    def is_cold(self, target: str, digest: Sha256) -> bool:
        """Whether a blob lies in the cold tier of a target alone. StoreError."""
        return self.tiers.is_cold(target, digest)

    @cached_property
    def taking_down(self) -> TakeDownRepo:
        """Take a repo down, and let it come back."""
        from mirror_sync.app.trust.taking_down import TakeDownRepo

        return TakeDownRepo(self._configured, self._context, self._catalogues)

    @cached_property
    def bundles(self) -> Bundles:
        """Write what is published into a bundle, and publish what one brings."""
        from mirror_sync.app.places.bundles import Bundles
        from mirror_sync.wiring.stages import keys_of

        return Bundles(self._configured, self._context, self._catalogues, keys_of(self.settings))

    @cached_property
    def releases(self) -> ReleaseNames:
        """Move names of a repo, and show them."""
        from mirror_sync.app.versions.releasing import ReleaseNames

        return ReleaseNames(self._configured, self._context, self._catalogues)

    @cached_property
    def audit(self) -> AuditTrail:
        """Read what was done in targets, and by whom."""
        from mirror_sync.app.trust.auditing import AuditTrail

        return AuditTrail(self.settings, self._context)

    @cached_property
    def traffic(self) -> MeasureTraffic:
        """Measure who reads a target."""
        from mirror_sync.app.measuring import MeasureTraffic

        return MeasureTraffic(self._configured, self.settings.state_dir, self._hook_delivery())

    @cached_property
    def watch_names(self) -> WatchNames:
        """Look at the names that targets have, and at grey releases: for the daemon, again and again."""
        from mirror_sync.app.versions.watching_names import WatchNames

        return WatchNames(self.jobs, self._context, self._rollouts)

    @cached_property
    def replicas(self) -> Replicas:
        """Copy targets to their replicas, and say how far these are."""
        from mirror_sync.app.places.replicating import Replicas

        assembly = self._assembly()

        def places(target: str, replica: Replica) -> Replicated:
            return assembly.replicated(self._context().targets[target], replica)

        return Replicas(self.settings, self._context, places, lambda: self.history)

    def promote_replica(self, name: str, *, without: bool = False, dry_run: bool = False) -> Promotion:
        """Make a replica ready to become the target. See `PromoteReplica`."""
        from mirror_sync.app.places.promoting_replica import PromoteReplica

        return PromoteReplica(self.settings.path, self._context, self.replicas)(name, without=without, dry_run=dry_run)

    @property
    def _has_replicas(self) -> bool:
        return any(target.replicas for target in self.settings.targets.values())

    def keep_replicas(self) -> None:
        """For the daemon: from now on replicas are copied to beside all else; without one nothing is imported."""
        if self._has_replicas:
            self.replicas.keep()

    def _changed(self, target: str, sure: bool) -> None:
        if self.settings.targets[target].replicas and not self._reading:
            self.replicas.changed(target, sure=sure)

    @cached_property
    def look_at_wanted(self) -> LookAtWanted:
        """Ask an upstream, and the rules here, about a repo that is not mirrored."""
        from mirror_sync.app.wishing import LookAtWanted

        return LookAtWanted(self.jobs, self._context)

    def note_asked(self, target: str, repo: Repo) -> None:
        """A reader asks a front for a repo that is not in a target."""
        self.sync.note_asked(target, repo)

    def is_taken_down(self, target: str, repo: Repo) -> bool:
        """Whether a person has taken a repo down. StoreError, DocumentError."""
        from mirror_sync.engine.published import read_refs

        return read_refs(self.store(target), repo).tombstone is not None

    def _roll_out(self) -> RollOut:
        from mirror_sync.app.versions.rolling_out import RollOut

        return RollOut(self._context, lambda: self.releases)

    def _by_rules(self, actor: Actor, jobs: Sequence[Job], report: RunReport) -> None:
        """Move the channels and shares of jobs that have rules for it; without one nothing is imported."""
        if any(job.channels for job in jobs):
            from mirror_sync.app.versions.promoting import PromoteByRules

            PromoteByRules(self._context, lambda: self.releases)(actor, jobs, report)
        if any(job.rollout for job in jobs):
            self._rollouts()(actor, jobs, report)

    def _afterwards(self, actor: Actor, jobs: Sequence[Job], report: RunReport, stop: threading.Event) -> None:
        """Make what jobs say of what they publish; without one nothing is imported."""
        if any(job.transform for job in jobs):
            from mirror_sync.app.own.transforming import TransformPublished
            from mirror_sync.scanners.tool import Tool

            folder = self.settings.state_dir / "transforms"
            TransformPublished(
                self._context,
                lambda: self.push,
                lambda transform, ends: Tool(transform, folder, lambda: ends),
            )(actor, jobs, report, stop)

    def sweep(self) -> None:
        """Remove from every target what uploads have left that nobody went on with."""
        self.prune.sweep()

    @property
    def history(self) -> History:
        """What this machine remembers; opened when it is first asked for. OSError."""
        return self._history()

    def publish_catalogue(self, target: str) -> PublishResult:
        """As `Catalogues.publish_anew`; UsageError for a target that is none, too."""
        self.store(target)
        return self._catalogues().publish_anew(target)

    def diff(self, target: str, repo: Repo, before: str | None = None, after: str | None = None) -> Difference:
        """What changed between two snapshots that a target publishes. UsageError for what is not mirrored."""
        from mirror_sync.engine.upkeep.compare_snapshots import difference

        return difference(self.store(target), repo, before, after)

    def report(self, target: str) -> ComplianceReport:
        """What a target holds, as an auditor asks. StoreError where it cannot be listed."""
        from mirror_sync.app.trust.reporting import report_of

        return report_of(self.settings, self._context(), target, self.status())

    def sign(
        self, actor: Actor, *, repo: Repo | None = None, target: str | None = None, retire: str | None = None
    ) -> SignReport:
        """Sign what is published already: all of it, or of one target, or one repo. See `SignRepos`."""
        from mirror_sync.app.trust.signing_repos import SignRepos
        from mirror_sync.wiring.stages import doors_of, keys_of, signer_of

        keys = keys_of(self.settings)
        signer = None if keys is None else signer_of(self.settings, keys)
        signing = SignRepos(self._context, keys, signer, doors_of(self.settings))
        return signing(actor, repo=repo, target=target, retire=retire)

    def open_doors(self, actor: Actor, *, repo: Repo | None = None, target: str | None = None) -> SignReport:
        """Make what open doors need of what is published already. See `RemakeDoors`."""
        from mirror_sync.app.trust.signing_repos import RemakeDoors
        from mirror_sync.wiring.stages import doors_of

        return RemakeDoors(self._context, doors_of(self.settings))(actor, repo=repo, target=target)

    def segment_check(self, signers: Path) -> SignatureCheck:
        """Who asks whether segments of the audit are signed by these keys. UsageError for a file that is none."""
        from mirror_sync.wiring.stages import segment_check_of

        return segment_check_of(signers)

    def rescan(self, repo: Repo | None = None, *, again: bool = False) -> RescanReport:
        """Judge anew what is published, by the policies and scanners of today. UsageError where there is nothing.

        `again`: the next sync scans anew what is held.
        """
        from mirror_sync.engine.inspection.rescan import Rescan
        from mirror_sync.wiring.stages import inspection_of

        context = self._context()
        inspection = inspection_of(context, self.settings.state_dir, self.stop)
        report = Rescan(context, self.settings.jobs, inspection).run(repo, again=again)
        if repo is None and not report.interrupted:
            for name, faults in report.faults({job.name: job.target for job in self.settings.jobs}).items():
                context.tell(Tended(name, Care.RESCAN, context.now(), faults))
        return report

    def signing_since(self, target: str) -> tuple[str, str]:
        """The fingerprint of the key by which this machine signed last in a target, and since when in ISO 8601; empty
        for none. What another process has recorded counts.
        """
        from mirror_sync.engine.acts import key_of_state
        from mirror_sync.state.audit_journal import AuditJournal, audit_folder

        folder = audit_folder(self.settings.state_dir, place_of(self.settings.targets[target]))
        return key_of_state(AuditJournal(folder).states())

    def budgets(self) -> Mapping[str, Mapping[str, BudgetState]]:
        """By upstream and kind of call, what its last answers left; empty before the first run."""
        context = self._context.made
        return {} if context is None else {name: source.budget() for name, source in context.sources.items()}

    def speeds(self) -> Mapping[str, Mapping[str, WayPace]]:
        """By upstream and address, how quick each of several endpoints is; empty before the first run."""
        context = self._context.made
        return {} if context is None else {name: source.speeds() for name, source in context.sources.items()}

    def ways(self) -> Ways:
        """By which ways files came, as the runs of this machine have written it down. OSError."""
        return kept_ways(self.settings.state_dir)

    def probe(self, target: str) -> bool:
        """Whether a target answers: one look for a key that need not be there."""
        try:
            self._context().targets[target].store.stat(_ANY_KEY)
        except (StoreError, OSError) as error:
            _log.debug("target.silent", target=target, reason=str(error))
            return False
        return True

    def work(self, work_items: int, on_ready: Callable[[str], None]) -> None:
        """Be a worker of the scheduler that jobs.yaml names, `work_items` at once, until SIGTERM or SIGINT.

        Must be called in the main thread. `on_ready` gets the worker's address. UsageError where jobs.yaml names no
        scheduler; ClusterError when none answers, or when it is lost.
        """
        address = self.settings.engine.address
        if address is None:
            raise UsageError(
                f"{self.settings.path.name} names no scheduler; write engine: {{kind: dask, address: ...}}"
            )
        from mirror_sync.cluster.dask_library import import_distributed

        import_distributed()
        from mirror_sync.cluster.worker import WorkerProcess, WorkerRole

        role = WorkerRole(self._context(), fingerprints_of(self.settings), work_items)
        process = WorkerProcess(address, role)
        self._overhears.append(process.overhear)
        process.run(on_ready)

    def close(self) -> None:
        """Wait for hooks under way, a moment only after a stop; close what is remembered, if it was opened."""
        if "replicas" in self.__dict__:
            self.replicas.end()
        if self._hook_delivery.made is not None:
            self._hook_delivery.made.close(_LAST_WORDS if self.stop.is_set() else _patience(self.settings.hooks))
        if self._history.made is not None:
            self._history.made.close()
        self._closing.close()

    def _for_readers(self, target: Target) -> Store:
        """A front writes nothing."""
        return ReadOnlyStore(open_store(target, unsigned=self.settings.front.bucket == "public", learn=self._learn))

    def _assembly(self) -> Assembly:
        from mirror_sync.wiring.assembly import Assembly

        return Assembly(self.settings, self.stop, self._learn, reading=self._reading, closing=self._closing)

    def _assemble(self) -> RunContext:
        context = self._assembly().context(self._told(), self.history.last_check)
        return replace(context, remembered=self._remembered.published_in)

    def _told(self) -> Observer:
        """Notices before the history: what that remembers then is what was known before."""
        hooks = self._hook_delivery() if self.settings.hooks else None
        notices = () if hooks is None else (Notices(self.history.latest, hooks, deliver_names=hooks),)
        ways = WaysCounter(self.settings.state_dir, self.speeds)
        return News(self.history.found, tell_all((*notices, self.history, ways, *self._observers, self._overheard)))

    def _deliverer(self) -> HookDelivery:
        from mirror_sync.observe.notify.hook_delivery import HookDelivery

        return HookDelivery(self.settings.hooks)

    def _new_catalogues(self) -> Catalogues:
        from mirror_sync.app.catalogues import Catalogues

        return Catalogues(self.settings, self._context(), self.history, self._remembered, self._changed)

    def _overheard(self, event: Event) -> None:
        for observer in self._overhears:
            observer(event)


def _patience(hooks: Hooks) -> float:
    """Seconds that the slowest hook may take."""
    return max((hook.timeout.total_seconds() for each in hooks.values() for hook in each), default=0.0)
