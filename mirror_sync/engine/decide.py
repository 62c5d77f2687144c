"""Looks at one revision of one repo, upstream and published, and decides what is to be done. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mirror_sync.domain.digest import Promise, Sha256
from mirror_sync.domain.job import Job, rival
from mirror_sync.domain.keys import blob_key
from mirror_sync.domain.manifest import Manifest, RemoteFile
from mirror_sync.domain.plan import Plan, plan, unknown
from mirror_sync.domain.policy import Outcome, Verdict
from mirror_sync.domain.refs import Refs
from mirror_sync.domain.report import RepoOutcome
from mirror_sync.domain.snapshot import Root
from mirror_sync.domain.upstream import Resolved
from mirror_sync.engine.gather import DEFAULT_BRANCH, Task
from mirror_sync.engine.index import learn_everything
from mirror_sync.engine.published import Mapper, read_manifest, read_refs, read_root
from mirror_sync.engine.site import Target
from mirror_sync.errors import DocumentError, Gated, KeyMissing, MirrorError, SelectionConflict
from mirror_sync.ports import Source


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing to transfer: unchanged, refused or held, with the reason."""

    outcome: RepoOutcome
    commit: str | None
    reason: str
    code: str
    files: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A commit to be published. `root` is set when its snapshot exists already and only a ref must move."""

    resolved: Resolved
    verdict: Verdict
    base: Manifest
    plan: Plan
    present: dict[Promise, Sha256]
    known_documents: frozenset[Sha256]
    root: Sha256 | None = None
    files: int = 0


class Decider:
    """Decides for the tasks of a run; `jobs` are all of the configuration, to see rivals."""

    def __init__(self, source: Source, target: Target, jobs: Sequence[Job], mapper: Mapper = map) -> None:
        self._source, self._target, self._jobs, self._mapper = source, target, jobs, mapper

    def look(self, task: Task) -> Settled | Resolved:
        """One upstream call at most: settled when nothing is to be done, else what `compare` shall compare.

        Raises UpstreamError and StoreError.
        """
        refs = read_refs(self._target.store, task.repo)
        published = refs.commit_of(task.revision) is not None
        try:
            resolved = task.resolved or self._source.resolve(task.repo, task.revision)
        except Gated as error:
            if not published:
                raise
            return _held(None, str(error), error.code)
        verdict = task.job.policy.judge(task.repo, resolved.terms, whole=True)
        if not verdict.allowed:
            return _stopped(resolved, verdict, published=published)
        return self._unchanged(task, refs, resolved) or resolved

    def compare(self, task: Task, resolved: Resolved) -> Settled | Change:
        """List the commit and plan. The caller who will publish holds the repo's lock, so refs are read again.

        Raises UpstreamError, StoreError, SelectionConflict, UnsafePath.
        """
        refs = read_refs(self._target.store, task.repo)
        self._refuse_rivals(task, refs, resolved)
        published = refs.commit_of(task.revision) is not None
        try:
            return self._unchanged(task, refs, resolved) or self._compare(task, refs, resolved, published=published)
        except Gated as error:
            if not published:
                raise
            return _held(resolved.commit, str(error), error.code)

    def _unchanged(self, task: Task, refs: Refs, resolved: Resolved) -> Settled | None:
        root = self._root(refs, resolved.commit)
        if root is None or root.selection != task.job.selection or refs.commit_of(task.revision) != resolved.commit:
            return None
        return Settled(RepoOutcome.UNCHANGED, resolved.commit, renamed(resolved), "", root.files)

    def _compare(self, task: Task, refs: Refs, resolved: Resolved, *, published: bool) -> Settled | Change:
        root = self._root(refs, resolved.commit)
        if root is not None and root.selection == task.job.selection:
            return _only_a_ref(resolved, root.verdict, refs.snapshots[resolved.commit], root.files)
        if resolved.terms.gated:
            self._source.authorize(task.repo)
        everything = list(self._source.list(task.repo, resolved.commit))
        desired = list(task.job.selection.filter(everything))
        verdict = task.job.policy.judge(task.repo, resolved.terms, whole=len(desired) == len(everything))
        if not verdict.allowed:
            return _stopped(resolved, verdict, published=published)
        base, known_documents = self._base(refs, task.revision)
        present = self._present(unknown(base, desired))
        return Change(
            resolved=resolved,
            verdict=verdict,
            base=base,
            plan=plan(base, desired, present),
            present=present,
            known_documents=known_documents,
            files=len(desired),
        )

    def _root(self, refs: Refs, revision: str) -> Root | None:
        """None when it is not published, or damaged: then it is written anew."""
        digest = refs.root_of(revision)
        try:
            return None if digest is None else read_root(self._target.store, digest)
        except (KeyMissing, DocumentError):
            return None

    def _refuse_rivals(self, task: Task, refs: Refs, resolved: Resolved) -> None:
        other = rival(task.job, task.repo, {*refs.names_of(resolved.commit), task.revision}, self._jobs)
        if other is not None:
            raise SelectionConflict(
                f"jobs {task.job.name} ({task.job.selection}) and {other.name} ({other.selection}) want different "
                f"files of {task.repo} at {resolved.commit} on one target: give them the same include and exclude"
            )

    def _base(self, refs: Refs, revision: str) -> tuple[Manifest, frozenset[Sha256]]:
        """The snapshot to compare with: of the same name, else any other of the repo, which likely shares most."""
        for name in (revision, DEFAULT_BRANCH, *reversed(refs.snapshots)):
            root = self._root(refs, name)
            try:
                if root is not None:
                    return read_manifest(self._target.store, root, self._mapper), frozenset(root.documents)
            except (KeyMissing, DocumentError):
                continue
        return {}, frozenset()

    def _present(self, files: Sequence[RemoteFile]) -> dict[Promise, Sha256]:
        """Which of these contents the target holds: those whose digest is known and whose blob is really there."""
        by_oid = [file.oid for file in files if file.sha256 is None]
        if by_oid and not self._target.index.complete:
            learn_everything(self._target, self._mapper)
        known = self._target.index.known(by_oid)
        named = {file.promise: (digest, file.size) for file in files if (digest := file.sha256 or known.get(file.oid))}
        found = self._mapper(lambda item: (item[0], item[1][0], self._holds(*item[1])), named.items())
        return {promise: digest for promise, digest, there in found if there}

    def _holds(self, digest: Sha256, size: int) -> bool:
        stat = self._target.store.stat(blob_key(digest))
        return stat is not None and stat.size == size


def renamed(resolved: Resolved) -> str:
    return f"renamed upstream to {resolved.current}" if resolved.renamed else ""


def _held(commit: str | None, why: str, code: str) -> Settled:
    return Settled(RepoOutcome.HELD, commit, f"{why}; the snapshot published before stays", code)


def _stopped(resolved: Resolved, verdict: Verdict, *, published: bool) -> Settled:
    if published:
        return _held(resolved.commit, verdict.reason, "license")
    outcome = RepoOutcome.HELD if verdict.outcome is Outcome.HELD else RepoOutcome.REFUSED
    return Settled(outcome, resolved.commit, verdict.reason, "license")


def _only_a_ref(resolved: Resolved, verdict: Verdict, root: Sha256, files: int) -> Change:
    return Change(resolved, verdict, {}, plan({}, (), {}), {}, frozenset(), root, files)


def failure(error: MirrorError) -> Settled:
    return Settled(RepoOutcome.FAILED, None, str(error), error.code)
