"""Brings one revision of one repo up to date: looks, and leads what has changed through the stages of a snapshot.

The stages that decide are in decide.py, those that write in publish.py and in engine/transfer: here they are called, in
their order. What a stage is says engine/stages.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter

from mirror_sync.domain.audit_record import Act, Verb
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import CLOSED, DEFAULT_BRANCH, HEAD, PINNED, Ref, Refs, name_fault, refs_named
from mirror_sync.domain.content.upstream import Commit, Resolved
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.freshness import lag, moment
from mirror_sync.domain.job.job import Job, owners
from mirror_sync.domain.outcome.events import RepoPlanned
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.work import Seen, Task, TaskResult, Unlisted, WorkItem, remarks, unconfirmed_code
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.beside_prune import PruneGuard
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.faults import to_outcome
from mirror_sync.engine.known_contents import holds, remember_claimed, remember_proved
from mirror_sync.engine.published import Stamp, change_refs, pinned_remark, read_refs
from mirror_sync.engine.published_names import write_aliases
from mirror_sync.engine.single_flight import StoredContent
from mirror_sync.engine.stages import Change
from mirror_sync.engine.stopping import running
from mirror_sync.engine.sync.closed_repos import may_need_closed_mark
from mirror_sync.engine.sync.decide import Decider, run_stages
from mirror_sync.engine.sync.held_notes import is_noted, noting
from mirror_sync.engine.sync.judging import NO_SIDE
from mirror_sync.engine.sync.publish import (
    amend_refs,
    assurance_of,
    blobs_of,
    publish_refs,
    write_documents,
    write_root,
)
from mirror_sync.engine.sync.published_view import RootFacts
from mirror_sync.engine.transfer.file_read import ByteCount, FileOrigin
from mirror_sync.engine.transfer.file_transfer import Transfer
from mirror_sync.engine.transfer.lanes import Landed, Lane, Stream, bring_all
from mirror_sync.errors import Gated, Interrupted, NoSuchCall, PruneConflict, RevisionNotFound
from mirror_sync.ports.source import Source

CHECKS_AT_ONCE = 4  # of a job, at its upstream and target
_SMALL, _LARGE = (32, 16), (1, 128)  # files that are waited for together, and how often so many at once
_TRIES = 3  # of one repo, when prunes remove what it needs
_CHANGED = "somebody else changed its refs.json meanwhile; the next run decides again"


@dataclass(frozen=True, slots=True)
class JobRun:
    """What the repos of one job share in a run; `jobs` are all configured ones, or at a worker's those
    that publish its repo.

    `files` runs the files in flight and all other short work, `large_files` those that come in parts. `verb` is what
    the audit calls a publication.
    """

    run: str
    context: RunContext
    decider: Decider
    source: Source
    target: Target
    jobs: Sequence[Job]
    transfer: Transfer
    files: Lane
    large_files: Lane
    check_slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(CHECKS_AT_ONCE), repr=False)
    verb: Verb = Verb.PUBLISH

    def at(self, context: RunContext, target: Target, jobs: Sequence[Job]) -> JobRun:
        """The same with another context, target and jobs; pools, source and slots are shared with this one."""
        decider, transfer = self.decider.at(context, target, jobs), self.transfer.at(context, target)
        return replace(self, context=context, decider=decider, target=target, jobs=jobs, transfer=transfer)


def sync_repo(job_run: JobRun, task: Task) -> RepoReport:
    """Carry out one task. Every failure becomes a report with its reason, and so does a stop in the midst of it.

    Raises Interrupted for a stop before it was known what is to be brought: nothing can have been kept then.
    """
    return _reported(job_run, task, lambda tally: _sync(job_run, task, tally))


def run_work_item(job_run: JobRun, work_item: WorkItem) -> RepoReport:
    """The rest of a task that somebody else has checked, who holds the repo's lock. Interrupted as of `sync_repo`.

    What waits or scans in this thread ends with this work item, as it would with a run.
    """
    task = work_item.task
    context = replace(job_run.context, last_check=lambda subject: work_item.last_check)
    job_run = job_run.at(context, job_run.target, work_item.jobs)
    with running(job_run.context.stop):
        return _reported(job_run, task, lambda tally: bring_up_to_date(job_run, task, work_item.seen, tally))


def _reported(job_run: JobRun, task: Task, work: Callable[[ByteCount], RepoReport]) -> RepoReport:
    started = time.monotonic()
    tally = ByteCount()
    try:
        report = work(tally)
    except Interrupted:
        if tally.commit is None:
            raise
        report = interrupted_report(task, tally)
    except Exception as error:  # whatever stops one repo must not stop the others
        report = report_of(task, to_outcome(job_run.context, job_run.run, task.job, task.requested, error))
    return replace(
        report,
        seconds=round(time.monotonic() - started, 3),
        fetched_files=tally.fetched_files,
        fetched_bytes=tally.fetched_bytes,
        resumed_bytes=tally.resumed_bytes,
    )


def interrupted_report(task: Task, tally: ByteCount) -> RepoReport:
    """Of a repo that was being brought when the run was stopped."""
    kept = tally.fetched_bytes + tally.resumed_bytes
    reason = f"stopped before the end: {kept:,} bytes of it are kept, what was on its way comes again"
    return report_of(task, TaskResult(RepoOutcome.INTERRUPTED, tally.commit, reason, Interrupted.code))


def with_lag(context: RunContext, report: RepoReport) -> RepoReport:
    """The same of what was published, with how long its readers waited for it; see `freshness.lag`.

    For the machine that runs the job, wherever the repo was synced: that one alone remembers earlier checks.
    """
    if report.published is None or report.commit is None:
        return report
    last = context.last_check(report.subject)
    return replace(report, lag_seconds=lag(report.commit, report.committed, report.published, last))


def report_of(item: Task | Unlisted, settled: TaskResult) -> RepoReport:
    told = f"; {settled.reason}" if settled.reason else ""
    return RepoReport(
        *item.subject.parts,
        outcome=settled.outcome,
        commit=settled.commit,
        reason=f"goes by {item.repo} here{told}" if isinstance(item, Task) and item.requested_as else settled.reason,
        code=settled.code,
        files=settled.files,
        bytes=settled.size,
        assurance=settled.assurance,
        unconfirmed=settled.unconfirmed,
    )


def _sync(job_run: JobRun, task: Task, tally: ByteCount) -> RepoReport:
    with job_run.check_slots:
        task, refs, found = job_run.decider.check(task)
    if not isinstance(found, TaskResult):
        with job_run.target.lock(task.repo):
            if not _may_be_refused(found):
                found = _found_again(job_run, task, found)
            if job_run.context.executor is None:
                return bring_up_to_date(job_run, task, found, tally)
            concerned = owners(job_run.jobs, job_run.target.name, task.repo)
            last_check = job_run.context.last_check(task.subject)
            work_item = WorkItem(job_run.run, task, found, concerned, job_run.context.by, last_check)
            return tally.take(job_run.context.executor.bring(job_run.context, work_item))
    found = _noting(job_run, task, refs, found)
    if found.edit is not None:
        with job_run.target.lock(task.repo):
            found = _amend(job_run, task, found)
    if found.outcome is RepoOutcome.UNCHANGED:
        write_aliases(job_run.target, task)
    return report_of(task, found)


def bring_up_to_date(
    job_run: JobRun, task: Task, seen: Seen, tally: ByteCount, *, anew: bool = False, tries: int = _TRIES
) -> RepoReport:
    """Lead a commit through all stages; again, believing nothing, where a prune was quicker. The lock is held."""
    job_run.context.go_on()
    guard = PruneGuard(job_run.context, job_run.target, task.repo, job_run.files.map)
    decider = replace(job_run.decider, anew=True) if anew else job_run.decider
    try:
        done = decider.compare(task, seen)
        if isinstance(done, Change) or not _is_refusal(done):
            seen = _found_again(job_run, task, seen)
        if isinstance(done, Change):
            with closing(done.listing), SnapshotMaker(job_run, tally, guard) as maker:
                done = maker.make(done)
    except PruneConflict:
        if tries == 1:
            raise
        job_run.target.single_flight.forget_landed()
        return bring_up_to_date(job_run, task, seen, tally, anew=True, tries=tries - 1)
    if isinstance(done, Change):
        return _published_report(job_run, done, tally)
    # the last answer counts, not the one that was seen before the lock: that may be a list's, hours old
    answered = done.answer
    if is_noted(done) or (answered is not None and may_need_closed_mark(seen.refs, answered)):
        refs = read_refs(job_run.target.store, task.repo)
        if answered is not None and (done.edit is None or done.edit.before == refs):
            done = decider.with_closed_mark(task, refs, answered, done)
        done = _noting(job_run, task, refs, done)
    return report_of(task, _amend(job_run, task, done))


def _may_be_refused(seen: Seen) -> bool:
    """Whether the upstream may tell of a repo that it still does not give: of a gated one it tells everybody."""
    gone = seen.refs.gone
    return gone is not None and gone.code == Gated.code and seen.resolved.terms.gated is not False


def _is_refusal(found: TaskResult) -> bool:
    """Whether it says that the upstream does not give the repo, or has an edit that says what is noted of that."""
    return found.edit is not None or (found.code == Gated.code and not found.verdicts)


def _found_again(job_run: JobRun, task: Task, seen: Seen) -> Seen:
    """Forget that the upstream did not give the repo, as soon as it does: before anything that may hold it, or fail.

    Else the day after which it is withdrawn would count on through that, and one more answer would be enough. The note
    of a repo of which nothing is published stays: it says which one it was, or that its target has let go of it.
    """
    gone = seen.refs.gone
    if gone is None or not seen.refs.snapshots:
        return seen
    stamp = _stamp(job_run, task)

    def without_note(now: Refs) -> Refs | None:
        return now.noting(None).logged(now, *stamp) if now.snapshots and now.gone == gone else None

    if change_refs(job_run.target, task.repo, without_note) is None:
        return seen
    return replace(seen, refs=seen.refs.noting(None))


def _noting(job_run: JobRun, task: Task, refs: Refs, found: TaskResult) -> TaskResult:
    return noting(job_run.target, job_run.decider.presence, task, refs, found, job_run.context.now())


def _amend(job_run: JobRun, task: Task, found: TaskResult) -> TaskResult:
    """Make the edit of a result; returns it as it came out: it claims nothing that somebody else came before."""
    act = _act(job_run, task, Verb.WITHDRAW, reason=f"{found.code}: {found.reason}")
    withdrawing = partial(recorded, job_run.context, job_run.target, [act])
    edit = found.edit
    if edit is None or amend_refs(job_run.target, task.repo, edit, _stamp(job_run, task), withdrawing):
        return found
    if edit.withdraws:
        commit = read_refs(job_run.target.store, task.repo).commit_of(task.revision)
        return replace(found, commit=commit, reason=f"{found.code}: not withdrawn, since {_CHANGED}")
    if (CLOSED in edit.before.attachments) != (CLOSED in edit.after.attachments):
        return replace(found, reason=f"{found.reason}, which is not noted yet, since {_CHANGED}")
    return found


def _act(
    job_run: JobRun, task: Task, verb: Verb, commit: str = "", root: Sha256 | None = None, reason: str = ""
) -> Act:
    digests = {} if root is None else {"root": root}
    of = str(task.repo), task.revision, commit, task.job.name, job_run.run
    return Act(verb, job_run.target.name, *of, reason, digests)


class SnapshotMaker:
    """The stages that write, for one task; to be used as a context, which gives back the room that they reserved.

    The caller holds the repo's lock, and `guard` has watched for prunes since before anything was decided.
    """

    def __init__(self, job_run: JobRun, tally: ByteCount, guard: PruneGuard) -> None:
        self._job_run, self._tally, self._guard = job_run, tally, guard
        self._room = ExitStack()

    def __enter__(self) -> SnapshotMaker:
        return self

    def __exit__(self, *exc: object) -> None:
        self._room.close()

    def make(self, change: Change) -> Change | TaskResult:
        """Lead a change that is decided through the other stages; one that is there needs only a name."""
        self._tally.commit = change.resolved.commit
        self._tell_plan(change)
        found: Change | TaskResult = self._with_ref(change)
        more = self._job_run.context.stages
        if isinstance(found, Change) and change.root is None:
            found = run_stages((self._transferred, *more.inspect, self._documented, *more.attach), found)
        elif isinstance(found, Change) and change.moves:
            found = run_stages(more.revisit, found)
        return self._published(found) if isinstance(found, Change) else found

    def _tell_plan(self, change: Change) -> None:
        job_run, task, plan = self._job_run, change.task, change.plan
        job_run.context.tell(
            RepoPlanned(
                run=job_run.run,
                job=task.job.name,
                repo=task.requested,
                revision=task.revision,
                commit=change.resolved.commit,
                fetch_files=plan.fetch_files,
                fetch_bytes=plan.fetch_bytes,
                reuse_files=change.files - plan.fetch_files,
                reuse_bytes=change.size - plan.fetch_bytes,
                delete_files=plan.delete_files,
            )
        )

    def _with_ref(self, change: Change) -> Change:
        """Ask what the upstream calls the revision, where a name has to move, before anything is brought for it."""
        if change.root is not None and not change.moves:
            return change
        return replace(change, ref=_ref(self._job_run, change.task, change.resolved.commit))

    def _transferred(self, change: Change) -> Change:
        """Bring every file that the plan fetches; the history first: what that fails for is not worth all files."""
        fetch, target = map(itemgetter(1), change.listing.fetch()), self._job_run.target
        self._room.enter_context(target.room.reserved(target, fetch, change.files))
        history, untold = _history(self._job_run, change.resolved)
        _bring_files(self._job_run, change, self._tally)
        return replace(
            change,
            history=history,
            committed="" if untold else history[0].date,
            remark="; ".join(filter(None, (change.remark, untold))),
        )

    def _documented(self, change: Change) -> Change:
        """Write the listing, the info and the commits; what another mirror attests of them goes with them."""
        told = change.resolved.provenance and self._job_run.source.attested(change.task.repo, change.resolved.commit)
        return write_documents(change.attesting(told) if told else change, self._job_run.files.map)

    def _published(self, change: Change) -> Change:
        """Write the root, then let refs.json name it: from then on readers see it, beside prunes of all machines."""
        job_run = self._job_run
        root = write_root(change, job_run.files.map)
        self._room.close()
        job_run.context.go_on()
        change = replace(change, assurance=assurance_of(change, job_run.context.now()))
        act = _act(job_run, change.task, job_run.verb, change.resolved.commit, root)
        with recorded(job_run.context, job_run.target, [act]):  # before the guard: what it saw must be young
            now = self._guard.publish(
                (change.resolved.commit, root),
                None if change.root is not None else lambda: blobs_of(change, root),
                lambda: _put_refs(job_run, change, root),
            )
        published_at = job_run.context.now()
        if change.root is None:
            remember_claimed(job_run.target, change.listing)
        task, commit = change.task, change.resolved.commit
        if now.pins(task.revision):  # by now, also where a person was quicker than this sync
            pinned = pinned_remark(job_run.target.store, task.repo, now, commit, fetched=True)
            change = replace(change, remark="; ".join(filter(None, (change.remark, pinned))))
        return replace(change, refs=now, published_at=published_at)


def _put_refs(job_run: JobRun, change: Change, root: Sha256) -> Refs:
    """As they stand there then."""
    task, resolved = change.task, change.resolved
    new_name = resolved.canonical if _new_name_is_unused(job_run, resolved) else None
    refs = publish_refs(job_run.target, change, root, _stamp(job_run, task))
    of = change.files, change.size, job_run.context.clock(), change.assurance
    facts = RootFacts(task.job.selection, *of, resolved.provenance or "")
    stands_at = resolved.commit if refs.pins(task.revision) else task.revision
    job_run.decider.published_view.learn(task.repo, stands_at, refs, facts)
    write_aliases(job_run.target, task, new_name)
    return refs


def _published_report(job_run: JobRun, change: Change, tally: ByteCount) -> RepoReport:
    resolved = change.resolved
    reason = "; ".join(filter(None, (remarks(resolved), change.remark)))
    said = reason, unconfirmed_code(resolved) or (PINNED if change.refs.pins(change.task.revision) else "")
    settled = TaskResult(RepoOutcome.PUBLISHED, resolved.commit, *said, change.files, change.size)
    return replace(
        report_of(change.task, settled),
        reused_files=max(0, change.files - tally.fetched_files),
        reused_bytes=max(0, change.size - tally.fetched_bytes - tally.resumed_bytes),
        committed=change.committed if moment(change.committed) else None,
        published=change.published_at,
        assurance=change.assurance,
    )


def _stamp(job_run: JobRun, task: Task) -> Stamp:
    return job_run.context.now(), f"sync {task.job.name}"


def _new_name_is_unused(job_run: JobRun, resolved: Resolved) -> bool:
    """Whether the upstream's new name of a repo that stays published under its old one is nobody's here."""
    return resolved.renamed and not job_run.decider.published_view.refs(resolved.canonical).is_known


def _ref(job_run: JobRun, task: Task, commit: CommitId) -> Ref | None:
    """The upstream's own name for the revision; a commit asked for by its id needs none."""
    if CommitId.matches(task.revision):
        return None
    named = f"refs/heads/{DEFAULT_BRANCH}" if task.revision in (DEFAULT_BRANCH, HEAD) else task.revision
    found = Ref.of_full_name(named, commit)
    if found is not None:
        return found
    named_so = sorted(refs_named(_refs(job_run, task), task.revision), key=lambda ref: ref.target != commit)
    for ref in named_so:  # a branch and a tag may share a name: the upstream has said which it takes
        if not (name_fault(ref.name) or name_fault(ref.ref)):
            return replace(ref, target=commit)
    raise RevisionNotFound(f"{task.repo} has no branch or tag {task.revision}; name a full commit id to pin one")


def _refs(job_run: JobRun, task: Task) -> tuple[Ref, ...]:
    """The upstream's; those that are published where it tells of none and the revision is one of them."""
    try:
        return job_run.source.refs(task.repo)
    except NoSuchCall as error:
        published = job_run.decider.published_view.refs(task.repo).refs
        if refs_named(published, task.revision):
            return published
        whole = f"refs/heads/{task.revision} or refs/tags/{task.revision}"
        raise NoSuchCall(f"{error}: nobody says what {task.revision} is; write {whole} in revisions") from error


def _history(job_run: JobRun, resolved: Resolved) -> tuple[tuple[Commit, ...], str]:
    """The newest commits; where the upstream tells of none, the commit alone with the date of its repo, and why."""
    try:
        return job_run.source.history(resolved.queried, resolved.commit), ""
    except NO_SIDE as error:
        dates = (str(resolved.described.get(key)) for key in ("lastModified", "createdAt"))
        date = next(filter(moment, dates), job_run.context.now())
        return (Commit(resolved.commit, "", date),), f"published without its history: {error}"


def _bring_files(job_run: JobRun, change: Change, tally: ByteCount) -> None:
    """Fetch all that the plan says; the first failure stops the rest, since the snapshot cannot be published then."""
    origin = FileOrigin(job_run.run, job_run.source, change.task.repo, change.resolved.commit, tally)
    target, listing, part = job_run.target, change.listing, job_run.target.store.part_size

    def bring(file: RemoteFile) -> StoredContent:
        job_run.context.go_on()
        stored, _ = target.single_flight.share(
            file.content,
            lambda: job_run.transfer.bring(origin, file),
            lambda stored: holds(target, stored.digest, file.size),
        )
        return stored

    def landed(some: Collection[Landed]) -> None:
        remember_proved(target, {stored.oid: stored.digest for _, stored in some if stored.oid is not None})
        listing.landed((number, stored.digest) for number, stored in some)

    large = Stream(job_run.large_files, listing.fetch_above(part), *_LARGE)
    bring_all(bring, landed, large, Stream(job_run.files, listing.fetch_up_to(part), *_SMALL))
