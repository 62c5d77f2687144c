"""Makes the engine's context of settings: sources within limits, targets with their locks and memories, an executor."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mirror_sync.app.fingerprints import fingerprints_of
from mirror_sync.app.remembered import machine_word
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.config.tokens.tokens_file import known_tokens
from mirror_sync.domain.freshness import LastCheck
from mirror_sync.domain.job.bandwidth import Bandwidth, Portion
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.keep import ReadTimes
from mirror_sync.domain.job.targets import DirectoryTarget, Replica, S3Target
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.outcome.traffic import WantedRepo
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.subject import Subject
from mirror_sync.engine.context import RepoExecutor, RunContext, Target
from mirror_sync.engine.memory_budget import MemoryBudget
from mirror_sync.engine.stopping import stop_of_run
from mirror_sync.errors import DocumentError, Interrupted, StoreUnavailable
from mirror_sync.owners import with_hindrance
from mirror_sync.ports.audit import Audit, NoAudit
from mirror_sync.ports.source import Source
from mirror_sync.ports.store import Store
from mirror_sync.sources.hub.budget import Budgets, BudgetWait
from mirror_sync.sources.wrappers.limited import JobLimits, Limits
from mirror_sync.sources.wrappers.pacing import Timing
from mirror_sync.sources.wrappers.renamed import RenamedSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from mirror_sync.sources.wrappers.roads import JobRoads
from mirror_sync.state.audit_chain import AuditPlace, ChainedAudit
from mirror_sync.state.audit_journal import AuditJournal, audit_folder
from mirror_sync.state.locks import acquired, locks_of
from mirror_sync.state.target_memory import SqliteIndex, SqliteNotes, SqliteReadCache, mirror_memory, replica_memory
from mirror_sync.stores.wrapped_store import ReadOnlyStore
from mirror_sync.wiring.adapters import OfMirrors, connections_of, open_source, open_store, open_tiers
from mirror_sync.wiring.stages import fingerprint_of, inspecting, keys_of, seal_of, segment_signer_of, stages_of

if TYPE_CHECKING:
    from mirror_sync.engine.places.replica_pass import Replicated

_EDGE_MEMORY = 16 * 1024 * 1024  # bytes of content that a small machine holds
_WRITTEN = {DirectoryTarget: 0.1, S3Target: 1.0}  # seconds from a look at a small object to the end of its PUT, mostly


Remembered = TypeVar("Remembered", SqliteIndex, SqliteNotes, SqliteReadCache)


class Assembly:
    """Everything that waits in what it makes ends with `stop`, or with the stop of its own run."""

    def __init__(
        self,
        settings: Settings,
        stop: threading.Event,
        learn: Callable[[Iterable[str]], None] = lambda _: None,
        *,
        reading: bool = False,
        closing: ExitStack | None = None,
    ) -> None:
        """`learn` is told the secrets that come up while it works. `reading`: nothing is written or remembered.

        `closing` gives back the files of what is remembered here: nobody looks for them when a process ends.
        """
        self._settings, self._stop, self._learn, self._reading = settings, stop, learn, reading
        self._closing = closing or ExitStack()
        self._portion = Portion()
        self.keys = keys_of(settings)

    def context(self, tell: Observer, last_check: Callable[[Subject], LastCheck | None]) -> RunContext:
        """All of it; `looked` remembers the last look at what a report is about. SigningError for a bad key."""
        if self.keys is not None and not self._reading:
            self.keys.expect()
        budgets = Budgets(BudgetWait(self._sleep, random.random, tell))
        plain = {name: self._plain(name, budgets, tell) for name in self._settings.upstreams}
        common = self._limits(self._settings.bandwidth, self._settings.connections)
        job_limits = JobLimits(self._limits)

        roads = JobRoads(plain, lambda source: self._source(source, tell), tell)

        def own(job: Job) -> Source | None:  # as the job says, which may be another machine's
            limits = job_limits.of(job)
            if not (limits or job.roads or job.published_as):
                return None
            source = self._source((limits + common).on(roads.of(job)), tell)
            return source if job.published_as is None else RenamedSource(source, job.published_as)

        context = RunContext(
            sources={name: self._source(common.on(source), tell) for name, source in plain.items()},
            own=own,
            targets={name: self._target(name, target, tell) for name, target in self._settings.targets.items()},
            tell=tell,
            clock=partial(datetime.now, UTC),
            stop=self._stop,
            last_check=last_check,
            executor=self._executor(),
            stages=stages_of(self._settings, self.keys),
            portion=self._portion,
            config=self._settings.digest,
            tokens=partial(known_tokens, self._settings.tokens),
            demand=self._demand,
            signer="" if self._reading else fingerprint_of(self.keys),
            reads=self._reads,
        )
        if self._settings.edge:
            context = replace(context, memory=MemoryBudget(_EDGE_MEMORY), repos_at_once=1)
        return inspecting(context, self._settings.state_dir, self._stop)

    def _demand(self, target: str) -> Sequence[WantedRepo] | None:
        """As `traffic` counted it on this machine."""
        from mirror_sync.state.traffic_file import kept_demand  # few jobs ask for it

        try:
            return kept_demand(self._settings.state_dir, target)
        except (OSError, ValueError) as error:
            raise DocumentError(f"what readers of target {target} asked for cannot be read: {error}") from error

    def _executor(self) -> RepoExecutor | None:
        engine = self._settings.engine
        if engine.address is None:
            return None
        from mirror_sync.cluster.coordinator import DaskExecutor

        limits = (self._settings.bandwidth, *(job.bandwidth for job in self._settings.jobs))
        limited = not all(limit.unlimited for limit in limits)
        return DaskExecutor(engine.address, engine.patience, fingerprints_of(self._settings), limited=limited)

    def _plain(self, name: str, budgets: Budgets, tell: Observer) -> Source:
        jobs = [job for job in self._settings.jobs if name in (job.upstream, *job.roads)]
        state, reading = self._settings.state_dir, self._reading

        def memory(place: str) -> SqliteReadCache:
            return self._kept(mirror_memory(state, place, reading=reading))

        of_mirrors = OfMirrors(memory, partial(self._ids, sorted({job.target for job in jobs})))
        return open_source(self._settings.upstreams[name], budgets, connections_of(jobs), tell, of_mirrors)

    def _ids(self, targets: Iterable[str]) -> frozenset[str]:
        """Who publishes these targets, to the mirrors that they are read from."""
        from mirror_sync.app.this_machine import target_id  # it knows the catalogue, which few need

        return frozenset(target_id(self._settings, name) for name in targets)

    def _limits(self, bandwidth: Bandwidth, connections: int | None) -> Limits:
        return Limits.of(bandwidth, connections, Timing(self._sleep, portion=self._portion), partial(self._sleep, 0.0))

    def _source(self, limited: Source, tell: Observer) -> Source:
        """Repetitions stand outside the limits: who waits for the next try holds no connection."""
        return RetryingSource(limited, RetryPolicy(), tell, self._sleep, random.random)

    def _sleep(self, seconds: float) -> None:
        if stop_of_run(self._stop).wait(seconds):
            raise Interrupted("stopped while waiting")

    def _target(self, name: str, target: DirectoryTarget | S3Target, tell: Observer) -> Target:
        state = self._settings.state_dir
        jobs = (job for job in self._settings.jobs if job.target == name)
        place, opened = place_of(target), open_tiers(target, connections_of(jobs), learn=self._learn)
        store = opened.store
        audit: Audit = NoAudit() if self._reading else self._audit(name, place, store, tell)
        return Target(
            name=name,
            store=ReadOnlyStore(store) if self._reading else store,
            index=self._kept(SqliteIndex(state / "index.db", place, reading=self._reading)),
            notes=self._kept(SqliteNotes(state / "uploads.db", place, reading=self._reading)),
            lock=partial(self._locked, locks_of(state, place)),
            refs_lock=partial(self._locked, locks_of(state, place) / "refs"),
            grace=target.grace,
            seal=seal_of(self.keys, lambda: audit.head, partial(self._sleep, _WRITTEN[type(target)])),
            read_cache=self._kept(SqliteReadCache(state / "looks.db", place, reading=self._reading)),
            audit=audit,
            keep=target.keep,
            tiers=target.tiers,
            tiering=opened.tiering,
        )

    def replicated(self, main: Target, replica: Replica) -> Replicated:
        """A target with one of its replicas, and what is remembered of that."""
        from mirror_sync.engine.places.replica_pass import Replicated  # nobody needs it without a replica

        state, place = self._settings.state_dir, place_of(replica.at)
        store = open_store(replica.at, learn=self._learn)
        of_replica = Target(
            name=f"{main.name}/{replica.name}",
            store=ReadOnlyStore(store) if self._reading else store,
            index=self._kept(SqliteIndex(state / "index.db", place, reading=self._reading)),
            notes=self._kept(SqliteNotes(state / "uploads.db", place, reading=self._reading)),
            lock=partial(self._locked, locks_of(state, place)),
            refs_lock=partial(self._locked, locks_of(state, place) / "refs"),
            grace=replica.at.grace,
            seal=lambda _store, _repo, refs: (refs, ()),  # what was signed is copied as it is
        )
        memory = self._kept(replica_memory(state, place, reading=self._reading))
        return Replicated(main, of_replica, memory, replica.name, fronted=replica.front is not None)

    def _kept(self, memory: Remembered) -> Remembered:
        self._closing.callback(memory.close)
        return memory

    def _reads(self, target: Target) -> ReadTimes:
        counted = target.keep or target.tiers
        if counted is None:
            return ReadTimes()
        from mirror_sync.app.reading import CountReads  # it knows the doors of fronts, which others do not need

        now = partial(datetime.now, UTC)
        return CountReads(self._settings.state_dir, now, reading=self._reading)(target.name, target.store, counted)

    def _audit(self, name: str, place: str, store: Store, tell: Observer) -> Audit:
        state = self._settings.state_dir
        journal, lock = AuditJournal(audit_folder(state, place)), locks_of(state, place) / "audit.lock"
        where = AuditPlace(journal, lock, store, name, partial(machine_word, state))
        return ChainedAudit(where, tell, segment_signer_of(self.keys))

    @contextmanager
    def _locked(self, folder: Path, repo: Repo) -> Iterator[None]:
        """One holder a repo and target on this machine; waiting for it can be stopped."""
        path = folder / f"{repo.kind.plural}-{repo.id.replace('/', '--')}.lock"

        def go_on() -> None:
            if stop_of_run(self._stop).is_set():
                raise Interrupted(f"stopped while waiting for {path}")

        try:
            lock = acquired(path, go_on)
        except OSError as error:
            raise StoreUnavailable(with_hindrance(f"{path}: {error.strerror or error}", path)) from error
        with lock:
            yield
