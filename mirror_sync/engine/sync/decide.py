"""Looks at one revision of one repo, upstream and published, and decides what is to be done.

Nothing is put into a target; what is read there may be remembered on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from mirror_sync.domain.attested import UPSTREAM_ROOT
from mirror_sync.domain.content.manifest import expect_bytes
from mirror_sync.domain.content.refs import CLOSED, DEFAULT_BRANCH, PINNED, Refs
from mirror_sync.domain.content.selection import Sieve
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.content.tombstone import withdrawn_reason
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.job import Job, rival
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.outcome.report import WITHDRAWN, RepoOutcome
from mirror_sync.domain.policy.decisions import RuleKey
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.policy.rules import Judgement, Outcome, Verdict, judge_all
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import Base, Edit, Plan, Seen, Task, TaskResult, remarks, stopped, unconfirmed_code
from mirror_sync.engine.beside_prune import shards_beside_prunes
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.known_contents import present
from mirror_sync.engine.published import (
    Mapper,
    pinned_remark,
    read_listing,
    read_refs,
    read_root,
    shard_reader,
    why_taken_down,
)
from mirror_sync.engine.published_names import alias_target
from mirror_sync.engine.stages import Change, Stage
from mirror_sync.engine.sync.asked import AskedAgain, let_go_of
from mirror_sync.engine.sync.closed_repos import with_closed_mark
from mirror_sync.engine.sync.doubts import Doubts, way_back
from mirror_sync.engine.sync.gone_repos import GONE, GoneRepos, TokenCheck
from mirror_sync.engine.sync.judging import NO_SIDE, Judge, judge_of
from mirror_sync.engine.sync.published_view import PublishedView, RootFacts
from mirror_sync.engine.sync.unproved import Unproved
from mirror_sync.engine.vanished import Presence
from mirror_sync.errors import (
    BadAnswer,
    DocumentError,
    Gated,
    KeyMissing,
    ListedOtherwise,
    NewerFormat,
    PruneConflict,
    SelectionConflict,
)
from mirror_sync.ports.source import Source
from mirror_sync.ports.store import Store
from mirror_sync.scratch.file_table import FileTable

_LISTS = 3  # of one commit, when they break and go on otherwise


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides for the tasks of a run; `jobs` are those that may be rivals: all of the configuration, or
    at a worker's those that publish its repo.

    `go_on` raises Interrupted after a stop. `recall` are stages of others, which may know a commit before a byte of it
    is fetched. `rebuild`: nothing that is published of the commit is believed, and every blob is looked up. `wanted`:
    whether somebody has asked for a repo since it was let go of.
    """

    source: Source
    target: Target
    jobs: Sequence[Job]
    go_on: Callable[[], None]
    published_view: PublishedView
    presence: Presence
    judge: Judge
    gone_repos: GoneRepos
    recall: tuple[Stage, ...] = ()
    mapper: Mapper = map
    rebuild: bool = False
    wanted: Callable[[Task, datetime], bool] = lambda task, since: False

    @classmethod
    def of(
        cls, context: RunContext, source: Source, target: Target, jobs: Sequence[Job], mapper: Mapper = map
    ) -> Decider:
        """Who decides in a run."""
        gone_repos = GoneRepos(target, jobs, TokenCheck(source), context.clock)
        seen = PublishedView(target, context.clock), Presence(context, target)
        judge, recall = judge_of(context, source), context.stages.recall
        wanted = AskedAgain(context, target).since
        return cls(source, target, jobs, context.go_on, *seen, judge, gone_repos, recall, mapper, wanted=wanted)

    def at(self, context: RunContext, target: Target, jobs: Sequence[Job]) -> Decider:
        """The same with another context, target and jobs; what is asked once a run has been asked."""
        fresh = Decider.of(context, self.source, target, jobs, self.mapper)
        gone_repos = self.gone_repos.at(target, jobs)
        return replace(fresh, presence=self.presence, gone_repos=gone_repos, wanted=self.wanted)

    def check(self, task: Task) -> tuple[Task, Refs, TaskResult | Seen]:
        """The task under the id that its repo is published by, what is published, and what the check came to.

        One upstream call mostly: a result when nothing is to be done, else what `plan_change` needs. A second one asks
        again for a repo that has a new name, or, once a run, about our token when the repo is gone. Raises
        UpstreamError, StoreError and Interrupted; Vanished where nothing is found in a target that has lost all that
        was published there.
        """
        self.go_on()
        task, refs = self._named(task)
        checked = self._check(task, refs)
        if isinstance(checked, Seen) and not checked.refs.is_known:
            self.presence.expect()
        return task, refs, checked

    def _named(self, task: Task) -> tuple[Task, Refs]:
        """The task under the id that its repo is published by, or is to be (the upstream's own), and what is published.

        What is published under a name stays there: readers know it by it. Where nothing is, an alias is believed before
        the upstream, for which the name may stand for another repo by now. The call that asks is the one of `check`.
        DocumentError where an alias is damaged, unless the upstream itself leads to what is published.
        """
        refs = self.published_view.refs(task.repo)
        if refs.is_known:
            return task, refs
        aliased, damage = self._aliased(task.repo)
        if aliased is not None and aliased != task.repo and (published := self.published_view.refs(aliased)).is_known:
            return task.under(aliased), published
        self.presence.expect(of=task.requested)
        if task.resolved is not None or task.head is not None:
            named = task, refs
        elif (resolved := self.source.resolve(task.repo, task.revision)).renamed:
            named = task.under(resolved.canonical, resolved), self.published_view.refs(resolved.canonical)
        else:
            named = replace(task, resolved=resolved), refs
        if damage is not None and not named[1].is_known:
            raise damage
        return named

    def _aliased(self, repo: Repo) -> tuple[Repo | None, DocumentError | None]:
        """Where an alias leads, or why nobody can tell. StoreError."""
        try:
            return alias_target(self.target.store, repo), None
        except DocumentError as error:
            return None, error

    def _check(self, task: Task, refs: Refs) -> TaskResult | Seen:
        if refs.tombstone is not None:
            return taken_down(self.target.store, task.repo, refs.tombstone)
        if refs.gone is not None and refs.gone.code == LET_GO and not self.wanted(task, refs.gone.since):
            return let_go_of(refs.gone, task)
        frozen = self.gone_repos.frozen(task, refs)
        if frozen is not None:
            return frozen
        # a list may be older than what was closed
        head, listed = (None if one is None or _reopens(refs, one) else one for one in (task.head, task.resolved))
        by_head = None if head is None else self._compare_commit(task, refs, head)
        if isinstance(by_head, TaskResult):
            return by_head
        try:
            resolved = listed or self.source.resolve(task.repo, task.revision)
        except GONE as error:
            if not refs.is_known:
                raise
            return self.gone_repos.rule_on_absence(task, refs, error)
        return self._compare_commit(task, refs, resolved)

    def _compare_commit(self, task: Task, refs: Refs, resolved: Resolved) -> TaskResult | Seen:
        """The upstream gives the repo. Unless it has turned it off or private, it is not gone any more."""
        turned = self.gone_repos.turned(task, refs, resolved)
        if turned is not None:
            return self.with_closed_mark(task, refs, resolved, turned).with_source(resolved)
        judged = self.judge.at_check(task, refs, resolved)
        if judged.objection is None:
            ended = self._unchanged(task, refs, resolved)
        else:
            published = refs.commit_of(task.revision) is not None
            ended = stopped(resolved, judged, judged.objection, published=published)
        if ended is None:
            return Seen(resolved, refs)
        ended = replace(ended, edit=_without_absence(refs))
        return self.with_closed_mark(task, refs, resolved, ended).with_source(resolved)

    def with_closed_mark(self, task: Task, refs: Refs, resolved: Resolved, result: TaskResult) -> TaskResult:
        """The same with what refs.json has to say of who may read the repo: see closed_repos.py."""
        return with_closed_mark(self.published_view, task, refs, resolved, result)

    def _unchanged(self, task: Task, refs: Refs, resolved: Resolved) -> TaskResult | None:
        pinned = refs.pins(task.revision)
        name = resolved.commit if pinned else task.revision
        digest = refs.root_of(name)
        if self.rebuild or digest is None or refs.commit_of(name) != resolved.commit:
            return None
        root = self.published_view.root(task.repo, name, digest)
        if root is None or root.selection != task.job.selection or not root.is_from(resolved.provenance):
            return None
        remark, commit = remarks(resolved), resolved.commit
        shown, facts = commit, root
        if pinned:
            remark = "; ".join(filter(None, (remark, pinned_remark(self.target.store, task.repo, refs, commit))))
            shown, facts = self._kept_main(task, refs) or (commit, root)
        code = unconfirmed_code(resolved) or (PINNED if pinned else "")
        of = facts.files, facts.size
        return TaskResult(RepoOutcome.UNCHANGED, shown, remark, code, *of, assurance=facts.assurance)

    def _kept_main(self, task: Task, refs: Refs) -> tuple[CommitId, RootFacts] | None:
        """What a pinned main stands for, and what is known of that; None where it cannot be read."""
        commit, digest = refs.commit_of(task.revision), refs.root_of(task.revision)
        if commit is None or digest is None:
            return None
        facts = self.published_view.root(task.repo, task.revision, digest)
        return None if facts is None else (commit, facts)

    def plan_change(self, task: Task, seen: Seen) -> TaskResult | Change:
        """What would be published, and what has to be fetched for it. Who gets a change closes its listing.

        These are the first stages of a snapshot, which put nothing. One that is published already needs no more than
        resolve and reuse, and recall where a name is to move onto it. Raises UpstreamError, StoreError,
        SelectionConflict, UnsafePath, Interrupted.
        """
        change = Change(task, self.target.store, self.target.read_cache, seen.resolved, seen.refs)
        with ExitStack() as unless_planned:
            unless_planned.callback(change.listing.close)
            current = run_stages((self._resolve,), change)
            if isinstance(current, TaskResult):
                return current
            try:
                planned = run_stages((self._reuse,), current)
                if isinstance(planned, Change) and planned.root is None:
                    planned = run_stages((self._apply_rules, *self.recall, self._plan), planned)
                elif isinstance(planned, Change) and planned.moves:
                    planned = run_stages(self.recall, planned)
            except Gated as error:  # the upstream tells of the repo, and does not give it to us
                if not current.refs.is_known:
                    raise
                refused = self.gone_repos.rule_on_absence(task, current.refs, error)
                return refused.with_source(current.resolved)
            if isinstance(planned, Change):
                unless_planned.pop_all()
            return planned

    def _resolve(self, change: Change) -> TaskResult | Change:
        """The caller who will publish holds the repo's lock, so refs are read again.

        The upstream is asked again where somebody else has published since: what we saw may be older than that.
        """
        task, refs, resolved = change.task, read_refs(self.target.store, change.task.repo), change.resolved
        if refs.tombstone is not None:
            return taken_down(self.target.store, task.repo, refs.tombstone)
        if _is_stale(task, Seen(resolved, change.refs), refs):
            checked = self._check(replace(task, resolved=None, head=None), refs)
            if isinstance(checked, TaskResult):
                return checked
            resolved = checked.resolved
        self._refuse_rivals(task, refs, resolved)
        return replace(change, refs=refs, resolved=resolved)

    def _reuse(self, change: Change) -> TaskResult | Change:
        """What is unchanged or doubted ends here; a commit whose snapshot is published needs a name alone."""
        task, refs, resolved = change.task, change.refs, change.resolved
        ended = self._unchanged(task, refs, resolved) or self._doubts.doubted(task, refs, resolved)
        if ended is not None:
            return ended
        there = self._same_snapshot(task, refs, resolved)
        if there is None:
            return change
        return self._another_name(replace(change, candidate=self.judge.candidate(task, refs, resolved)), there)

    def _apply_rules(self, change: Change) -> Change:
        """Ask every rule of the job whether what is wanted of the commit may be published; listed is only what may."""
        task, resolved = change.task, change.resolved
        asked, early = self.judge.wholly(task, change.refs, resolved)
        if early.objection is not None:
            return replace(change, judgement=early)
        if resolved.terms.gated:
            with suppress(*NO_SIDE):  # then the files say whether we may have them
                self.source.authorize(task.repo)
        sieve, unproved = self._list(task, resolved.commit, change.listing, _LISTS)
        candidate = replace(asked, whole=sieve.lets_all_through)
        judged = judge_all((*task.job.rules, *task.job.later_rules), candidate)
        return replace(
            change,
            upstream_file_count=sieve.files,
            left=sieve.left_out,
            candidate=candidate,
            judgement=judged if unproved is None else unproved.joined(judged),
        )

    def _plan(self, change: Change) -> TaskResult | Change:
        """Compare what is wanted with what the same name stands for, or with what likely shares most, and guard it.

        To `rebuild`, that is compared for the guard alone, and none of its blobs is believed to be there. BadAnswer
        where the upstream lists no file and the name stands for nothing that is guarded.
        """
        task, refs, resolved, listing = change.task, change.refs, change.resolved, change.listing
        base = self._base(task, refs, listing)
        objection = self._objection(task, refs, base, listing, change.upstream_file_count)
        replaced = base if _replaces(task, refs, base) else None
        leaving = (0, 0) if replaced is None else listing.leaving
        if self.rebuild:
            listing.compare(())
        listing.settle()
        if objection:
            change = change.judged(_guarded(resolved, objection))
            if change.judgement.objection is not None:
                return stopped(resolved, change.judgement, change.judgement.objection, published=True)
        if not change.upstream_file_count and replaced is None:
            # a new name, or a damaged snapshot: no commit of a hub is without a file
            raise BadAnswer(f"{task.repo} at {resolved.commit}: the upstream lists no file")
        planned = self._planned(change, None if self.rebuild else base, leaving)
        if replaced is None:
            return planned
        return replace(planned, remark=way_back(self.target.store, task, resolved, replaced))

    def _planned(self, change: Change, base: Base | None, leaving: tuple[int, int]) -> Change:
        listing = change.listing
        for some in listing.lacking():
            numbers = {content: number for number, content in some}
            there = present(self.target, numbers, self.go_on, self.mapper)
            listing.found((numbers[content], digest) for content, digest in there.items())
        expect_bytes(file for _, file in listing.fetch_without_bytes())
        plan = Plan(*listing.to_fetch, *leaving)
        return replace(change, relies_on=base, plan=plan, files=listing.count, size=listing.size)

    def _list(self, task: Task, commit: CommitId, listing: FileTable, tries: int) -> tuple[Sieve, Unproved | None]:
        """Put what is wanted of a commit into the listing; all that it has went through the sieve."""
        sieve = Sieve(task.job.selection)
        unproved: Unproved | None = None
        try:
            for file in self.source.list(task.repo, commit):
                self.go_on()
                if not sieve.wants(file):
                    continue
                if file.unproved is None:
                    listing.add(file)
                    continue
                unproved = unproved or Unproved(self.source, task.repo, commit, self.go_on)
                listing.add(unproved.promised(file))
        except ListedOtherwise:
            if tries == 1:
                raise
            listing.empty()
            return self._list(task, commit, listing, tries - 1)
        return sieve, unproved

    @property
    def _doubts(self) -> Doubts:
        return Doubts(self.source, self.target.store, self.jobs, self.judge, self._root)

    def _same_snapshot(self, task: Task, refs: Refs, resolved: Resolved) -> Base | None:
        """What is published of the very commit, with the files that are wanted; None where it is to be made."""
        root = None if self.rebuild else self._root(refs, resolved.commit)
        if root is None or root.selection != task.job.selection:
            return None
        if resolved.provenance is not None and root.attachments.get(UPSTREAM_ROOT) != resolved.provenance:
            return None
        return Base(refs.snapshots[resolved.commit], root)

    def _another_name(self, change: Change, there: Base) -> TaskResult | Change:
        """The snapshot of the commit is published: a ref must move onto it, whatever its format."""
        task, refs, resolved = change.task, change.refs, change.resolved
        if refs.commit_of(task.revision) in (None, resolved.commit):
            return _only_a_ref(change, there, (0, 0))
        listing = change.listing
        for entry in read_listing(self.target.store, there.root, self.mapper):
            listing.add(entry.file.promised)
        base = self._base(task, refs, listing)
        objection = self._objection(task, refs, base, listing, listing.count)
        if objection:
            assert change.candidate is not None  # noqa: S101  for the type checker: `_reuse` has asked
            guarded = change.candidate.settled(_guarded(resolved, objection))
            if not guarded.allowed:
                return stopped(resolved, Judgement((guarded,)), guarded, published=True)
        replaced = base if _replaces(task, refs, base) else None
        only = _only_a_ref(change, there, (0, 0) if replaced is None else listing.leaving)
        back = way_back(self.target.store, task, resolved, replaced)
        return replace(only, remark="; ".join(filter(None, (back, only.remark))))

    def _objection(self, task: Task, refs: Refs, base: Base | None, listing: FileTable, listed: int) -> str:
        """The guard's: only what the same name stands for now is replaced, and only like is compared with like.

        A changed selection is the operator's own wish, unless the upstream lists nothing at all. Where the listing of
        what is replaced cannot be read, its root still counts its files: at least those that are too few are removed.
        """
        known = base is not None and _replaces(task, refs, base)
        root = base.root if base is not None and known else self._root(refs, task.revision)
        if root is None or (root.selection != task.job.selection and listed):
            return ""
        if known:
            return task.job.guard.objection(listing.base_count, lambda: listing.removed, listed=listed)
        return task.job.guard.objection(root.files, lambda: max(0, root.files - listing.count), listed=listed)

    def _root(self, refs: Refs, revision: str) -> Root | None:
        """None when it is not published, or damaged: then it is written again. NewerFormat, which is neither."""
        digest = refs.root_of(revision)
        try:
            return None if digest is None else read_root(self.target.store, digest)
        except NewerFormat:
            raise
        except (KeyMissing, DocumentError):
            return None

    def _refuse_rivals(self, task: Task, refs: Refs, resolved: Resolved) -> None:
        other = rival(task.job, task.repo, {*refs.names_of(resolved.commit), task.revision}, self.jobs)
        if other is not None:
            raise SelectionConflict(
                f"jobs {task.job.name} ({task.job.selection}) and {other.name} ({other.selection}) want different "
                f"files of {task.repo} at {resolved.commit} on one target: give them the same include and exclude"
            )

    def _base(self, task: Task, refs: Refs, listing: FileTable) -> Base | None:
        """Compare with a snapshot: of the same name, else any other of the repo, which likely shares most.

        One that cannot be read to its end is none.
        """
        for name in (task.revision, DEFAULT_BRANCH, *reversed(refs.snapshots)):
            root, digest = self._root(refs, name), refs.root_of(name)
            try:
                if root is not None and digest is not None:
                    shards = shards_beside_prunes(shard_reader(self.target.store, self.mapper), task.repo)
                    listing.compare_shards(root.shards, shards)
                    return Base(digest, root)
            except (PruneConflict, DocumentError):
                continue
        listing.compare(())
        return None


def run_stages(stages: Iterable[Stage], change: Change) -> Change | TaskResult:
    """One stage after the other, until one ends it or a verdict objects. Raises what the stages raise."""
    for stage in stages:
        after = stage(change)
        if isinstance(after, TaskResult):
            return after.with_source(change.resolved)
        change, objection = after, after.judgement.objection
        if objection is not None:
            published = change.refs.commit_of(change.task.revision) is not None
            ended = stopped(change.resolved, change.judgement, objection, published=published)
            return ended.with_source(change.resolved)
    return change


def taken_down(store: Store, repo: Repo, tombstone: Sha256) -> TaskResult:
    """No job brings back what a person has taken down, whatever a glob names and an upstream has."""
    reason = withdrawn_reason(why_taken_down(store, tombstone), repo)
    return TaskResult(RepoOutcome.HELD, None, reason, WITHDRAWN)


def _reopens(refs: Refs, resolved: Resolved) -> bool:
    """Whether an answer would open what was closed."""
    return CLOSED in refs.attachments and not (resolved.terms.gated or resolved.terms.private)


def _without_absence(refs: Refs) -> Edit | None:
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


def _guarded(resolved: Resolved, objection: str) -> Verdict:
    return Verdict(RuleKey.GUARD, Outcome.HELD, f"commit {resolved.commit}: {objection}")


def _only_a_ref(change: Change, there: Base, leaving: tuple[int, int]) -> Change:
    return replace(
        change,
        judgement=Judgement(there.root.verdicts),
        plan=Plan(0, 0, *leaving),
        root=there.digest,
        files=there.root.files,
        size=there.root.size,
        relies_on=there,
        committed=there.root.last.get("date", ""),
    )
