"""Looks at one revision of one repo, upstream and published, and decides what is to be done. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mirror_sync.domain.digest import Promise, Sha256
from mirror_sync.domain.job import Job, rival
from mirror_sync.domain.keys import blob_key
from mirror_sync.domain.manifest import Manifest, MirroredFile, RemoteFile
from mirror_sync.domain.plan import plan, unknown
from mirror_sync.domain.policy import Outcome, Verdict
from mirror_sync.domain.refs import Refs
from mirror_sync.domain.report import RepoOutcome
from mirror_sync.domain.snapshot import Root
from mirror_sync.domain.upstream import Resolved
from mirror_sync.engine.absence import GONE, Absences, is_known
from mirror_sync.engine.decision import Base, Change, Edit, Settled, held, renamed
from mirror_sync.engine.gather import DEFAULT_BRANCH, Task
from mirror_sync.engine.index import learn_everything
from mirror_sync.engine.published import Mapper, read_manifest, read_refs, read_root
from mirror_sync.engine.site import Target
from mirror_sync.errors import DocumentError, Gated, KeyMissing, SelectionConflict
from mirror_sync.ports import Source


class Decider:
    """Decides for the tasks of a run; `jobs` are all of the configuration, to see rivals.

    `anew`: nothing that is published of the commit is believed, and every blob is looked up.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        jobs: Sequence[Job],
        absences: Absences,
        mapper: Mapper = map,
        *,
        anew: bool = False,
    ) -> None:
        self._source, self._target, self._jobs, self._mapper = source, target, jobs, mapper
        self._absences, self._anew = absences, anew

    def look(self, task: Task) -> Settled | Resolved:
        """One upstream call at most: settled when nothing is to be done, else what `compare` shall compare.

        A second call, once a run, asks about our token when the repo is gone. Raises UpstreamError and StoreError.
        """
        refs = read_refs(self._target.store, task.repo)
        frozen = self._absences.frozen(task, refs)
        if frozen is not None:
            return frozen
        try:
            resolved = task.resolved or self._source.resolve(task.repo, task.revision)
        except GONE as error:
            if not is_known(refs):
                raise
            return self._absences.settle(task, refs, error)
        return self._seen(task, refs, resolved)

    def compare(self, task: Task, resolved: Resolved) -> Settled | Change:
        """List the commit and plan. The caller who will publish holds the repo's lock, so refs are read again.

        Raises UpstreamError, StoreError, SelectionConflict, UnsafePath.
        """
        refs = read_refs(self._target.store, task.repo)
        self._refuse_rivals(task, refs, resolved)
        try:
            return self._unchanged(task, refs, resolved) or self._compare(task, refs, resolved)
        except Gated as error:
            if not is_known(refs):
                raise
            return self._absences.settle(task, refs, error)

    def _seen(self, task: Task, refs: Refs, resolved: Resolved) -> Settled | Resolved:
        """The upstream gives the repo. Unless it has turned it off or private, it is not gone any more."""
        turned = self._absences.turned(task, refs, resolved)
        if turned is not None:
            return turned
        verdict = task.job.policy.judge(task.repo, resolved.terms, whole=True)
        if verdict.allowed:
            settled = self._unchanged(task, refs, resolved)
        else:
            settled = _stopped(resolved, verdict, published=refs.commit_of(task.revision) is not None)
        return resolved if settled is None else replace(settled, edit=Edit.between(refs, refs.noting(None)))

    def _unchanged(self, task: Task, refs: Refs, resolved: Resolved) -> Settled | None:
        root = self._root(refs, resolved.commit)
        if self._anew or root is None or refs.commit_of(task.revision) != resolved.commit:
            return None
        if root.selection != task.job.selection:
            return None
        return Settled(RepoOutcome.UNCHANGED, resolved.commit, renamed(resolved), "", root.files)

    def _compare(self, task: Task, refs: Refs, resolved: Resolved) -> Settled | Change:
        root = None if self._anew else self._root(refs, resolved.commit)
        if root is not None and root.selection == task.job.selection:
            return self._another_name(task, refs, resolved, Base(refs.snapshots[resolved.commit], root, {}))
        if resolved.terms.gated:
            self._source.authorize(task.repo)
        everything = list(self._source.list(task.repo, resolved.commit))
        desired = list(task.job.selection.filter(everything))
        verdict = task.job.policy.judge(task.repo, resolved.terms, whole=len(desired) == len(everything))
        if not verdict.allowed:
            return _stopped(resolved, verdict, published=refs.commit_of(task.revision) is not None)
        base = None if self._anew else self._base(refs, task.revision)
        objection = self._objection(task, refs, base, desired, len(everything))
        return _guarded(resolved, objection) if objection else self._change(resolved, verdict, base, desired)

    def _change(self, resolved: Resolved, verdict: Verdict, base: Base | None, desired: Sequence[RemoteFile]) -> Change:
        current: Manifest = {} if base is None else base.manifest
        present = self._present(unknown(current, desired))
        return Change(
            resolved=resolved,
            verdict=verdict,
            base=current,
            plan=plan(current, desired, present),
            present=present,
            known_documents=frozenset() if base is None else frozenset(base.root.documents),
            files=len(desired),
            relies_on=base,
        )

    def _another_name(self, task: Task, refs: Refs, resolved: Resolved, there: Base) -> Settled | Change:
        """The snapshot of the commit is published: only a ref must move onto it."""
        if refs.commit_of(task.revision) not in (None, resolved.commit):
            files = list(read_manifest(self._target.store, there.root, self._mapper).values())
            base = self._base(refs, task.revision)
            objection = self._objection(task, refs, base, files, len(files))
            if objection:
                return _guarded(resolved, objection)
        return _only_a_ref(resolved, there)

    def _objection(
        self, task: Task, refs: Refs, base: Base | None, desired: Sequence[RemoteFile | MirroredFile], listed: int
    ) -> str:
        """The guard's: only what the same name stands for now is replaced, and only like is compared with like.

        A changed selection is the operator's own wish, unless the upstream lists nothing at all.
        """
        if base is None or base.digest != refs.root_of(task.revision):
            return ""
        if base.root.selection != task.job.selection and listed:
            return ""
        return task.job.guard.objection(base.manifest.values(), desired, listed=listed)

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

    def _base(self, refs: Refs, revision: str) -> Base | None:
        """The snapshot to compare with: of the same name, else any other of the repo, which likely shares most."""
        for name in (revision, DEFAULT_BRANCH, *reversed(refs.snapshots)):
            root, digest = self._root(refs, name), refs.root_of(name)
            try:
                if root is not None and digest is not None:
                    return Base(digest, root, read_manifest(self._target.store, root, self._mapper))
            except (KeyMissing, DocumentError):
                continue
        return None

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


def _guarded(resolved: Resolved, objection: str) -> Settled:
    return held(resolved.commit, f"commit {resolved.commit}: {objection}", "guard")


def _stopped(resolved: Resolved, verdict: Verdict, *, published: bool) -> Settled:
    if published:
        return held(resolved.commit, verdict.reason, "license")
    outcome = RepoOutcome.HELD if verdict.outcome is Outcome.HELD else RepoOutcome.REFUSED
    return Settled(outcome, resolved.commit, verdict.reason, "license")


def _only_a_ref(resolved: Resolved, there: Base) -> Change:
    nothing = plan({}, (), {})
    return Change(
        resolved, there.root.verdict, {}, nothing, {}, frozenset(), there.digest, there.root.files, relies_on=there
    )
