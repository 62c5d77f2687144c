"""Brings one revision of one repo up to date: looks, and leads what has changed through the stages of a snapshot.

The stages that decide are in decide.py, those that write in publish.py and in engine/transfer: here they are called, in
their order. What a stage is says engine/stages.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
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
from mirror_sync.engine.published import change_refs, pinned_remark, read_refs
from mirror_sync.engine.published_names import write_aliases
from mirror_sync.engine.single_flight import StoredContent
from mirror_sync.engine.stages import Change, Publication
from mirror_sync.engine.stopping import running
from mirror_sync.engine.sync.closed_repos import may_need_closed_mark
from mirror_sync.engine.sync.decide import Decider, run_stages
from mirror_sync.engine.sync.held_notes import is_noted, with_held_note
from mirror_sync.engine.sync.judging import NO_SIDE
from mirror_sync.engine.sync.publish import (
    amend_refs,
    assurance_of,
    blobs_of,
    publish_refs,
    stamp_of,
    write_documents,
    write_root,
)
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
    """Carry out one task: check it, then bring what has changed, or note down what the check came to.

    Every failure becomes a report with its reason, and so does a stop in the midst of it. Raises Interrupted for a stop
    before it was known what is to be brought: nothing can have been kept then.
    """
    started, tally = time.monotonic(), ByteCount()
    try:
        with job_run.check_slots:
            named, refs, checked = job_run.decider.check(task)
        if isinstance(checked, Seen):
            report = _bring_locked(job_run, named, checked, tally)
        else:
            report = report_of(named, _note_down(job_run, named, refs, checked))
    except Exception as error:  # whatever stops one repo must not stop the others
        report = _failed_report(job_run, task, tally, error)
    return _measured(report, tally, started)


def _bring_locked(job_run: JobRun, task: Task, seen: Seen, tally: ByteCount) -> RepoReport:
    """Bring what has changed while the repo is locked, here or on another machine."""
    with job_run.target.lock(task.repo):
        if not _may_be_refused(seen):
            seen = _forget_absence(job_run, task, seen)
        if job_run.context.executor is None:
            return bring_up_to_date(job_run, task, seen, tally)
        concerned = owners(job_run.jobs, job_run.target.name, task.repo)
        last_check = job_run.context.last_check(task.subject)
        work_item = WorkItem(job_run.run, task, seen, concerned, job_run.context.by, last_check)
        return tally.take(job_run.context.executor.bring(job_run.context, work_item))


def _note_down(job_run: JobRun, task: Task, refs: Refs, result: TaskResult) -> TaskResult:
    """Let refs.json and aliases say what a check came to that brings nothing; returns it as it came out."""
    result = _with_held_note(job_run, task, refs, result)
    if result.edit is not None:
        with job_run.target.lock(task.repo):
            result = _amend(job_run, task, result)
    if result.outcome is RepoOutcome.UNCHANGED:
        write_aliases(job_run.target, task)
    return result


def run_work_item(job_run: JobRun, work_item: WorkItem) -> RepoReport:
    """The rest of a task that somebody else has checked, who holds the repo's lock. Interrupted as of `sync_repo`.

    What waits or scans in this thread ends with this work item, as it would with a run.
    """
    started, tally, task = time.monotonic(), ByteCount(), work_item.task
    context = replace(job_run.context, last_check=lambda subject: work_item.last_check)
    job_run = job_run.at(context, job_run.target, work_item.jobs)
    with running(job_run.context.stop):
        try:
            report = bring_up_to_date(job_run, task, work_item.seen, tally)
        except Exception as error:  # as above
            report = _failed_report(job_run, task, tally, error)
    return _measured(report, tally, started)


def bring_up_to_date(
    job_run: JobRun, task: Task, seen: Seen, tally: ByteCount, *, rebuild: bool = False, tries: int = _TRIES
) -> RepoReport:
    """Lead a commit through all stages; again, believing nothing, where a prune was quicker. The lock is held."""
    job_run.context.go_on()
    guard = PruneGuard(job_run.context, job_run.target, task.repo, job_run.files.map)
    decider = replace(job_run.decider, rebuild=True) if rebuild else job_run.decider
    try:
        planned = decider.plan_change(task, seen)
        if isinstance(planned, Change) or not _is_refusal(planned):
            seen = _forget_absence(job_run, task, seen)
        if isinstance(planned, Change):
            with closing(planned.listing), SnapshotMaker(job_run, tally, guard) as maker:
                ended = maker.make(planned)
        else:
            ended = planned
    except PruneConflict:
        if tries == 1:
            raise
        job_run.target.single_flight.forget_landed()
        return bring_up_to_date(job_run, task, seen, tally, rebuild=True, tries=tries - 1)
    if isinstance(ended, Publication):
        return _published_report(ended, tally)
    # the last answer counts, not the one that was seen before the lock: that may be a list's, hours old
    answered = ended.answer
    if is_noted(ended) or (answered is not None and may_need_closed_mark(seen.refs, answered)):
        refs = read_refs(job_run.target.store, task.repo)
        if answered is not None and (ended.edit is None or ended.edit.before == refs):
            ended = decider.with_closed_mark(task, refs, answered, ended)
        ended = _with_held_note(job_run, task, refs, ended)
    return report_of(task, _amend(job_run, task, ended))


def _may_be_refused(seen: Seen) -> bool:
    """Whether the upstream may tell of a repo that it still does not give: of a gated one it tells everybody."""
    gone = seen.refs.gone
    return gone is not None and gone.code == Gated.code and seen.resolved.terms.gated is not False


def _is_refusal(result: TaskResult) -> bool:
    """Whether it says that the upstream does not give the repo, or has an edit that says what is noted of that."""
    return result.edit is not None or (result.code == Gated.code and not result.verdicts)


def _forget_absence(job_run: JobRun, task: Task, seen: Seen) -> Seen:
    """Forget that the upstream did not give the repo, as soon as it does: before anything that may hold it, or fail.

    Else the day after which it is withdrawn would count on through that, and one more answer would be enough. The note
    of a repo of which nothing is published stays: it says which one it was, or that its target has let go of it.
    """
    gone = seen.refs.gone
    if gone is None or not seen.refs.snapshots:
        return seen
    stamp = stamp_of(job_run.context, task.job)

    def without_note(refs: Refs) -> Refs | None:
        return refs.noting(None).logged(refs, *stamp) if refs.snapshots and refs.gone == gone else None

    if change_refs(job_run.target, task.repo, without_note) is None:
        return seen
    return replace(seen, refs=seen.refs.noting(None))


def _with_held_note(job_run: JobRun, task: Task, refs: Refs, result: TaskResult) -> TaskResult:
    return with_held_note(job_run.target, job_run.decider.presence, task, refs, result, job_run.context.now())


def _amend(job_run: JobRun, task: Task, result: TaskResult) -> TaskResult:
    """Make the edit of a result; returns it as it came out: it claims nothing that somebody else came before."""
    act = _act(job_run, task, Verb.WITHDRAW, reason=f"{result.code}: {result.reason}")
    withdrawing = partial(recorded, job_run.context, job_run.target, [act])
    edit = result.edit
    stamp = stamp_of(job_run.context, task.job)
    if edit is None or amend_refs(job_run.target, task.repo, edit, stamp, withdrawing):
        return result
    if edit.withdraws:
        commit = read_refs(job_run.target.store, task.repo).commit_of(task.revision)
        return replace(result, commit=commit, reason=f"{result.code}: not withdrawn, since {_CHANGED}")
    if (CLOSED in edit.before.attachments) != (CLOSED in edit.after.attachments):
        return replace(result, reason=f"{result.reason}, which is not noted yet, since {_CHANGED}")
    return result


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

    def make(self, change: Change) -> Publication | TaskResult:
        """Lead a change that is planned through the other stages; one whose snapshot is there needs only a name."""
        self._tally.commit = change.resolved.commit
        self._tell_plan(change)
        if change.root is None or change.moves:  # a name has to move: asked before anything is brought for it
            change = replace(change, ref=_ref(self._job_run, change.task, change.resolved.commit))
        more = self._job_run.context.stages
        if change.root is None:
            made = run_stages((self._transfer, *more.inspect, self._document, *more.attach), change)
        else:
            made = run_stages(more.revisit if change.moves else (), change)
        return self._publish(made) if isinstance(made, Change) else made

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

    def _transfer(self, change: Change) -> Change:
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

    def _document(self, change: Change) -> Change:
        """Write the listing, the info and the commits; what another mirror attests of them goes with them."""
        task, resolved = change.task, change.resolved
        attested = resolved.provenance and self._job_run.source.attested(task.repo, resolved.commit)
        return write_documents(change.attesting(attested) if attested else change, self._job_run.files.map)

    def _publish(self, change: Change) -> Publication:
        """Write the root, then let refs.json name it: from then on readers see it, beside prunes of all machines."""
        job_run, task, commit = self._job_run, change.task, change.resolved.commit
        context, target, view = job_run.context, job_run.target, job_run.decider.published_view
        root = write_root(change, job_run.files.map)
        self._room.close()
        context.go_on()
        change = replace(change, assurance=assurance_of(change, context.now()))
        unreferenced = partial(blobs_of, change, root) if change.root is None else None
        act = _act(job_run, task, job_run.verb, commit, root)
        with recorded(context, target, [act]):  # before the guard: what it saw must be young
            put = partial(publish_refs, context, target, view, change, root)
            refs = self._guard.publish((commit, root), unreferenced, put)
        published_at = context.now()
        if change.root is None:
            remember_claimed(target, change.listing)
        if refs.pins(task.revision):  # by now, also where a person was quicker than this sync
            pinned = pinned_remark(target.store, task.repo, refs, commit, fetched=True)
            change = replace(change, remark="; ".join(filter(None, (change.remark, pinned))))
        return Publication(change, refs, published_at)


def _ref(job_run: JobRun, task: Task, commit: CommitId) -> Ref | None:
    """The upstream's own name for the revision; a commit asked for by its id needs none."""
    if CommitId.matches(task.revision):
        return None
    named = f"refs/heads/{DEFAULT_BRANCH}" if task.revision in (DEFAULT_BRANCH, HEAD) else task.revision
    full = Ref.of_full_name(named, commit)
    if full is not None:
        return full
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
        fetch = partial(job_run.transfer.bring, origin, file)
        stored, _ = target.single_flight.share(
            file.content, fetch, lambda stored: holds(target, stored.digest, file.size)
        )
        return stored

    def landed(some: Collection[Landed]) -> None:
        remember_proved(target, {stored.oid: stored.digest for _, stored in some if stored.oid is not None})
        listing.landed((number, stored.digest) for number, stored in some)

    large = Stream(job_run.large_files, listing.fetch_above(part), *_LARGE)
    bring_all(bring, landed, large, Stream(job_run.files, listing.fetch_up_to(part), *_SMALL))


def _published_report(publication: Publication, tally: ByteCount) -> RepoReport:
    change, resolved = publication.change, publication.change.resolved
    reason = "; ".join(filter(None, (remarks(resolved), change.remark)))
    code = unconfirmed_code(resolved) or (PINNED if publication.refs.pins(change.task.revision) else "")
    result = TaskResult(RepoOutcome.PUBLISHED, resolved.commit, reason, code, change.files, change.size)
    return replace(
        report_of(change.task, result),
        reused_files=max(0, change.files - tally.fetched_files),
        reused_bytes=max(0, change.size - tally.fetched_bytes - tally.resumed_bytes),
        committed=change.committed if moment(change.committed) else None,
        published=publication.at,
        assurance=change.assurance,
    )


def _failed_report(job_run: JobRun, task: Task, tally: ByteCount, error: Exception) -> RepoReport:
    """Raises Interrupted where nothing was being brought yet."""
    if not isinstance(error, Interrupted):
        return report_of(task, to_outcome(job_run.context, job_run.run, task.job, task.requested, error))
    if tally.commit is None:
        raise error
    return interrupted_report(task, tally)


def _measured(report: RepoReport, tally: ByteCount, started: float) -> RepoReport:
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


def report_of(item: Task | Unlisted, result: TaskResult) -> RepoReport:
    detail = f"; {result.reason}" if result.reason else ""
    return RepoReport(
        *item.subject.parts,
        outcome=result.outcome,
        commit=result.commit,
        reason=f"goes by {item.repo} here{detail}" if isinstance(item, Task) and item.requested_as else result.reason,
        code=result.code,
        files=result.files,
        bytes=result.size,
        assurance=result.assurance,
        unconfirmed=result.unconfirmed,
    )
