"""Replicas of targets: copied to after whatever changes a target, beside it, and never at its cost.

A command waits for them for a bounded time, the daemon not at all: there each has a thread of its own. Whatever a
replica does, nothing of it is an error of what was done to the target; its own state tells, `status` shows it, and
`replicate` ends by it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.job.targets import Replica
from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.outcome.replicas import ReplicaStatus
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.memory_budget import MemoryBudget
from mirror_sync.engine.places.across import AcrossReport, compare
from mirror_sync.engine.places.replica_pass import ReplicaPass, Replicated
from mirror_sync.engine.stopping import EitherStop, Until, running
from mirror_sync.errors import Interrupted, MirrorError, UsageError
from mirror_sync.logger import Logger
from mirror_sync.state.file_lock import Held, hold
from mirror_sync.state.history import History
from mirror_sync.state.locks import acquired, locks_of

_MEMORY = 64 * 1024 * 1024  # bytes of content on its way to one replica
_LITTLE = 16 * 1024 * 1024  # on a small machine
_IDLE, _SOON = 900.0, 30.0  # seconds until the daemon's next pass: where all is well, and after the first failure
_LAST_WORDS = 2.0  # seconds that a pass gets to end, once its time is up

_log = Logger()

# What is done in a replica was done in the target, where its audit says by whom; the audit of the replica is a copy.
_BY = BY_DAEMON

Open = Callable[[str, Replica], Replicated]


class Replicas:
    """Safe for many threads. A replica has one pass at a time on this machine."""

    def __init__(
        self, settings: Settings, context: Callable[[], RunContext], open_places: Open, history: Callable[[], History]
    ) -> None:
        self._settings, self._context, self._open, self._history = settings, context, open_places, history
        self._opened: dict[tuple[str, str], Replicated] = {}
        self._ended, self._making = threading.Event(), threading.Lock()
        self._calls: dict[tuple[str, str], threading.Event] = {}  # by which threads of the daemon are woken

    def named(self, target: str | None = None, name: str | None = None) -> list[tuple[str, Replica]]:
        """The replicas of jobs.yaml, or of one target, or the one of a name. UsageError where there is none such."""
        found = [
            (of, replica)
            for of, replica in self._every()
            if target in (None, of) and name in (None, replica.name, f"{of}/{replica.name}")
        ]
        if found:
            return found
        every = [f"{of}/{one.name}" for of, one in self._every()]
        if not every:
            raise UsageError(
                f"{self._settings.path.name} names no replica; write replicas: [{{name: far, url: s3://...}}] under a "
                "target"
            )
        raise UsageError(f"no replica {name or f'of target {target}'}; there are: {', '.join(every)}")

    def places(self, target: str, replica: Replica) -> Replicated:
        """A target with one of its replicas, opened once."""
        with self._making:
            key = target, replica.name
            if key not in self._opened:
                self._opened[key] = self._open(target, replica)
            return self._opened[key]

    def copy(self, target: str, replica: Replica, *, anew: bool = False, by_rclone: bool = False) -> ReplicaStatus:
        """One pass by hand, which waits for one that goes on already, and minds no hours.

        `by_rclone`: blobs are brought by that first. OSError, StoreError; UsageError without rclone.
        """
        with acquired(self._lock(replica), self._context().go_on):
            if by_rclone:
                from mirror_sync.app.places.bulk_filling import fill_by_rclone

                self.places(target, replica).fill()
                fill_by_rclone(self._settings.targets[target], replica.at, self._context().stop)
            return self._copied(target, replica, self._context().stop, sure=True, anew=anew)

    def across(self, target: str, replica: Replica) -> AcrossReport:
        """How a replica compares with its target. Interrupted."""
        places = self.places(target, replica)
        return compare(self._context(), places.main, places.replica, replica.name)

    def changed(self, target: str, *, sure: bool = False) -> None:
        """Something was published in a target, or taken down. Raises nothing. `sure`: the feed may not tell of it."""
        replicas = self._settings.targets[target].replicas
        if not replicas or self._context().stop.is_set():
            return
        if self._calls:
            for replica in replicas:
                self._calls[target, replica.name].set()
            return
        monotonic = self._context().monotonic
        threads, began = [(one, self._beside(target, one, sure=sure)) for one in replicas], monotonic()
        for replica, thread in threads:
            thread.join(max(0.0, replica.wait.total_seconds() + _LAST_WORDS - (monotonic() - began)))
            if thread.is_alive():
                _log.warning("replica.left", target=target, replica=replica.name, reason="it does not answer in time")

    def keep(self) -> None:
        """From now on each replica has a thread, which copies when something has changed, until `end`."""
        self._calls = {(target, replica.name): threading.Event() for target, replica in self._every()}
        for target, replica in self._every():
            name = f"replica {target}/{replica.name}"
            threading.Thread(target=self._keep, args=(target, replica), name=name, daemon=True).start()

    def end(self) -> None:
        """The threads end soon, and so does what they are at."""
        self._ended.set()
        for call in self._calls.values():
            call.set()

    def _every(self) -> Iterator[tuple[str, Replica]]:
        return ((name, replica) for name, target in self._settings.targets.items() for replica in target.replicas)

    def _beside(self, target: str, replica: Replica, *, sure: bool) -> threading.Thread:
        def work() -> None:
            self._try(target, replica, datetime.now(UTC) + replica.wait, sure=sure)

        thread = threading.Thread(target=work, name=f"replica {replica.name}", daemon=True)
        thread.start()
        return thread

    def _keep(self, target: str, replica: Replica) -> None:
        call, wait = self._calls[target, replica.name], _SOON
        while not self._stop.is_set():
            call.clear()
            sound = self._try(target, replica, None)
            now = datetime.now(UTC)
            opens = now if replica.hours is None else replica.hours.opens(now)
            if opens > now:
                call.wait(min(_IDLE, (opens - now).total_seconds()))
            else:
                call.wait(_IDLE if sound else wait)
            wait = _SOON if sound else min(2 * wait, _IDLE)

    def _try(self, target: str, replica: Replica, deadline: datetime | None, *, sure: bool = False) -> bool:
        """Whether all is there now. Nothing that a replica does ends what is done to the target, or this thread."""
        name = replica.name
        try:
            return self._pass(target, replica, deadline, sure=sure)
        except Interrupted:
            return False
        except (MirrorError, OSError) as error:
            _log.warning("replica.behind", target=target, replica=name, reason=str(error))
        except Exception as error:
            reason = f"internal error: {type(error).__name__}: {error}"
            _log.error("replica.behind", target=target, replica=name, reason=reason, exc_info=True)
        return False

    def _pass(self, target: str, replica: Replica, deadline: datetime | None, *, sure: bool) -> bool:
        """Where one goes on elsewhere, or at these hours none may: the take-downs alone, as readers see them."""
        now, stop = datetime.now(UTC), self._stop
        closes = replica.hours.closes(now) if replica.hours is not None else None
        ends = [one for one in (deadline, closes) if one is not None]
        if closes is not None and closes <= now:
            self._made(target, replica, stop).look()
            return True
        if ends:
            stop = Until(stop, min(ends), lambda: datetime.now(UTC))
        try:
            path = self._lock(replica)
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = hold(path, 0)
        except Held:
            self._made(target, replica, stop).look()
            return True
        with lock:
            return not self._copied(target, replica, stop, sure=sure).reason

    def _copied(
        self, target: str, replica: Replica, stop: threading.Event, *, sure: bool = False, anew: bool = False
    ) -> ReplicaStatus:
        with running(stop):
            status = self._made(target, replica, stop, sure=sure, anew=anew).run()
        name, blobs, size = replica.name, status.copied_blobs, status.copied_bytes
        if status.reason:
            since, reason = status.behind_since, status.reason
            _log.warning("replica.behind", target=target, replica=name, reason=reason, since=since)
        else:
            _log.info("replica.copied", target=target, replica=name, blobs=blobs, bytes=size)
        return status

    def _made(
        self, target: str, replica: Replica, stop: threading.Event, *, sure: bool = False, anew: bool = False
    ) -> ReplicaPass:
        places = self.places(target, replica)
        context = replace(
            self._context(),
            targets={places.replica.name: places.replica},
            tell=lambda event: None,  # events are of targets, and of what upstreams gave
            remembered=lambda name: frozenset(),
            stop=stop,
            memory=MemoryBudget(_LITTLE if self._settings.edge else _MEMORY),
            executor=None,
            actor=_BY,
        )
        return ReplicaPass(context, places, sure=sure, anew=anew, pruned=self._pruned(target))

    @property
    def _stop(self) -> threading.Event:
        return EitherStop(self._context().stop, self._ended)

    def _pruned(self, target: str) -> str:
        """When the target was pruned last, as far as this machine knows; empty for never."""
        with suppress(OSError):
            tended = self._history().tended()
            return next((one.at for one in tended if one.target == target and one.care is Care.PRUNE), "")
        return ""

    def _lock(self, replica: Replica) -> Path:
        return locks_of(self._settings.state_dir, place_of(replica.at)) / "replica.lock"
