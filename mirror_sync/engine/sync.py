"""Brings one revision of one repo up to date: decide, transfer, publish."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.events import RepoPlanned
from mirror_sync.domain.freshness import lag, moment
from mirror_sync.domain.job import Job
from mirror_sync.domain.manifest import Content, RemoteFile
from mirror_sync.domain.plan import carry_out
from mirror_sync.domain.refs import DEFAULT_BRANCH, HEAD, Ref, Refs, meant, name_fault
from mirror_sync.domain.report import RepoOutcome, RepoReport
from mirror_sync.domain.upstream import Commit, Resolved
from mirror_sync.engine.absence import Absences, Proof
from mirror_sync.engine.beside_prune import Swept, Watch
from mirror_sync.engine.crew import Errand
from mirror_sync.engine.decide import NO_SIDE, Decider, Sides
from mirror_sync.engine.decision import Change, Seen, Settled, remarks, second_hand
from mirror_sync.engine.faults import settle
from mirror_sync.engine.flights import Landed
from mirror_sync.engine.gather import Task, Unlisted
from mirror_sync.engine.glance import Facts, Glance
from mirror_sync.engine.index import Lessons, git_oids, hear
from mirror_sync.engine.names import lead_to
from mirror_sync.engine.present import holds
from mirror_sync.engine.publish import Snapshot, There, amend_refs, publish_documents, publish_refs
from mirror_sync.engine.reading import Origin, Tally
from mirror_sync.engine.site import Site, Target
from mirror_sync.engine.transfer import Transfer
from mirror_sync.engine.vanished import Presence
from mirror_sync.errors import Interrupted, NoSuchCall, RevisionNotFound
from mirror_sync.ports import Source

LOOKS_AT_ONCE = 4  # of a job, at its upstream and target
_TRIES = 3  # of one repo, when prunes remove what it needs


@dataclass(frozen=True, slots=True)
class Bench:
    """What the repos of one job share in a run; `jobs` are all configured ones.

    `files` runs the files in flight and all other short work, `large_files` those that come in parts.
    """

    run: str
    site: Site
    source: Source
    target: Target
    jobs: Sequence[Job]
    transfer: Transfer
    files: Executor
    large_files: Executor
    proof: Proof
    glance: Glance
    presence: Presence
    looks: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(LOOKS_AT_ONCE), repr=False)

    def decider(self, *, anew: bool = False) -> Decider:
        absences = Absences(self.target, self.jobs, self.proof, self.site.clock)
        sides = Sides(self.source, self.target, self.jobs, self.site.go_on, self.glance, self.presence)
        return Decider(sides, absences, self.files.map, anew=anew)


class Brought(NamedTuple):
    """The digest of a root that can be published, what its listing says by git id, the commit's date (empty where
    nobody tells it), and what a report adds.
    """

    root: Sha256
    listed: Mapping[GitOid, Sha256]
    committed: str
    remark: str = ""


def sync_repo(bench: Bench, task: Task) -> RepoReport:
    """Carry out one task. Every failure becomes a report with its reason, and so does a stop in the midst of it.

    Raises Interrupted for a stop before it was known what is to be brought: nothing can have been kept then.
    """
    return _reported(bench, task, lambda tally: _sync(bench, task, tally))


def run_errand(bench: Bench, errand: Errand) -> RepoReport:
    """The rest of a task that somebody else has looked at, who holds the repo's lock. Interrupted as of `sync_repo`."""
    task = errand.task
    return _reported(bench, task, lambda tally: bring_up_to_date(bench, task, errand.seen, tally))


def _reported(bench: Bench, task: Task, work: Callable[[Tally], RepoReport]) -> RepoReport:
    started = time.monotonic()
    tally = Tally()
    try:
        bench.site.go_on()
        report = work(tally)
    except Interrupted:
        if tally.commit is None:
            raise
        report = interrupted_report(task, tally)
    except Exception as error:  # whatever stops one repo must not stop the others
        report = report_of(task, settle(bench.site, bench.run, task.job, task.repo, error))
    return replace(
        report,
        seconds=round(time.monotonic() - started, 3),
        fetched_files=tally.fetched_files,
        fetched_bytes=tally.fetched_bytes,
        resumed_bytes=tally.resumed_bytes,
    )


def interrupted_report(task: Task, tally: Tally) -> RepoReport:
    """Of a repo that was being brought when the run was stopped."""
    kept = tally.fetched_bytes + tally.resumed_bytes
    reason = f"stopped before the end: {kept:,} bytes of it are kept, what was on its way comes again"
    return report_of(task, Settled(RepoOutcome.INTERRUPTED, tally.commit, reason, Interrupted.code))


def with_lag(site: Site, report: RepoReport) -> RepoReport:
    """For whoever remembers earlier looks: the machine that runs the job, wherever the repo was synced."""
    if report.published is None or report.commit is None:
        return report
    return replace(report, lag_seconds=lag(report.commit, report.committed, report.published, site.looked(report)))


def report_of(item: Task | Unlisted, settled: Settled) -> RepoReport:
    told = f"; {settled.reason}" if settled.reason else ""
    return RepoReport(
        *item.named,
        outcome=settled.outcome,
        commit=settled.commit,
        reason=f"goes by {item.repo} here{told}" if isinstance(item, Task) and item.asked else settled.reason,
        code=settled.code,
        files=settled.files,
        bytes=settled.size,
    )


def _sync(bench: Bench, task: Task, tally: Tally) -> RepoReport:
    with bench.looks:
        decider = bench.decider()
        task, refs = decider.named(task)
        found = decider.look(task, refs)
    if not isinstance(found, Settled):
        with bench.target.lock(task.repo):
            if bench.site.crew is None:
                return bring_up_to_date(bench, task, found, tally)
            return tally.take(bench.site.crew.bring(bench, Errand.of(bench, task, found)))
    if found.edit is not None:
        with bench.target.lock(task.repo):
            amend_refs(bench.target.store, task.repo, found.edit)
    if found.outcome is RepoOutcome.UNCHANGED:
        lead_to(bench.target, task)
    return report_of(task, found)


def bring_up_to_date(
    bench: Bench, task: Task, seen: Seen, tally: Tally, *, anew: bool = False, tries: int = _TRIES
) -> RepoReport:
    """Compare, transfer, publish; again, believing nothing, where a prune was quicker. The caller holds the lock."""
    watch = Watch(bench.site, bench.target, task.repo, bench.files.map)
    bench.target.flights.enter(watch.known)
    try:
        change = bench.decider(anew=anew).compare(task, seen)
        if not isinstance(change, Settled):
            return _carry_out(bench, task, change, tally, watch)
    except Swept:
        if tries == 1:
            raise
        bench.target.flights.forget_landed()
        return bring_up_to_date(bench, task, seen, tally, anew=True, tries=tries - 1)
    amend_refs(bench.target.store, task.repo, change.edit)
    return report_of(task, change)


def _carry_out(bench: Bench, task: Task, change: Change, tally: Tally, watch: Watch) -> RepoReport:
    tally.commit = change.resolved.commit
    _announce(bench, task, change)
    ref = _ref(bench, task, change.resolved.commit)
    brought = _there(change) or _bring_with_room(bench, task, change, tally)
    bench.site.go_on()
    _publish(bench, task, change, (brought.root, ref), watch)
    published = bench.site.now()
    hear(bench.target, brought.listed)
    reason = "; ".join(filter(None, (remarks(change.resolved), change.remark, brought.remark)))
    said = reason, second_hand(change.resolved)
    settled = Settled(RepoOutcome.PUBLISHED, change.resolved.commit, *said, change.files, change.size)
    return replace(
        report_of(task, settled),
        reused_files=max(0, change.files - tally.fetched_files),
        reused_bytes=max(0, change.size - tally.fetched_bytes - tally.resumed_bytes),
        committed=brought.committed if moment(brought.committed) else None,
        published=published,
    )


def _there(change: Change) -> Brought | None:
    """The snapshot of a commit that is published under another name."""
    if change.root is None or change.relies_on is None:
        return None
    return Brought(change.root, {}, change.relies_on.root.last.get("date", ""))


def _publish(bench: Bench, task: Task, change: Change, to: tuple[Sha256, Ref | None], watch: Watch) -> None:
    root, ref = to
    base = change.relies_on
    relies_on = None if base is None else base.digest

    def put() -> None:
        former = change.resolved.current if _is_free(bench, change.resolved) else None
        refs = publish_refs(bench.target.store, task.repo, (change.resolved, root), ref, relies_on)
        bench.glance.learn(
            task.repo, task.revision, refs, Facts(task.job.selection, change.files, change.size, bench.site.clock())
        )
        lead_to(bench.target, task, former)

    granted = frozenset[Sha256]() if base is None else base.digests
    watch.publish((change.resolved.commit, root), None if change.root else granted, put)


def _is_free(bench: Bench, resolved: Resolved) -> bool:
    """Whether the upstream's new name of a repo that stays published under its old one is nobody's here."""
    return resolved.renamed and bench.glance.refs(resolved.current) == Refs()


def _announce(bench: Bench, task: Task, change: Change) -> None:
    plan = change.plan
    bench.site.tell(
        RepoPlanned(
            run=bench.run,
            job=task.job.name,
            repo=task.ordered,
            revision=task.revision,
            commit=change.resolved.commit,
            fetch_files=len(plan.fetch),
            fetch_bytes=plan.fetch_bytes,
            reuse_files=change.reuse_files,
            reuse_bytes=change.reuse_bytes,
            delete_files=len(plan.delete),
        )
    )


def _ref(bench: Bench, task: Task, commit: CommitId) -> Ref | None:
    """The upstream's own name for the revision; a commit asked for by its id needs none."""
    if CommitId.matches(task.revision):
        return None
    named = f"refs/heads/{DEFAULT_BRANCH}" if task.revision in (DEFAULT_BRANCH, HEAD) else task.revision
    found = Ref.of_full_name(named, commit)
    if found is not None:
        return found
    named_so = sorted(meant(_refs(bench, task), task.revision), key=lambda ref: ref.target != commit)
    for ref in named_so:  # a branch and a tag may share a name: the upstream has said which it takes
        if not (name_fault(ref.name) or name_fault(ref.ref)):
            return replace(ref, target=commit)
    raise RevisionNotFound(f"{task.repo} has no branch or tag {task.revision}; name a full commit id to pin one")


def _refs(bench: Bench, task: Task) -> tuple[Ref, ...]:
    """The upstream's; those that are published where it tells of none and the revision is one of them."""
    try:
        return bench.source.refs(task.repo)
    except NoSuchCall as error:
        published = bench.glance.refs(task.repo).refs
        if meant(published, task.revision):
            return published
        whole = f"refs/heads/{task.revision} or refs/tags/{task.revision}"
        raise NoSuchCall(f"{error}: nobody says what {task.revision} is; write {whole} in revisions") from error


def _history(bench: Bench, resolved: Resolved) -> tuple[tuple[Commit, ...], str]:
    """The newest commits; where the upstream tells of none, the commit alone with the date of its repo, and why."""
    try:
        return bench.source.history(resolved.asked, resolved.commit), ""
    except NO_SIDE as error:
        dates = (str(resolved.described.get(key)) for key in ("lastModified", "createdAt"))
        date = next(filter(moment, dates), bench.site.now())
        return (Commit(resolved.commit, "", date),), f"published without its history: {error}"


def _bring_with_room(bench: Bench, task: Task, change: Change, tally: Tally) -> Brought:
    with bench.target.reserved(change.plan.fetch, change.files):
        return _bring_snapshot(bench, task, change, tally)


def _bring_snapshot(bench: Bench, task: Task, change: Change, tally: Tally) -> Brought:
    history, untold = _history(bench, change.resolved)  # first: what it fails for is not worth all files
    brought = _bring_files(bench, task, change, tally)
    proved = {content: landed.digest for content, landed in brought.items()}
    manifest = carry_out(change.plan, change.base, change.present | proved)
    snapshot = Snapshot(
        resolved=change.resolved,
        manifest=manifest,
        history=history,
        selection=task.job.selection,
        verdict=change.verdict,
        left=change.left,
    )
    there = There(change.known_documents, {digest: content.size for content, digest in proved.items()})
    root = publish_documents(bench.target.store, snapshot, there, bench.files.map)
    return Brought(root, git_oids(manifest), "" if untold else history[0].date, untold)


def _bring_files(bench: Bench, task: Task, change: Change, tally: Tally) -> dict[Content, Landed]:
    """Fetch all that the plan says; the first failure stops the rest, since the snapshot cannot be published then."""
    origin = Origin(bench.run, bench.source, task.repo, change.resolved.commit, tally)

    lessons = Lessons(bench.target)

    def bring(file: RemoteFile) -> Landed:
        bench.site.go_on()
        landed, _ = bench.target.flights.share(
            file.content,
            lambda: bench.transfer.bring(origin, file),
            lambda landed: holds(bench.target, landed.digest, file.size),
        )
        lessons.add(landed.oid, landed.digest)
        return landed

    def lane(file: RemoteFile) -> Executor:
        return bench.files if file.size <= bench.target.store.part_size else bench.large_files

    flights = {file.content: lane(file).submit(bring, file) for file in change.plan.fetch}
    try:
        _wait_for_all(list(flights.values()))
    finally:
        for flight in flights.values():
            flight.cancel()
        wait(flights.values())
        lessons.end()
    return {content: flight.result() for content, flight in flights.items()}


def _wait_for_all(flights: Sequence[Future[Landed]]) -> None:
    done, _ = wait(flights, return_when=FIRST_EXCEPTION)
    for flight in done:
        flight.result()
