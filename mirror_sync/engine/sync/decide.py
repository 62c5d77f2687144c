"""Looks at one revision of one repo, upstream and published, and decides what is to be done. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mirror_sync.domain.content.manifest import Manifest, MirroredFile, RemoteFile, expect_bytes, expect_one_size
from mirror_sync.domain.content.plan import Plan, plan, unknown
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.job.job import Job, denials, owners, rival
from mirror_sync.domain.outcome.report import STALE, RepoOutcome
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.policy.identity import Identity
from mirror_sync.domain.policy.rules import Candidate, Judgement, Outcome, Verdict, judge_all
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import Target
from mirror_sync.engine.decision import Base, Change, Edit, NoChange, Seen, held, remarks, second_hand
from mirror_sync.engine.published import Mapper, Past, identity_of, read_manifest, read_past, read_refs, read_root
from mirror_sync.engine.published_names import alias_target
from mirror_sync.engine.sync.gone_repos import GONE, GoneRepos, is_known
from mirror_sync.engine.sync.present import present
from mirror_sync.engine.sync.published_view import PublishedView
from mirror_sync.engine.vanished import Presence
from mirror_sync.engine.work import DENIED, Task
from mirror_sync.errors import (
    BadAnswer,
    DocumentError,
    Gated,
    KeyMissing,
    NoSuchCall,
    NotFoundOrPrivate,
    RevisionNotFound,
    SelectionConflict,
)
from mirror_sync.ports.source import Source

NO_SIDE = (NoSuchCall, NotFoundOrPrivate, RevisionNotFound)  # of a call beside a repo that is there: it is not told
STRANGER = "another-repo"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared: `jobs` are all of the configuration, to see rivals. `go_on` raises Interrupted after a stop."""

    source: Source
    target: Target
    jobs: Sequence[Job]
    go_on: Callable[[], None]
    published_view: PublishedView
    presence: Presence


class Decider:
    """Decides for the tasks of a run.

    `anew`: nothing that is published of the commit is believed, and every blob is looked up.
    """

    def __init__(
        self, comparison: Comparison, gone_repos: GoneRepos, mapper: Mapper = map, *, anew: bool = False
    ) -> None:
        self._presence = comparison.presence
        self._source, self._target, self._jobs, self._go_on = (
            comparison.source,
            comparison.target,
            comparison.jobs,
            comparison.go_on,
        )
        self._gone_repos, self._mapper, self._anew, self._published_view = (
            gone_repos,
            mapper,
            anew,
            comparison.published_view,
        )

    def look(self, task: Task, refs: Refs) -> NoChange | Seen:
        """One upstream call at most: settled when nothing is to be done, else what `compare` shall compare.

        A second call, once a run, asks about our token when the repo is gone. Raises UpstreamError, StoreError and
        Interrupted.
        """
        found = self._look(task, refs)
        if isinstance(found, Seen) and not is_known(found.refs):
            self._presence.expect()
        return found

    def named(self, task: Task) -> tuple[Task, Refs]:
        """The task under the id that its repo is published by, or is to be (the upstream's own), and what is published.

        What is published under a name stays there: readers know it by it. Where nothing is, an alias is believed before
        the upstream, for which the name may stand for another repo by now. The call that asks is the one of `look`.
        Raises Vanished where nothing is found in a target that has lost all that was published there.
        """
        refs = self._published_view.refs(task.repo)
        if is_known(refs):
            return task, refs
        led = alias_target(self._target.store, task.repo)
        if led is not None and led != task.repo and is_known(published := self._published_view.refs(led)):
            return task.under(led), published
        self._presence.expect(of=task.ordered)
        if task.resolved is not None or task.head is not None:
            return task, refs
        self._go_on()
        resolved = self._source.resolve(task.repo, task.revision)
        if not resolved.renamed:
            return replace(task, resolved=resolved), refs
        return task.under(resolved.current, resolved), self._published_view.refs(resolved.current)

    def _look(self, task: Task, refs: Refs) -> NoChange | Seen:
        self._go_on()
        frozen = self._gone_repos.frozen(task, refs)
        if frozen is not None:
            return frozen
        known = None if task.head is None else self._seen(task, refs, task.head)
        if isinstance(known, NoChange):
            return known
        try:
            resolved = task.resolved or self._source.resolve(task.repo, task.revision)
        except GONE as error:
            if not is_known(refs):
                raise
            return self._gone_repos.rule_on_absence(task, refs, error)
        return self._seen(task, refs, resolved)

    def compare(self, task: Task, seen: Seen) -> NoChange | Change:
        """List the commit and plan. The caller who will publish holds the repo's lock, so refs are read again.

        The upstream is asked again where somebody else has published since: what we saw may be older than that.
        Raises UpstreamError, StoreError, SelectionConflict, UnsafePath, Interrupted.
        """
        refs = read_refs(self._target.store, task.repo)
        if _is_stale(task, seen, refs):
            found = self._look(replace(task, resolved=None, head=None), refs)
            if isinstance(found, NoChange):
                return found
            seen = found
        return self._compare_now(task, refs, seen.resolved)

    def _compare_now(self, task: Task, refs: Refs, resolved: Resolved) -> NoChange | Change:
        self._refuse_rivals(task, refs, resolved)
        try:
            return self._unchanged(task, refs, resolved) or self._compare(task, refs, resolved)
        except Gated as error:
            if not is_known(refs):
                raise
            return self._gone_repos.rule_on_absence(task, refs, error)

    def _seen(self, task: Task, refs: Refs, resolved: Resolved) -> NoChange | Seen:
        """The upstream gives the repo. Unless it has turned it off or private, it is not gone any more."""
        turned = self._gone_repos.turned(task, refs, resolved)
        if turned is not None:
            return turned
        objection = _judge(task, resolved, whole=True).objection
        if objection is None:
            settled = self._unchanged(task, refs, resolved)
        else:
            settled = _stopped(resolved, objection, published=refs.commit_of(task.revision) is not None)
        return Seen(resolved, refs) if settled is None else replace(settled, edit=_found_again(refs))

    def _unchanged(self, task: Task, refs: Refs, resolved: Resolved) -> NoChange | None:
        digest = refs.root_of(task.revision)
        if self._anew or digest is None or refs.commit_of(task.revision) != resolved.commit:
            return None
        root = self._published_view.root(task.repo, task.revision, digest)
        if root is None or root.selection != task.job.selection:
            return None
        said = remarks(resolved), second_hand(resolved)
        return NoChange(RepoOutcome.UNCHANGED, resolved.commit, *said, root.files, root.size)

    def _compare(self, task: Task, refs: Refs, resolved: Resolved) -> NoChange | Change:
        doubted = self._doubted(task, refs, resolved)
        if doubted is not None:
            return doubted
        root = None if self._anew else self._root(refs, resolved.commit)
        if root is not None and root.selection == task.job.selection:
            return self._another_name(task, refs, resolved, Base(refs.snapshots[resolved.commit], root, {}))
        if resolved.terms.gated:
            with suppress(*NO_SIDE):  # then the files say whether we may have them
                self._source.authorize(task.repo)
        everything = self._list(task.repo, resolved.commit)
        desired = list(task.job.selection.filter(everything))
        expect_one_size(desired)
        judged = _judge(task, resolved, whole=len(desired) == len(everything))
        if judged.objection is not None:
            return _stopped(resolved, judged.objection, published=refs.commit_of(task.revision) is not None)
        base = None if self._anew else self._base(refs, task.revision)
        objection = self._objection(task, refs, base, desired, len(everything))
        if objection:
            return _guarded(resolved, objection)
        if not everything and base is None:  # nothing published to guard; even so no commit of a hub is without a file
            raise BadAnswer(f"{task.repo} at {resolved.commit}: the upstream lists no file")
        change = replace(
            self._change(resolved, judged.verdicts[0], base, desired), left=task.job.selection.left_out(everything)
        )
        if not _replaces(task, refs, base):
            return replace(change, plan=change.plan.beside())
        return replace(change, remark=self._way_back(task, resolved, base))

    def _doubted(self, task: Task, refs: Refs, resolved: Resolved) -> NoChange | None:
        """Held before anything is listed: what is told of the name is of another repo, or older than what is there."""
        stranger = self._stranger(task, refs, resolved)
        if stranger and refs.snapshots:
            return held(resolved.commit, stranger, STRANGER)
        if stranger:
            return NoChange(RepoOutcome.HELD, resolved.commit, f"{stranger}; what was published is withdrawn", STRANGER)
        age = self._doubt_of_age(task, refs, resolved)
        return held(resolved.commit, age, STALE) if age else None

    def _stranger(self, task: Task, refs: Refs, resolved: Resolved) -> str:
        """Why the upstream's repo is another one than the published, or the withdrawn, of its name."""
        told = Identity.of(resolved.described)
        if not told or not is_known(refs):
            return ""
        return task.job.guard.stranger(identity_of(self._target.store, refs, (DEFAULT_BRANCH, task.revision)), told)

    def _doubt_of_age(self, task: Task, refs: Refs, resolved: Resolved) -> str:
        """Why what another endpoint than the first tells of a name may be older than what is published.

        Only the first one's word moves a name back, or a person's; whether the first was silent or has no such thing
        makes no difference.
        """
        stead, published = resolved.stead, refs.commit_of(task.revision)
        if stead is None or published is None or published == resolved.commit or CommitId.matches(task.revision):
            return ""
        if task.job.guard.follows(published, resolved.commit):
            return ""
        age = self._age(task, refs, published, resolved)
        told = f"{stead.endpoint}, which is not the first of endpoints, has {task.revision} at {resolved.commit}, {age}"
        move = task.job.guard.move(published, resolved.commit)
        return age and f"{told}: if that is meant, add '{move}' to guard.accept of the job"

    def _age(self, task: Task, refs: Refs, published: CommitId, resolved: Resolved) -> str:
        """Why a commit may be older than the published one; empty when it comes after that, or has a later date.

        A call for its history, unless what is published says it.
        """
        root = self._root(refs, published)
        past = Past() if root is None else read_past(self._target.store, root)
        if resolved.commit in past.ids:
            return f"which is older than {published}"
        if self._may_be_given_up(task, refs, resolved.commit):
            return f"which was published before under another name, or given up for {published}"
        try:
            history = self._source.history(task.repo, resolved.commit)
            made = moment(history[0].date)
        except NO_SIDE:
            history, made = (), moment(str(resolved.described.get("lastModified")))
        later = made is not None and past.date is not None and made > past.date
        if later or published in {commit.id for commit in history}:
            return ""
        return f"and does not show that this is newer than {published}"

    def _may_be_given_up(self, task: Task, refs: Refs, commit: CommitId) -> bool:
        """Whether a commit is published and nothing says why but a name that has left it.

        One that a job pins by its id is there for that, and tells nothing of names.
        """
        if commit not in refs.snapshots or commit in {ref.target for ref in refs.refs}:
            return False
        pinning = (task.job, *owners(self._jobs, task.job.target, task.repo))  # whatever name led to it
        return not any(commit in job.revisions for job in pinning)

    def _way_back(self, task: Task, resolved: Resolved, base: Base | None) -> str:
        """What a report says of a name that goes back, which is to be seen: `base` is what it stands for now."""
        if base is None or base.root.commit == resolved.commit:  # of which other files are wanted now
            return ""
        back = resolved.commit in read_past(self._target.store, base.root).ids
        return f"{task.revision} goes back from {base.root.commit}, which is newer" if back else ""

    def _list(self, repo: Repo, commit: CommitId) -> list[RemoteFile]:
        files = []
        for file in self._source.list(repo, commit):
            self._go_on()
            files.append(file)
        return files

    def _change(self, resolved: Resolved, verdict: Verdict, base: Base | None, desired: Sequence[RemoteFile]) -> Change:
        current: Manifest = {} if base is None else base.manifest
        there = present(self._target, unknown(current, desired), self._go_on, self._mapper)
        made = plan(current, desired, there)
        expect_bytes(made.fetch)
        return Change(
            resolved=resolved,
            verdict=verdict,
            base=current,
            plan=made,
            present=there,
            known_documents=frozenset() if base is None else frozenset(base.root.documents),
            files=len(desired),
            size=sum(file.size for file in desired),
            relies_on=base,
        )

    def _another_name(self, task: Task, refs: Refs, resolved: Resolved, there: Base) -> NoChange | Change:
        """The snapshot of the commit is published: only a ref must move onto it."""
        if refs.commit_of(task.revision) in (None, resolved.commit):
            return _only_a_ref(resolved, there, {})
        files = read_manifest(self._target.store, there.root, self._mapper)
        base = self._base(refs, task.revision)
        objection = self._objection(task, refs, base, list(files.values()), len(files))
        if objection:
            return _guarded(resolved, objection)
        replaced = base if _replaces(task, refs, base) else None
        before = {} if replaced is None else replaced.manifest
        leaving = {path: file for path, file in before.items() if path not in files}
        return replace(_only_a_ref(resolved, there, leaving), remark=self._way_back(task, resolved, replaced))

    def _objection(
        self, task: Task, refs: Refs, base: Base | None, desired: Sequence[RemoteFile | MirroredFile], listed: int
    ) -> str:
        """The guard's: only what the same name stands for now is replaced, and only like is compared with like.

        A changed selection is the operator's own wish, unless the upstream lists nothing at all.
        """
        if base is None or not _replaces(task, refs, base):
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


def _found_again(refs: Refs) -> Edit | None:
    """The upstream gives it, so that it is not gone. The note of a withdrawn repo stays: it says which one it was."""
    return Edit.between(refs, refs.noting(None)) if refs.snapshots else None


def _is_stale(task: Task, seen: Seen, refs: Refs) -> bool:
    """Whether what was seen may be older than what is published: somebody published meanwhile, or since the listing."""
    if _said(refs, task.revision) != _said(seen.refs, task.revision):
        return True
    return seen.resolved is task.resolved and refs.commit_of(task.revision) not in (None, seen.resolved.commit)


def _said(refs: Refs, revision: str) -> tuple[CommitId | None, Gone | None]:
    return refs.commit_of(revision), refs.gone


def _replaces(task: Task, refs: Refs, base: Base | None) -> bool:
    """Whether the base is what the same name stands for now, so that nobody finds its files there any more."""
    return base is not None and base.digest == refs.root_of(task.revision)


def _judge(task: Task, resolved: Resolved, *, whole: bool) -> Judgement:
    if task.job.denied_by(task.repo) is not None:  # whatever name led to it
        return Judgement((Verdict(DENIED, Outcome.REFUSED, denials([task.job], task.repo)),))
    candidate = Candidate(task.repo, resolved.terms, whole=whole, named=task.job.spells_out(task.ordered))
    judged = judge_all(task.job.rules, candidate)
    if judged.objection is None or task.asked is None:
        return judged
    approved = judge_all(task.job.rules, replace(candidate, repo=task.asked))  # a person wrote what the job writes
    return judged if approved.objection else approved


def _guarded(resolved: Resolved, objection: str) -> NoChange:
    return held(resolved.commit, f"commit {resolved.commit}: {objection}", "guard")


def _stopped(resolved: Resolved, verdict: Verdict, *, published: bool) -> NoChange:
    if published:
        return held(resolved.commit, verdict.reason, verdict.code)
    outcome = RepoOutcome.HELD if verdict.outcome is Outcome.HELD else RepoOutcome.REFUSED
    return NoChange(outcome, resolved.commit, verdict.reason, verdict.code)


def _only_a_ref(resolved: Resolved, there: Base, leaving: Manifest) -> Change:
    return Change(
        resolved=resolved,
        verdict=there.root.verdict,
        base={},
        plan=Plan((), (), tuple(leaving.values())),
        present={},
        known_documents=frozenset(),
        root=there.digest,
        files=there.root.files,
        size=there.root.size,
        relies_on=there,
    )
