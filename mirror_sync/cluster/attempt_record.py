"""The coordinator's side of a work item that is out: keeps what the worker notes and learns, answers what it asks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import replace

from mirror_sync.cluster.messages import (
    Answer,
    Claim,
    Claimed,
    Envelope,
    EventTold,
    Indexed,
    Lookup,
    Message,
    Noted,
    Question,
    Recall,
    Released,
    Remembered,
    TakenUp,
)
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.outcome.events import (
    BytesFetched,
    Event,
    FileFinished,
    FileStarted,
    Observer,
    PartsFound,
    RepoPlanned,
    Retrying,
)
from mirror_sync.domain.outcome.report import RepoReport
from mirror_sync.domain.work import WorkItem
from mirror_sync.engine.context import Target
from mirror_sync.engine.sync.repo_sync import interrupted_report
from mirror_sync.engine.transfer.file_read import ByteCount
from mirror_sync.errors import StoreError

Reply = Callable[[str, int, Answer], None]  # to the worker of this address, of the question with this number

LOST = "worker-lost"
"""The cause of a Retrying that tells of a worker's death."""


class AttemptRecord:
    """One work item that is out. Messages come from one thread, `close` from another.

    Only the newest attempt is listened to: a worker that was given up for dead cannot spoil what its successor notes.
    """

    def __init__(self, tell: Observer, target: Target, work_item: WorkItem, reply: Reply) -> None:
        self._tell, self._target, self._work_item, self._reply = tell, target, work_item, reply
        self._attempt = ""
        self.worker = ""
        """The address of the worker that has it, or had it last; empty before the first."""
        self.attempts, self._begun = 0, 0.0
        self._claims: dict[str, ExitStack] = {}
        self._open: dict[str, FileStarted] = {}
        self._planned: RepoPlanned | None = None
        self._closed = False
        self._landed: dict[str, int] = {}  # what this attempt has brought: path -> bytes
        self._earlier: dict[str, int] = {}  # what others had
        self._came: Counter[str] = Counter()  # bytes of each file, over all attempts
        self._again: Counter[str] = Counter()  # of these, what the present attempt has found of an earlier one's
        self._found: Counter[str] = Counter()  # what had come before the work item
        self._lock = threading.Lock()

    def take(self, envelope: Envelope) -> None:
        """Act on what a worker says."""
        with self._lock:
            if self._closed:
                return
            if isinstance(envelope.message, TakenUp):
                self._begin(envelope.attempt, envelope.message.worker)
            elif envelope.attempt == self._attempt:
                self._act(envelope.message)

    def given_back(self, why: str) -> None:
        """The worker has stopped in order."""
        with self._lock:
            self._end_attempt(why)
            self._attempt = ""

    def free(self, live: Collection[str], seen: float) -> None:
        """Where its worker is none of `live`, others may claim what it had. `seen`: when these were there, monotonic.

        A worker that begins later begins as after any loss.
        """
        with self._lock:
            if self._attempt and self._begun < seen and self.worker not in live:
                self._give_up(f"worker {self.worker} was lost")
                self._attempt = ""

    def complete(self, report: RepoReport) -> RepoReport:
        """The report of the last attempt as one of the work item: what earlier ones brought was fetched, not reused."""
        with self._lock:
            earlier = [size for path, size in self._earlier.items() if path not in self._landed]
            again = sum(self._again.values())
        return replace(
            report,
            fetched_files=report.fetched_files + len(earlier),
            fetched_bytes=report.fetched_bytes + sum(earlier) + again,
            resumed_bytes=max(0, report.resumed_bytes - again),
            reused_files=max(0, report.reused_files - len(earlier)),
            reused_bytes=max(0, report.reused_bytes - sum(earlier)),
        )

    def interrupted(self) -> RepoReport | None:
        """The report of a work item that was stopped: what came is kept. None where nothing was planned yet."""
        with self._lock:
            if self._planned is None:
                return None
            files = len(self._earlier | self._landed)
            tally = ByteCount(
                CommitId(self._planned.commit), files, sum(self._came.values()), sum(self._found.values())
            )
        report = interrupted_report(self._work_item.task, tally)
        return replace(
            report,
            fetched_files=files,
            fetched_bytes=tally.fetched_bytes,
            resumed_bytes=tally.resumed_bytes,
        )

    def close(self) -> None:
        """Listen no more, and give back what the work item had claimed."""
        with self._lock:
            self._end_attempt("the work item is over")
            self._closed = True

    def _begin(self, attempt: str, worker: str) -> None:
        if self._attempt:
            self._give_up(f"worker {self.worker} was lost; {worker} goes on with what it had noted")
        self._attempt, self.worker = attempt, worker
        self._begun = time.monotonic()
        self.attempts += 1

    def _give_up(self, cause: str) -> None:
        self._end_attempt(cause)
        self._tell(Retrying(str(self._work_item.task.repo), LOST, cause, self.attempts, 0.0))

    def _end_attempt(self, why: str) -> None:
        for file in self._open.values():
            self._tell(FileFinished(file.run, file.repo, file.path, file.size, why, interrupted=True))
        for claim in self._claims.values():
            claim.close()
        self._open.clear()
        self._claims.clear()
        self._earlier |= self._landed
        self._landed = {}

    def _act(self, message: Message) -> None:
        match message:
            case EventTold(event):
                self._relay(event)
            case Noted(key, note) if key in self._claims:
                with suppress(StoreError):  # a note that cannot be kept costs a later resume
                    self._target.notes.forget(key) if note is None else self._target.notes.save(key, note)
            case Released(key) if key in self._claims:
                self._claims.pop(key).close()
            case Indexed(pairs, proved):
                with suppress(StoreError):  # as above
                    self._target.index.remember(pairs, proved=proved)
            case Remembered(name, version, body):
                with suppress(StoreError):  # as above: it is read again
                    self._target.read_cache.remember(name, version, body)
            case Question(number, question):
                self._reply(self.worker, number, self._answer(question))

    def _answer(self, question: Claim | Lookup | Recall) -> Answer:
        """None where the state folder cannot be used: the worker does without."""
        with suppress(StoreError):
            if isinstance(question, Lookup):
                return self._target.index.known(question.oids, proved=question.proved)
            if isinstance(question, Recall):
                return self._target.read_cache.recall(question.name, question.version)
            return self._claim(question.key)
        return None

    def _claim(self, key: str) -> Claimed:
        with ExitStack() as claim:
            if key in self._claims or not claim.enter_context(self._target.notes.claim(key)):
                return Claimed(mine=False)
            note = self._target.notes.load(key)
            self._claims[key] = claim.pop_all()
        return Claimed(mine=True, note=note)

    def _relay(self, event: Event) -> None:
        """A second attempt plans what is left, which was counted when the first one planned."""
        match event:
            case RepoPlanned():
                again, self._planned = self._planned, event
                if again is not None:
                    return
            case PartsFound():
                self._find(event)
                return
            case BytesFetched(path=path, count=count):
                self._came[path] += count
            case FileStarted(path=path):
                self._open[path] = event
            case FileFinished(path=path, size=size, error=error, interrupted=interrupted):
                self._open.pop(path, None)
                if error is None and not interrupted:
                    self._landed[path] = size
        self._tell(event)

    def _find(self, event: PartsFound) -> None:
        """What an earlier attempt at this work item had brought has been told when it came; the rest is older."""
        path = event.path
        if event.count < 0:  # all of it was no good
            again, older = self._again.pop(path, 0), self._found.pop(path, 0)
            self._came[path] -= again
            self._tell(BytesFetched(event.run, event.repo, path, -again))
            self._tell(replace(event, count=-older))
            return
        self._again[path] = min(event.count, self._came[path])
        if older := max(0, event.count - self._again[path] - self._found[path]):
            self._found[path] += older
            self._tell(replace(event, count=older))
