"""Brings from upstream again what verify found wrong."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from mirror_sync.domain.audit_record import Act, Verb
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.refs import HELD, STATEMENT, STATEMENT_SIGNATURE, VERSIONS, Refs
from mirror_sync.domain.content.rewritten import PUBLISHED
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.formats.class_list import CLASSES
from mirror_sync.domain.job.job import Job, owners
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.policy.format_policy import FORMATS
from mirror_sync.domain.policy.scan_policy import SCAN
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import Seen, Task
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.inspection.scan_list import SCANS
from mirror_sync.engine.known_contents import expect_kept
from mirror_sync.engine.published import change_refs, read_refs, read_root
from mirror_sync.engine.published_names import jobs_by_other_names
from mirror_sync.engine.run import open_job_run
from mirror_sync.engine.stages import Change
from mirror_sync.engine.sync.repo_sync import JobRun, bring_up_to_date
from mirror_sync.engine.transfer.file_read import ByteCount, FileOrigin
from mirror_sync.engine.upkeep.piece_repair import PieceRepair
from mirror_sync.engine.walk import Place
from mirror_sync.errors import (
    Disabled,
    DocumentError,
    FileNotFound,
    Gated,
    Interrupted,
    KeyMissing,
    MirrorError,
    NewerFormat,
    NotFoundOrPrivate,
    NotSeen,
    RevisionNotFound,
)
from mirror_sync.ports.store import MAX_DOCUMENT, Store, read_document

_NOTES = (PUBLISHED, STATEMENT, STATEMENT_SIGNATURE, VERSIONS)  # attachments of a refs.json that it can do without
_OF_FILES = (FORMATS, SCAN)  # rules that judge by what is in the files
_NO_LONGER = (NotFoundOrPrivate, Gated, Disabled, RevisionNotFound, FileNotFound)


class Repaired(NamedTuple):
    """How a repair went: `why` it did not, empty when done; `said` what there is to say of one that went well."""

    why: str
    said: str = ""


class Repair:
    """Repairs blobs and snapshots, through the first job of the repo whose upstream can; to be used as a context."""

    def __init__(self, context: RunContext, jobs: Sequence[Job]) -> None:
        self._context, self._jobs = context, jobs
        self._run = uuid.uuid4().hex[:12]
        self._job_runs: dict[str, JobRun] = {}
        self._open = ExitStack()
        self._tried: dict[tuple[str, Repo, CommitId | None], str] = {}
        self._otherwise: dict[str, dict[Repo, list[tuple[Job, Repo]]]] = {}  # by target

    def __enter__(self) -> Repair:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def file(self, target: Target, place: Place, file: MirroredFile) -> Repaired:
        """Fetch a file's content again, at the commit and path that the snapshot names: of one whose pieces are known
        those that are wrong.
        """
        assert place.commit is not None  # noqa: S101  for the type checker: files belong to a snapshot
        commit, taken = place.commit, list[int]()

        def fetch(job: Job, _name: Repo) -> str:
            job_run = self._job_run(job)
            origin = FileOrigin(self._run, job_run.source, place.repo, commit)
            with recorded(self._context, target, [self._act(target, place.repo, commit, job, file)]):
                count = PieceRepair(self._context, target.store).mend(origin, place.repo, commit, file)
                if count is not None:
                    expect_kept(target.store, [(file.sha256, file.size)])
                    taken.append(count)
                    return ""
                digest = job_run.transfer.bring(origin, file.promised).digest
                expect_kept(target.store, [(digest, file.size)])
            return "" if digest == file.sha256 else f"the upstream has other bytes there now, of digest {digest}"

        why = self._by_its_jobs(target, place.repo, fetch)
        return Repaired(why, f"repaired: {taken[0]:,} bytes came from upstream" if taken and not why else "")

    def _act(self, target: Target, repo: Repo, commit: CommitId, job: Job, file: MirroredFile) -> Act:
        of = str(repo), "", commit, job.name, self._run
        return Act(Verb.REPAIR, target.name, *of, f"file {file.path}", {"file": file.sha256})

    def snapshot(self, target: Target, place: Place) -> str:
        """Make the documents of a snapshot again from the upstream's listing; why not, or empty when done. Once.

        One of the repo as a whole is made by who attached it, not from the upstream: see `_attachments`.
        """
        key = (target.name, place.repo, place.commit)
        if key in self._tried:
            return self._tried[key]
        if place.commit is None:
            try:
                self._tried[key] = self._attachments(target, place.repo)
            except MirrorError as error:
                self._tried[key] = _why(error)
        else:
            publish = partial(self._publish_again, target, place.repo, place.commit)
            self._tried[key] = self._by_its_jobs(target, place.repo, publish)
        return self._tried[key]

    def _attachments(self, target: Target, repo: Repo) -> str:
        """Name no more what is lost and was noted down beside the snapshots; a statement is made anew by that.

        A snapshot whose time of publication is lost with it counts from when its root was written: it stays longer.
        """
        with target.lock(repo):
            refs = read_refs(target.store, repo)
            lost = [name for name, digest in refs.attachments.items() if _is_lost(target.store, digest)]
            notes = [name for name in lost if name in _NOTES or name.startswith(HELD)]
            gone = {(name, refs.attachments[name]) for name in notes}  # one that is made anew meanwhile has another
            if notes:
                why = f"refs.json without {', '.join(notes)}"
                act = Act(Verb.REPAIR, target.name, str(repo), run=self._run, reason=why)
                with recorded(self._context, target, [act]):
                    change_refs(target, repo, lambda now: _without(now, gone))
        return "" if lost == notes else "no upstream has it: it is made anew when something of the repo is published"

    def _by_its_jobs(self, target: Target, repo: Repo, mend: Callable[[Job, Repo], str]) -> str:
        """Let its jobs mend, one after the other until one does; why none did, empty when done.

        An upstream that failed is not asked again for another job.
        """
        whys: dict[str, str] = {}
        try:
            jobs = self._jobs_of(target, repo)
        except MirrorError as error:
            return _why(error)
        for job, name in jobs:
            if job.upstream in whys:
                continue
            try:
                why = mend(job, name)
            except MirrorError as error:
                why = _why(error)
            if not why:
                return ""
            whys[job.upstream] = why
        if len(whys) > 1:
            return "; ".join(f"upstream {upstream}: {why}" for upstream, why in whys.items())
        return "".join(whys.values()) or f"no job names {repo} any more, so that there is no upstream to ask"

    def _jobs_of(self, target: Target, repo: Repo) -> list[tuple[Job, Repo]]:
        """Also those that call the repo by a former name, under which an alias leads to it."""
        named = [(job, repo) for job in owners(self._jobs, target.name, repo)]
        if not named and target.name not in self._otherwise:
            self._otherwise[target.name] = jobs_by_other_names(target, self._jobs)
        return named or self._otherwise[target.name].get(repo, [])

    def _publish_again(self, target: Target, repo: Repo, commit: CommitId, job: Job, name: Repo) -> str:
        root = _published_root(target, repo, commit)
        job_run = _restoring(self._job_run(job), root)
        task = Task(job if root is None else replace(job, selection=root.selection), name, commit)
        task = task if name == repo else task.under(repo)
        resolved = job_run.source.resolve(repo, commit)
        with target.lock(repo):
            seen = Seen(resolved, read_refs(target.store, repo))
            report = bring_up_to_date(job_run, task, seen, ByteCount(), rebuild=True)
        return "" if report.outcome is RepoOutcome.PUBLISHED else report.reason

    def _job_run(self, job: Job) -> JobRun:
        if job.name not in self._job_runs:
            job_run = self._open.enter_context(open_job_run(self._context, self._run, job, self._jobs))
            self._job_runs[job.name] = replace(job_run, verb=Verb.REPAIR)
        return self._job_runs[job.name]


def _without(refs: Refs, documents: Collection[tuple[str, Sha256]]) -> Refs:
    return refs.attaching(dict(one for one in refs.attachments.items() if one not in documents))


def _is_lost(store: Store, digest: Sha256) -> bool:
    """Whether a document is not there, or other bytes are. StoreError where nobody can tell."""
    try:
        read_document(store, digest, MAX_DOCUMENT)
    except (KeyMissing, DocumentError):
        return True
    return False


def _published_root(target: Target, repo: Repo, commit: CommitId) -> Root | None:
    """That of the published snapshot, where it can still be read. NewerFormat."""
    digest = read_refs(target.store, repo).root_of(commit)
    try:
        return None if digest is None else read_root(target.store, digest)
    except NewerFormat:
        raise
    except (KeyMissing, DocumentError):
        return None


def _restoring(job_run: JobRun, root: Root | None) -> JobRun:
    """One that holds nothing by its files: what was found in them when they were published stays said.

    A policy that came later is about commits to come. Where the root cannot be read, nothing is said any more, so that
    the next commit is looked at as a whole.
    """

    def found_before(change: Change) -> Change:
        if root is None:
            return change
        for verdict in root.verdicts:
            if verdict.rule in _OF_FILES:
                change = change.judged(verdict)
        for name in (CLASSES, SCANS):
            with suppress(KeyError, KeyMissing, DocumentError):
                change = change.attached(name, read_document(change.store, root.attachments[name], MAX_DOCUMENT))
        return change

    stages = replace(job_run.context.stages, recall=(), inspect=(found_before,))
    context = replace(job_run.context, stages=stages)
    return replace(job_run, context=context, decider=replace(job_run.decider, recall=stages.recall))


def _why(error: MirrorError) -> str:
    if isinstance(error, Interrupted):
        raise error
    if isinstance(error, _NO_LONGER) and not isinstance(error, NotSeen):
        return f"the upstream no longer has it: {error}"
    return f"not repaired: {error}"
