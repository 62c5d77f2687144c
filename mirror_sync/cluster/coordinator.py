"""The coordinator: hands work items to the workers of a Dask scheduler, as many as they take at once."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import replace

from mirror_sync.cluster.attempt_record import AttemptRecord
from mirror_sync.cluster.dask_library import resource
from mirror_sync.cluster.link import Crowd, Link, WorkersDied
from mirror_sync.cluster.messages import Deal, Dispatch, Envelope, GivenBack, Refused
from mirror_sync.domain.outcome.report import RepoReport
from mirror_sync.domain.work import WorkItem
from mirror_sync.engine import known_contents
from mirror_sync.engine.context import RunContext
from mirror_sync.errors import ClusterError, Interrupted

ATTEMPTS = 4  # at one work item, when each of its workers dies
_RETURNS = 100  # of one work item, by workers that are stopped in order: only a fault of ours makes it so many
_PAUSE = 0.5  # seconds before a work item that was given back goes out again
_LOOK = 0.2  # seconds between two checks of the stop event
_CENSUS = 1.0  # seconds that a look at who is there holds good
GRACE = 6.0  # seconds that work items get to end after a stop
_HALTED = 1000  # runs that were stopped last: those whose work items are still ending are among them


class DaskExecutor:
    """Implements `engine.context.RepoExecutor`. Connected while somebody is at work: a scheduler may rest meanwhile.

    `wait`: seconds that work items wait for a worker when there is none. `sides` tell, by name, what each upstream and
    target of our jobs.yaml is, secrets left out: a worker where they are others takes no work item. `limited`: there
    are limits of bandwidth, which are dealt out among the workers that are at work.
    """

    at_once = 256  # threads here, each waiting for a work item or for a worker that is free

    def __init__(self, address: str, wait: float, sides: Mapping[str, str], *, limited: bool = False) -> None:
        self._address, self._wait, self._sides, self._limited = address, wait, sides, limited
        self._coordinator: _Coordinator | None = None
        self._users = 0
        self._lock = threading.Lock()

    @contextmanager
    def at_work(self, context: RunContext) -> Iterator[None]:
        with self._lock:
            if self._coordinator is None:
                self._coordinator = _Coordinator(self._address, self._wait, limited=self._limited)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                last = self._coordinator if not self._users else None
                if last is not None:
                    self._coordinator = None
            if last is not None:
                last.close()

    def bring(self, context: RunContext, work_item: WorkItem) -> RepoReport:
        coordinator = self._coordinator
        assert coordinator is not None  # noqa: S101  the caller is at work
        job = work_item.task.job
        upstreams = (f"upstream {name}" for name in (job.upstream, *job.roads))
        names = (*upstreams, f"target {job.target}", "trust", "front")
        return coordinator.bring(context, work_item, {name: self._sides[name] for name in names if name in self._sides})


class _Coordinator:
    """What is shared by all work items that are out while somebody is at work."""

    def __init__(self, address: str, wait: float, *, limited: bool) -> None:
        self._limited, self._dealing = limited, threading.Lock()
        self._records: dict[str, AttemptRecord] = {}
        self._numbers = itertools.count()
        self._halting = threading.Lock()
        self._halted: deque[str] = deque(maxlen=_HALTED)
        self._link = Link(address, self._receive, wait)
        self._turnstile = _Turnstile(self._link, address, wait)
        self._deal = Deal(self._link.name)

    def bring(self, context: RunContext, work_item: WorkItem, sides: Mapping[str, str]) -> RepoReport:
        """`sides` are the names of the work item's upstream and target, with what these are here."""
        target = context.targets[work_item.task.job.target]
        known_contents.known_digests(target, (), context.go_on)  # by one walk, for which all wait: workers ask for it
        record = AttemptRecord(context.tell, target, work_item, self._link.reply)
        try:
            for _ in range(_RETURNS):
                with self._turnstile.passed(context):
                    self._deal_out()
                    outcome = self._send_out(context, record, work_item, sides)
                self._deal_out()
                match outcome:
                    case RepoReport():
                        return record.complete(outcome)
                    case Refused(why):
                        raise ClusterError(why)
                    case GivenBack(why):
                        record.given_back(why)
                context.pause(_PAUSE)
            raise ClusterError(f"{_RETURNS} workers gave the repo back")
        except Interrupted:
            report = record.interrupted()
            if report is None:
                raise
            return report
        finally:
            record.close()

    def _deal_out(self) -> None:
        """Before a work item goes out, each worker at work takes no more than its part together with that one."""
        with self._dealing:
            among = self._turnstile.busy
            if self._limited and among != self._deal.among:
                self._deal = replace(self._deal, number=self._deal.number + 1, among=among)
                self._link.deal(self._deal)

    def close(self) -> None:
        self._link.close()

    def _send_out(
        self, context: RunContext, record: AttemptRecord, work_item: WorkItem, sides: Mapping[str, str]
    ) -> object:
        """What a worker made of it. Interrupted after a stop, when the worker had time to end."""
        deaths = 0
        while True:
            key = f"{self._link.name}-errand-{next(self._numbers)}"
            dispatch = Dispatch(self._link.name, key, work_item, sides, self._deal)
            self._records[dispatch.key] = record
            try:
                return self._await(context, dispatch, self._link.submit(dispatch))
            except WorkersDied as error:
                deaths += error.deaths
                if deaths >= ATTEMPTS:
                    raise WorkersDied(deaths, error.worker) from error
            finally:
                del self._records[dispatch.key]

    def _await(self, context: RunContext, dispatch: Dispatch, out: Future[object]) -> object:
        until = None
        while True:
            try:
                return out.result(_LOOK)
            except CancelledError as error:
                raise Interrupted("the work item was called back") from error
            except FutureTimeout:
                if out.done():
                    raise
            if context.stop.is_set() and until is None:
                until = time.monotonic() + GRACE
                self._halt(dispatch.work_item.run)
            elif until is not None and time.monotonic() > until:
                self._link.cancel(dispatch.key)
                raise Interrupted("a worker did not end in time")
            else:
                self._records[dispatch.key].free(*self._turnstile.expect_somebody())

    def _halt(self, run: str) -> None:
        """Once for all work items of a run; those of other runs go on."""
        with self._halting:
            if run in self._halted:
                return
            self._halted.append(run)
        self._link.halt(run)

    def _receive(self, envelope: Envelope) -> None:
        record = self._records.get(envelope.key)
        if record is not None:
            record.take(envelope)


class _Turnstile:
    """Lets as many work items out as workers take at once; their number may change at any moment."""

    def __init__(self, link: Link, address: str, wait: float) -> None:
        self._link, self._address, self._wait = link, address, wait
        self._out = 0
        self._crowd, self._seen = Crowd(0), 0.0
        self._somebody = time.monotonic()  # when there was a worker last
        self._changed = threading.Condition()

    @property
    def busy(self) -> int:
        """Workers that may be at work, at the most; one at the least."""
        with self._changed:
            return max(1, min(self._out, len(self._crowd.live)))

    @contextmanager
    def passed(self, context: RunContext) -> Iterator[None]:
        """Waits for a free worker. ClusterError when there is none at all for long, Interrupted after a stop."""
        with self._changed:
            while not self._free():
                self._changed.wait(_LOOK)
                context.go_on()
            self._out += 1
        try:
            yield
        finally:
            with self._changed:
                self._out -= 1
                self._changed.notify()

    def expect_somebody(self) -> tuple[frozenset[str], float]:
        """The addresses of who was there at the last look, and when; ClusterError when nobody has been for long."""
        with self._changed:
            self._look()
            return self._crowd.live, self._seen

    def _free(self) -> bool:
        self._look()
        return self._out < self._crowd.slots

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._seen < _CENSUS and self._crowd.slots:
            return
        if now - self._seen >= _LOOK:
            self._crowd, self._seen = self._link.crowd(), now
        if self._crowd.slots:
            self._somebody = now
        elif now - self._somebody > self._wait:
            others = f"; {', '.join(self._crowd.others)}: install one version everywhere" if self._crowd.others else ""
            raise ClusterError(f"no worker with {resource()} is at {self._address} for {self._wait:g} s{others}")
