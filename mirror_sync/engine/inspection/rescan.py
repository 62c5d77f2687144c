"""Judges anew what is published, by the policy and the scanners of today. Nothing published is taken away.

What a scanner finds now is noted in the target: a new commit that still has such a file is held, on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from mirror_sync.domain.content.refs import OURS, Refs
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.outcome.events import SnapshotTurnedBad
from mirror_sync.domain.outcome.rescan_report import RescannedSnapshot, RescanReport, RescanResult
from mirror_sync.domain.policy.rules import Judgement
from mirror_sync.domain.policy.terms import Terms
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.work import Base, Task
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.inspection.inspected_files import listing_of
from mirror_sync.engine.inspection.inspection import Inspection
from mirror_sync.engine.inspection.inspection_memory import InspectionMemory, TurnedFile
from mirror_sync.engine.inspection.turned_notes import note_turned
from mirror_sync.engine.published import mirrored_repos, read_refs, read_root
from mirror_sync.engine.stages import Change
from mirror_sync.engine.sync.judging import judge_of
from mirror_sync.errors import Interrupted, MirrorError, UsageError


class Rescan:
    """`jobs` are all configured ones: those without a policy of formats or scans are passed over."""

    def __init__(self, context: RunContext, jobs: Sequence[Job], inspection: Inspection) -> None:
        self._context, self._inspection = context, inspection
        self._jobs = tuple(job for job in jobs if job.inspects)
        self._turned: dict[tuple[str, Repo], list[TurnedFile]] = {}
        self._failed: set[tuple[str, Repo]] = set()

    def run(self, repo: Repo | None = None, *, again: bool = False) -> RescanReport:
        """Judge every snapshot that a name leads to, of one repo or of all. UsageError where there is none to judge.

        `again`: the next sync scans what is held anew, too, whatever was found in it.
        """
        if not self._jobs:
            raise UsageError("no job has a policy with formats or scan, by which anything could be judged")
        asked = [job for job in self._jobs if repo is None or job.names(repo)]
        for target in {job.target for job in asked} if again else ():
            InspectionMemory(self._context.targets[target].read_cache).scan_again(repo)
        found: list[RescannedSnapshot] = []
        try:
            for job in self._jobs:
                for each in self._repos(job, repo):
                    found += self._repo(job, each)
        except Interrupted:
            self._remember(whole=False)
            return RescanReport(tuple(found), interrupted=True)
        self._remember(whole=True)
        if repo is not None and not found and not (again and asked):
            known = (RepoPattern(one.kind, one.id) for job in self._jobs for one in self._repos(job, None))
            near = did_you_mean(RepoPattern(repo.kind, repo.id), known)
            raise UsageError(f"nothing of {repo} is mirrored by a job whose policy looks at files{near}")
        return RescanReport(tuple(found))

    def _repos(self, job: Job, only: Repo | None) -> Iterator[Repo]:
        for repo in mirrored_repos(self._context.targets[job.target].store):
            self._context.go_on()
            if only in (None, repo) and job.names(repo):
                yield repo

    def _repo(self, job: Job, repo: Repo) -> Iterator[RescannedSnapshot]:
        """All its snapshots; what scanners find in any of them, for any job, counts for the commits to come."""
        key = job.target, repo
        refs = read_refs(self._context.targets[job.target].store, repo)
        for named in _named(job, refs):
            self._context.go_on()
            one, files = self._snapshot(job, repo, refs, named)
            if job.scan is not None:
                self._turned.setdefault(key, []).extend(files)
            if one.result is RescanResult.FAILED:
                self._failed.add(key)
            yield one

    def _remember(self, *, whole: bool) -> None:
        """What was found is added to what was known where not all was judged, and takes its place elsewhere.

        Raises what could not be noted, after all others are.
        """
        failed: list[MirrorError] = []
        for (name, repo), files in self._turned.items():
            more = not whole or (name, repo) in self._failed
            try:
                self._note(self._context.targets[name], repo, files, more=more)
            except MirrorError as error:  # which must not cost what was found in others
                failed.append(error)
        if failed:
            raise failed[0]

    def _note(self, target: Target, repo: Repo, files: Sequence[TurnedFile], *, more: bool) -> None:
        memory = InspectionMemory(target.read_cache)
        known = memory.turned(repo)  # by a program that noted it here alone
        found = tuple(dict.fromkeys((*known, *files))) if more else tuple(files)
        try:
            with target.lock(repo):
                note_turned(target, repo, found, (self._context.now(), "rescan"), more=more)
        except MirrorError:
            memory.turn(repo, found)  # so that this machine holds by it at the least
            raise
        memory.turn(repo, ())

    def _snapshot(
        self, job: Job, repo: Repo, refs: Refs, named: tuple[str, CommitId]
    ) -> tuple[RescannedSnapshot, Sequence[TurnedFile]]:
        revision, commit = named
        parts = job.name, repo.kind, repo.id, revision, commit
        try:
            change = self._change(Task(job, repo, revision), refs, commit, refs.snapshots[commit])
            with closing(change.listing):
                found, turned, failed = self._inspection.again(change)
            judge = judge_of(self._context, self._context.source(job))
            candidate = judge.candidate(change.task, refs, change.resolved)
            verdicts = tuple(map(candidate.settled, found))
        except Interrupted:
            raise
        except MirrorError as error:
            return RescannedSnapshot(*parts, RescanResult.FAILED, str(error)), ()
        objection = Judgement(verdicts).objection
        if objection is None:
            return RescannedSnapshot(*parts, RescanResult.CLEAN, "; ".join(one.reason for one in verdicts)), ()
        reason = "; ".join(one.reason for one in verdicts if not one.allowed)
        if turned:
            self._context.tell(SnapshotTurnedBad(*parts, reason))
        return RescannedSnapshot(*parts, RescanResult.FAILED if failed else RescanResult.BAD, reason), turned

    def _change(self, task: Task, refs: Refs, commit: CommitId, digest: Sha256) -> Change:
        target = self._context.targets[task.job.target]
        root = read_root(target.store, digest)
        listing = listing_of(target.store, root)
        resolved = Resolved(task.repo, task.repo, commit, Terms(), {})
        return Change(
            task, target.store, target.read_cache, resolved, refs, listing=listing, relies_on=Base(digest, root)
        )


def _named(job: Job, refs: Refs) -> Iterator[tuple[str, CommitId]]:
    """Each commit that a name of the job's leads to, or that it pins, once; those of our own names are every job's."""
    seen: set[CommitId] = set()
    names = ((ref.shortest, ref.target) for ref in refs.refs)
    pinned = ((str(commit), commit) for commit in refs.snapshots)
    found = [(revision, commit) for revision, commit in (*names, *pinned) if job.follows(revision)]
    for revision, commit in (*found, *((OURS + name, commit) for name, commit in refs.channels.items())):
        if commit in refs.snapshots and commit not in seen:
            seen.add(commit)
            yield revision, commit
