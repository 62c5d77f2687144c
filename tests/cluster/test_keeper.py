"""What the coordinator believes of workers, and what a worker has of it: messages handed over without a network."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror_sync.cluster.attempt import Attempt, Questions
from mirror_sync.cluster.attempt_record import AttemptRecord
from mirror_sync.cluster.messages import Answer, Envelope, Message, TakenUp, decode, encode
from mirror_sync.cluster.remote import RemoteIndex, RemoteNotes, RemoteReadCache, remote_job_run
from mirror_sync.domain.audit_record import BY_DAEMON, Actor, ActorKind, AuditRecord
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.freshness import LastCheck
from mirror_sync.domain.outcome.events import BytesFetched, Event, FileFinished, FileStarted
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.policy.house_rules import HouseRules
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import Seen, Task, WorkItem
from mirror_sync.engine.published import read_refs
from mirror_sync.engine.run import open_job_run
from mirror_sync.engine.stages import Change, MoreStages
from mirror_sync.engine.stopping import stop_of_run
from mirror_sync.engine.sync.repo_sync import JobRun, run_work_item
from mirror_sync.errors import Interrupted
from mirror_sync.ports.audit import NoAudit
from mirror_sync.ports.memory import UploadNote
from mirror_sync.state.target_memory import SqliteNotes, SqliteReadCache
from tests.engine.machines import Clock, Machine, Shelf, Upstream, refs_of
from tests.engine.workshop import job

KEY = "blobs/sha256/aa/some"
NOTE = UploadNote("token", b"state")
REPO = Repo.parse("acme/x")


@dataclass
class Worker:
    """One at a desk: what it says arrives at once, and so do the answers."""

    record: AttemptRecord
    name: str
    questions: Questions = field(default_factory=Questions)

    def begin(self) -> Attempt:
        attempt = Attempt(self._post, self.questions)
        attempt.say(TakenUp(self.name))
        return attempt

    def _post(self, message: Message) -> None:
        self.record.take(Envelope("key", self.name, message))


class Coordinator:
    def __init__(self, job_run: JobRun) -> None:
        self.job_run = job_run
        self.workers: dict[str, Worker] = {}
        self.work_item = WorkItem(job_run.run, Task(job("acme/x"), REPO, "main"), _seen(), (), BY_DAEMON)

    def record(self) -> AttemptRecord:
        return AttemptRecord(self.job_run.context.tell, self.job_run.target, self.work_item, self._reply)

    def worker(self, record: AttemptRecord, name: str) -> Attempt:
        self.workers[name] = Worker(record, name)
        return self.workers[name].begin()

    def _reply(self, worker: str, number: int, answer: Answer) -> None:
        self.workers[worker].questions.answer(number, answer)


def _seen() -> Seen:
    upstream = Upstream()
    upstream.commit("acme/x", {"a": b"a"})
    return Seen(upstream.resolve(REPO, "main"), refs_of(Shelf(Clock()), "acme/x"))


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def coordinator(tmp_path: Path, events: list[Event]) -> Iterator[Coordinator]:
    upstream = Upstream()
    upstream.commit("acme/x", {"a": b"a"})
    context = Machine(upstream, Shelf(Clock())).context
    target = replace(context.targets["bucket"], notes=SqliteNotes(tmp_path / "uploads.db", "bucket"))
    context = replace(context, tell=events.append, targets={"bucket": target})
    with open_job_run(context, "run", job("acme/x"), [job("acme/x")]) as job_run:
        yield Coordinator(job_run)


def test_what_a_worker_does_is_recorded_by_itself_for_who_has_the_run_done(coordinator: Coordinator) -> None:
    done: list[tuple[str, str, str]] = []

    class Noting(NoAudit):
        def record(self, *records: AuditRecord) -> None:
            done.extend((one.actor.name, one.act.verb, one.act.repo) for one in records)

    attempt = coordinator.worker(coordinator.record(), "a")
    there = replace(coordinator.job_run, target=replace(coordinator.job_run.target, audit=Noting()))
    there = replace(there, context=replace(there.context, actor=None))
    alice = Actor(ActorKind.USER, "alice@host")
    report = run_work_item(remote_job_run(there, attempt, alice), coordinator.work_item)
    assert (report.outcome, done) == (RepoOutcome.PUBLISHED, [("alice@host", "publish", "acme/x")])


def test_what_inspects_files_for_a_work_item_ends_with_that_and_not_with_the_worker(coordinator: Coordinator) -> None:
    stops: list[threading.Event] = []

    def inspect(change: Change) -> Change:
        stops.append(stop_of_run(threading.Event()))
        return change

    attempt = coordinator.worker(coordinator.record(), "a")
    context = replace(coordinator.job_run.context, stages=MoreStages(inspect=(inspect,)))
    there = remote_job_run(replace(coordinator.job_run, context=context), attempt, BY_DAEMON)
    assert run_work_item(there, coordinator.work_item).outcome is RepoOutcome.PUBLISHED
    assert stops == [attempt.stop]


def test_a_commit_that_was_dated_back_waits_on_a_worker_too_as_long_as_the_coordinator_knows(
    coordinator: Coordinator,
) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)  # months after the date of the commit
    there = replace(coordinator.job_run, context=replace(coordinator.job_run.context, clock=lambda: now))
    looked = LastCheck((now - timedelta(hours=1)).isoformat(), "0" * 40)
    patient = job("acme/x", house=HouseRules(cooldown=timedelta(days=1)))
    item = replace(coordinator.work_item, task=replace(coordinator.work_item.task, job=patient), last_check=looked)
    attempt = coordinator.worker(coordinator.record(), "a")
    report = run_work_item(remote_job_run(there, attempt, BY_DAEMON), item)
    assert (report.outcome, report.code) == (RepoOutcome.HELD, "cooldown")


def test_what_a_worker_noted_is_found_by_the_next(coordinator: Coordinator) -> None:
    record = coordinator.record()
    first = RemoteNotes(coordinator.worker(record, "first"))
    first.save(KEY, UploadNote("of no claim", b""))
    with first.claim(KEY) as mine:
        assert (mine, first.load(KEY)) == (True, None)
        first.save(KEY, NOTE)
        second = RemoteNotes(coordinator.worker(record, "second"))
        with second.claim(KEY) as theirs:
            assert (theirs, second.load(KEY)) == (True, NOTE)
            second.forget(KEY)
    assert coordinator.job_run.target.notes.load(KEY) is None


def test_what_a_worker_that_is_gone_had_claimed_is_free_before_another_begins(coordinator: Coordinator) -> None:
    one, other = coordinator.record(), coordinator.record()
    first, second = (RemoteNotes(coordinator.worker(record, name)) for record, name in ((one, "a"), (other, "b")))
    with first.claim(KEY) as mine:
        assert mine
        one.free({"a", "b"}, time.monotonic())
        one.free({"b"}, 0.0)
        with second.claim(KEY) as theirs:
            assert not theirs, "it is still there, or came since"
        one.free({"b"}, time.monotonic())
        with second.claim(KEY) as theirs:
            assert theirs
        with RemoteNotes(coordinator.worker(one, "c")).claim(KEY) as again:
            assert again


def test_a_claim_holds_for_all_errands_until_it_or_the_errand_ends(coordinator: Coordinator) -> None:
    one, other = coordinator.record(), coordinator.record()
    first, second = (RemoteNotes(coordinator.worker(record, name)) for record, name in ((one, "a"), (other, "b")))
    with first.claim(KEY) as mine:
        assert mine
        with second.claim(KEY) as theirs:
            assert not theirs
    with second.claim(KEY) as theirs:
        assert theirs
        other.close()
        with first.claim(KEY) as mine:
            assert mine


def test_a_worker_given_up_for_dead_changes_nothing_any_more(coordinator: Coordinator, events: list[Event]) -> None:
    record = coordinator.record()
    dead = coordinator.worker(record, "dead")
    notes = RemoteNotes(dead)
    with notes.claim(KEY):
        with RemoteNotes(coordinator.worker(record, "new")).claim(KEY) as mine:
            assert mine
            notes.save(KEY, NOTE)
            dead.tell(FileStarted("run", REPO, "late", 1))
            dead.stop.set()
            with pytest.raises(Interrupted), notes.claim("another"):
                pass
        assert coordinator.job_run.target.notes.load(KEY) is None
    assert not [event for event in events if isinstance(event, FileStarted)]


def test_what_earlier_attempts_brought_was_fetched_once_and_not_reused(
    coordinator: Coordinator, events: list[Event]
) -> None:
    record = coordinator.record()
    first = coordinator.worker(record, "first")
    for path, size in (("a", 10), ("b", 20)):
        first.tell(FileFinished("run", REPO, path, size))
    first.tell(FileStarted("run", REPO, "c", 30))
    second = coordinator.worker(record, "second")
    for path, size in (("b", 20), ("c", 30)):  # the git id of b was forgotten
        second.tell(FileFinished("run", REPO, path, size))
    last = RepoReport("job", REPO.kind, "acme/x", "main", RepoOutcome.PUBLISHED, files=4)
    report = record.complete(replace(last, fetched_files=2, fetched_bytes=50, reused_files=2, reused_bytes=15))
    assert (report.fetched_files, report.fetched_bytes, report.reused_files, report.reused_bytes) == (3, 60, 1, 5)
    ends = [(event.path, event.error is None) for event in events if isinstance(event, FileFinished)]
    assert ends == [("a", True), ("b", True), ("c", False), ("b", True), ("c", True)]


def test_what_one_worker_learns_all_know(coordinator: Coordinator) -> None:
    record, other = coordinator.record(), coordinator.record()
    pairs = {GitOid.of_blob(body): Sha256.of(body) for body in (b"%d" % number for number in range(1200))}
    RemoteIndex(coordinator.worker(record, "a")).remember(pairs, proved=True)
    asked = [*pairs, GitOid.of_blob(b"unknown")]
    assert RemoteIndex(coordinator.worker(other, "b")).known(asked, proved=True) == pairs


def test_what_a_worker_only_heard_is_known_to_none(coordinator: Coordinator) -> None:
    pairs = {GitOid.of_blob(b"1"): Sha256.of(b"1")}
    RemoteIndex(coordinator.worker(coordinator.record(), "a")).remember(pairs, proved=False)
    index = RemoteIndex(coordinator.worker(coordinator.record(), "b"))
    assert (index.known(pairs, proved=True), index.known(pairs, proved=False)) == ({}, pairs)


def test_what_a_worker_publishes_is_remembered_where_it_is_looked_at_next(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    """And what the worker itself remembers of an earlier job is not asked."""
    theirs, ours = SqliteReadCache(tmp_path / "worker.db", "bucket"), SqliteReadCache(tmp_path / "looks.db", "bucket")
    coordinator.job_run = replace(coordinator.job_run, target=replace(coordinator.job_run.target, read_cache=ours))
    attempt = coordinator.worker(coordinator.record(), "a")
    there = replace(coordinator.job_run, target=replace(coordinator.job_run.target, read_cache=theirs))
    assert (
        run_work_item(remote_job_run(there, attempt, BY_DAEMON), coordinator.work_item).outcome is RepoOutcome.PUBLISHED
    )
    root = read_refs(coordinator.job_run.target.store, REPO).root_of("main") or ""
    assert ours.recall(f"{refs_key(REPO)}@main", root) is not None
    assert theirs.recall(f"{refs_key(REPO)}@main", root) is None
    assert RemoteReadCache(attempt).recall(f"{refs_key(REPO)}@main", root) is None


def test_arrivals_of_bytes_are_told_together_and_before_the_end_of_their_file(
    coordinator: Coordinator, events: list[Event]
) -> None:
    attempt = coordinator.worker(coordinator.record(), "a")
    for _ in range(1000):
        attempt.tell(BytesFetched("run", REPO, "a", 5))
    attempt.tell(FileFinished("run", REPO, "a", 5000))
    assert isinstance(events[-1], FileFinished)
    arrivals = [event.count for event in events if isinstance(event, BytesFetched)]
    assert sum(arrivals) == 5000
    assert len(arrivals) < 1000


def test_an_errand_travels_whole_and_is_looked_at_as_before(coordinator: Coordinator) -> None:
    """A listing's answer is told from one of its own by identity."""
    resolved = coordinator.work_item.seen.resolved
    work_item = replace(coordinator.work_item, task=replace(coordinator.work_item.task, resolved=resolved))
    travelled = decode(encode(work_item))
    assert travelled == work_item
    assert isinstance(travelled, WorkItem)
    assert travelled.seen.resolved is travelled.task.resolved
