"""Whether what an upstream tells of a name is of another repo, or older than what is published: then it is held.

Nothing of the commit has been listed yet. What a report says of a name that goes back all the same is here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.job.job import Job, owners
from mirror_sync.domain.outcome.report import STALE, RepoOutcome
from mirror_sync.domain.policy.decisions import STRANGER, RuleKey
from mirror_sync.domain.policy.identity import Identity
from mirror_sync.domain.policy.rules import Outcome, Verdict
from mirror_sync.domain.work import Base, Task, TaskResult, held
from mirror_sync.engine.published import Past, identity_of, read_past
from mirror_sync.engine.sync.judging import NO_SIDE, Judge
from mirror_sync.ports.source import Catalogue
from mirror_sync.ports.store import Store


@dataclass(frozen=True, slots=True)
class Doubts:
    """`root` reads what is published under a revision; None where nothing readable is."""

    source: Catalogue
    store: Store
    jobs: Sequence[Job]
    judge: Judge
    root: Callable[[Refs, str], Root | None]

    def doubted(self, task: Task, refs: Refs, resolved: Resolved) -> TaskResult | None:
        """Held before anything is listed: what is told of the name is of another repo, or older than what is there."""
        stranger = self._stranger(task, refs, resolved)
        verdict = Verdict(RuleKey.GUARD, Outcome.HELD, stranger, STRANGER, pinned=True)
        if stranger and self.judge.candidate(task, refs, resolved).approval(verdict) is not None:
            stranger = ""
        if stranger and refs.snapshots:
            return held(resolved.commit, stranger, STRANGER, (verdict,))
        if stranger:
            reason = f"{stranger}; what was published is withdrawn"
            return TaskResult(RepoOutcome.HELD, resolved.commit, reason, STRANGER, verdicts=(verdict,))
        age = self._doubt_of_age(task, refs, resolved)
        doubt = Verdict(RuleKey.GUARD, Outcome.HELD, age, STALE)
        return held(resolved.commit, age, STALE, (doubt,)) if age else None

    def _stranger(self, task: Task, refs: Refs, resolved: Resolved) -> str:
        """Why the upstream's repo is another one than the published, or the withdrawn, of its name."""
        identity = Identity.of(resolved.described)
        if not identity or not refs.is_known:
            return ""
        return task.job.guard.stranger(identity_of(self.store, refs, (DEFAULT_BRANCH, task.revision)), identity)

    def _doubt_of_age(self, task: Task, refs: Refs, resolved: Resolved) -> str:
        """Why what another endpoint than the first tells of a name may be older than what is published.

        Only the first one's word moves a name back, or a person's; whether the first was silent or has no such thing
        makes no difference.
        """
        fallback, published = resolved.fallback, refs.commit_of(task.revision)
        if fallback is None or published is None or published == resolved.commit or CommitId.matches(task.revision):
            return ""
        if task.job.guard.follows(published, resolved.commit):
            return ""
        age = self._age(task, refs, published, resolved)
        answer = (
            f"{fallback.endpoint}, which is not the first of endpoints, has {task.revision} at {resolved.commit}, {age}"
        )
        move = task.job.guard.move(published, resolved.commit)
        return age and f"{answer}: if that is meant, add '{move}' to guard.accept of the job"

    def _age(self, task: Task, refs: Refs, published: CommitId, resolved: Resolved) -> str:
        """Why a commit may be older than the published one; empty when it comes after that, or has a later date.

        A call for its history, unless what is published says it.
        """
        root = self.root(refs, published)
        past = Past() if root is None else read_past(self.store, root)
        if resolved.commit in past.ids:
            return f"which is older than {published}"
        if self._may_be_given_up(task, refs, resolved.commit):
            return f"which was published before under another name, or given up for {published}"
        try:
            history = self.source.history(task.repo, resolved.commit)
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
        if commit not in refs.snapshots or commit in refs.named:
            return False
        pinning = (task.job, *owners(self.jobs, task.job.target, task.repo))  # whatever name led to it
        return not any(commit in job.revisions for job in pinning)


def way_back(store: Store, task: Task, resolved: Resolved, base: Base | None) -> str:
    """What a report says of a name that goes back, which is to be seen: `base` is what it stands for now."""
    if base is None or base.root.commit == resolved.commit:  # of which other files are wanted now
        return ""
    back = resolved.commit in read_past(store, base.root).ids
    return f"{task.revision} goes back from {base.root.commit}, which is newer" if back else ""
