"""A repo that its upstream no longer gives, of which something is published: gathers the facts and lets domain rule."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.job.job import Job, agreed_on_gone
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.policy.gone import (
    DISABLED,
    PRIVATE,
    Cause,
    Gone,
    OnGone,
    TokenStatus,
    frozen_reason,
    is_certain,
    rule,
)
from mirror_sync.domain.work import Edit, Task, TaskResult, held
from mirror_sync.engine.context import Target
from mirror_sync.engine.published import identity_of, read_infos
from mirror_sync.errors import Disabled, Gated, MirrorError, NotFoundOrPrivate, NotSeen
from mirror_sync.ports.source import Catalogue

GONE = (NotFoundOrPrivate, Gated, Disabled)


class TokenCheck:
    """Asks an upstream about our token, once a run and only when the answer matters. Safe for many threads."""

    def __init__(self, source: Catalogue) -> None:
        self._source = source
        self._known: TokenStatus | None = None
        self._lock = threading.Lock()

    def standing(self) -> TokenStatus:
        """Raises TokenRejected and other UpstreamErrors: then nothing that this token was told means anything."""
        with self._lock:
            if self._known is None:
                self._known = self._source.prove()
            return self._known


class GoneRepos:
    """Decides about repos that are gone. Reads the target, asks about the token, writes nothing."""

    def __init__(
        self, target: Target, jobs: Sequence[Job], token_check: TokenCheck, now: Callable[[], datetime]
    ) -> None:
        self._target, self._jobs, self._token_check, self._now = target, jobs, token_check, now

    def at(self, target: Target, jobs: Sequence[Job]) -> GoneRepos:
        """The same for another target and other jobs; the token is not asked about again."""
        return GoneRepos(target, jobs, self._token_check, self._now)

    def frozen(self, task: Task, refs: Refs) -> TaskResult | None:
        """The answer for a repo that is not asked for again."""
        if refs.gone is None or not refs.snapshots or self._wish(task) is not OnGone.FREEZE:
            return None
        return TaskResult(RepoOutcome.HELD, refs.commit_of(task.revision), frozen_reason(refs.gone), refs.gone.code)

    def rule_on_absence(self, task: Task, refs: Refs, error: MirrorError) -> TaskResult:
        """What follows from a refusal of the upstream; `refs` name something, or remember that they did."""
        if isinstance(error, NotSeen):
            return self._rule(task, refs, error.code, error.with_doubt, seen=False)
        return self._rule(task, refs, error.code, str(error))

    def turned(self, task: Task, refs: Refs, resolved: Resolved) -> TaskResult | None:
        """What follows where the upstream gives a repo that it has switched off, or made private."""
        if not refs.is_known:
            return None
        if resolved.terms.disabled:
            code, reason = DISABLED, "disabled: the upstream has switched the repo off"
        elif resolved.terms.private and self._was_public(task, refs):
            code, reason = PRIVATE, "private: the upstream no longer shows the repo to everybody"
        else:
            return None
        if resolved.fallback is not None:  # the first endpoint's word alone un-publishes
            return held(refs.commit_of(task.revision), f"{reason}, says {resolved.fallback.endpoint}", code)
        return self._rule(task, refs, code, reason)

    def _rule(self, task: Task, refs: Refs, code: str, reason: str, *, seen: bool = True) -> TaskResult:
        """Not `seen`: what was proved a moment ago says nothing of a disk that is off now, nor the other way round."""
        plain = is_certain(code, TokenStatus.UNPROVEN, was_open=False)
        standing = TokenStatus.UNPROVEN if plain or not seen else self._token_check.standing()
        was_open = standing is TokenStatus.ANONYMOUS and self._was_open(task, refs)
        cause = Cause(code, reason, is_certain(code, standing, was_open=was_open))
        if not refs.snapshots:
            return TaskResult(RepoOutcome.HELD, None, f"{reason}; what was published is withdrawn", code)
        ruling = rule(self._wish(task), cause, refs.gone, self._now())
        after = self._withdrawn(task, refs, ruling.note) if ruling.withdraw else refs.noting(ruling.note)
        commit = None if ruling.withdraw else refs.commit_of(task.revision)
        return TaskResult(RepoOutcome.HELD, commit, ruling.reason, code, edit=Edit.between(refs, after))

    def _withdrawn(self, task: Task, refs: Refs, note: Gone | None) -> Refs:
        """The note says which repo it was: from now on nothing else here does, and the name is anybody's."""
        identity = identity_of(self._target.store, refs, (DEFAULT_BRANCH, task.revision))
        return refs.withdrawn(None if note is None else note.of(identity))

    def _wish(self, task: Task) -> OnGone:
        return agreed_on_gone((task.job, *self._jobs), self._target.name, task.requested)

    def _was_public(self, task: Task, refs: Refs) -> bool:
        """Also when that snapshot is withdrawn already for this very reason: else it would come back."""
        withdrawn = refs.gone is not None and refs.gone.code == PRIVATE
        return withdrawn or self._published_info(task, refs).get("private") is False

    def _was_open(self, task: Task, refs: Refs) -> bool:
        info = self._published_info(task, refs)
        return info.get("private") is False and info.get("gated") is False

    def _published_info(self, task: Task, refs: Refs) -> dict[str, Any]:
        """The Hub's words about the repo when it was published; empty when they cannot be read."""
        return next(read_infos(self._target.store, refs, (task.revision, DEFAULT_BRANCH)), {})
