"""What a worker process has: a context of its own, and the work items that it is at."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from mirror_sync.cluster.attempt import Attempt, Questions
from mirror_sync.cluster.messages import Answer, Deal, Dispatch, Envelope, GivenBack, Message, Refused, TakenUp
from mirror_sync.cluster.remote import remote_job_run
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import Called, Event, Retrying
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.run import open_job_run
from mirror_sync.engine.sync.repo_sync import JobRun, run_work_item
from mirror_sync.errors import Interrupted
from mirror_sync.logger import Logger

Send = Callable[[str, Envelope], None]  # to the coordinator of this name

_HALTED = 1000  # runs that were stopped last: a work item that is still on its way here is of one of them

_log = Logger()


@dataclass(frozen=True, slots=True)
class _RunningItem:
    dispatch: Dispatch
    attempt: Attempt


class Workplace:
    """Runs work items, several at once, until it is left. Safe for many threads.

    `sides` tell what each upstream and target of this machine's jobs.yaml is; `address` is the worker's own.
    """

    def __init__(self, context: RunContext, sides: Mapping[str, str], send: Send, address: str) -> None:
        self._context, self._sides, self._send, self._address = context, sides, send, address
        self._questions = Questions()
        self._job_runs = _JobRuns(context)
        self._turns: dict[str, _RunningItem] = {}
        self._halted: deque[str] = deque(maxlen=_HALTED)
        self._left = ""
        self._deals: dict[str, Deal] = {}
        self._quiet = threading.Condition()

    def run(self, dispatch: Dispatch) -> RepoReport | GivenBack | Refused:
        """Carry one work item out. What goes wrong with its repo is in the report."""
        if wrong := self._stranger(dispatch):
            return Refused(wrong)
        if dispatch.deal is not None:
            self.deal(dispatch.deal)
        task = dispatch.work_item.task
        with self._turn(dispatch) as attempt:
            if attempt is None:
                return GivenBack(self._left or "its run was stopped")
            _log.info("errand.started", job=task.job.name, repo=str(task.repo), revision=task.revision)
            try:
                report = self._carry_out(dispatch, attempt)
            except Interrupted:
                report = None
            if report is None or report.outcome is RepoOutcome.INTERRUPTED:  # the coordinator knows what was kept
                _log.info("errand.given-back", job=task.job.name, repo=str(task.repo), revision=task.revision)
                return GivenBack(self._left or "it was stopped")
            _log.info("errand.finished", job=task.job.name, repo=str(task.repo), outcome=report.outcome)
            return report

    def overhear(self, event: Event) -> None:
        """An observer of what is told of no work item: coordinators of work items here hear of calls and retries."""
        if isinstance(event, Called | Retrying):
            with self._quiet:
                turns = {turn.dispatch.sender: turn.attempt for turn in self._turns.values()}
            for attempt in turns.values():
                attempt.tell(event)

    def deal(self, told: Deal) -> None:
        """Read no faster than our part of each limit. Where several coordinators deal, the smallest part."""
        with self._quiet:
            known = self._deals.get(told.sender)
            if known is None or known.number < told.number:
                self._deals[told.sender] = told
            self._context.portion.among = max(each.among for each in self._deals.values())

    def drop(self, key: str) -> None:
        """Nobody wants this work item any more."""
        with self._quiet:
            self._stop(lambda dispatch: dispatch.key == key)

    def halt(self, run: str) -> None:
        """A run was stopped: its work items end, keeping what was put, and none of it begins any more."""
        with self._quiet:
            self._halted.append(run)
            self._stop(lambda dispatch: dispatch.work_item.run == run)

    def leave(self, why: str, seconds: float) -> bool:
        """All work items end, keeping what was put, and none begins any more; whether they did in so many seconds."""
        with self._quiet:
            self._left = why
            self._stop(lambda dispatch: True)
            return self._quiet.wait_for(lambda: not self._turns, seconds)

    def _stop(self, which: Callable[[Dispatch], bool]) -> None:
        for turn in self._turns.values():
            if which(turn.dispatch):
                turn.attempt.stop.set()

    def answer(self, number: int, answer: Answer) -> None:
        self._questions.answer(number, answer)

    def _stranger(self, dispatch: Dispatch) -> str:
        """Why this machine must not touch the work item; empty when it may."""
        for name, side in dispatch.sides.items():
            if name not in self._sides:
                return f"worker {self._address} has no {name} in its jobs.yaml; give all machines the same file"
            if self._sides[name] != side:
                return f"worker {self._address} has another {name} in its jobs.yaml; give all machines the same file"
        return ""

    @contextmanager
    def _turn(self, dispatch: Dispatch) -> Iterator[Attempt | None]:
        """None when nothing of this run, or at all, is begun here any more."""
        number = uuid.uuid4().hex

        def post(message: Message) -> None:
            self._send(dispatch.sender, Envelope(dispatch.key, number, message))

        attempt = Attempt(post, self._questions)
        with self._quiet:
            if self._left or dispatch.work_item.run in self._halted:
                attempt.stop.set()
            else:
                self._turns[number] = _RunningItem(dispatch, attempt)
                attempt.say(TakenUp(self._address))
        try:
            yield None if attempt.stop.is_set() else attempt
        finally:
            with self._quiet:
                self._turns.pop(number, None)
                self._quiet.notify_all()

    def _carry_out(self, dispatch: Dispatch, attempt: Attempt) -> RepoReport:
        work_item = dispatch.work_item
        with self._job_runs.of(work_item.run, work_item.task.job) as shared:
            return run_work_item(remote_job_run(shared, attempt, work_item.actor), work_item)


class _JobRuns:
    """The work items of one job in one run share a job run, so that `workers` bounds the job's files in flight here."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._open: dict[tuple[str, str], tuple[JobRun, ExitStack]] = {}
        self._users: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    @contextmanager
    def of(self, run: str, job: Job) -> Iterator[JobRun]:
        key = (run, job.name)
        with self._lock:
            if key not in self._open:
                stack = ExitStack()
                self._open[key] = (stack.enter_context(open_job_run(self._context, run, job, ())), stack)
            self._users[key] = self._users.get(key, 0) + 1
            job_run, stack = self._open[key]
        try:
            yield job_run
        finally:
            with self._lock:
                self._users[key] -= 1
                last = not self._users[key]
                if last:
                    del self._users[key], self._open[key]
            if last:
                stack.close()
                job_run.target.audit.seal()
