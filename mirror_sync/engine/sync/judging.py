"""Asks the rules of a job about a commit, and the upstream for what they want to know; decisions of people count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.freshness import LastCheck, moment
from mirror_sync.domain.job.job import denials
from mirror_sync.domain.policy.decisions import Matter
from mirror_sync.domain.policy.house_rules import MOST_BASES, base_repo, bases_of
from mirror_sync.domain.policy.rules import BaseModel, Candidate, Judgement, Outcome, Verdict, judge_all
from mirror_sync.domain.policy.terms import Terms
from mirror_sync.domain.subject import Subject
from mirror_sync.domain.work import DENIED, Task
from mirror_sync.engine.context import RunContext
from mirror_sync.errors import Disabled, Gated, NoSuchCall, NotFoundOrPrivate, RevisionNotFound
from mirror_sync.ports.source import Catalogue

NO_SIDE = (NoSuchCall, NotFoundOrPrivate, RevisionNotFound)  # of a call beside a repo that is there: it is not told


@dataclass(frozen=True, slots=True)
class Judge:
    """`last_check` gives the last check that found a subject as the upstream had it then."""

    source: Catalogue
    now: Callable[[], datetime]
    last_check: Callable[[Subject], LastCheck | None]

    def at_check(self, task: Task, refs: Refs, resolved: Resolved) -> Judgement:
        """By what a check tells: no call is made."""
        return _denied(task) or judge_all(task.job.rules, self.candidate(task, refs, resolved))

    def wholly(self, task: Task, refs: Refs, resolved: Resolved) -> tuple[Candidate, Judgement]:
        """What the rules were asked about, and what they say: all of them, those too that want a call or two.

        These calls are made where the other rules allow it. Raises UpstreamError.
        """
        candidate = self.candidate(task, refs, resolved)
        judged = _denied(task) or judge_all(task.job.rules, candidate)
        if judged.objection is not None or not task.job.later_rules:
            return candidate, judged
        house = task.job.house
        if house.cooldown and not candidate.published:
            candidate = replace(candidate, made=self._made(task, resolved))
        if house.inherit_base_model and not candidate.published:
            candidate = replace(candidate, bases=tuple(self._bases(resolved)))
        return candidate, judge_all((*task.job.rules, *task.job.later_rules), candidate)

    def candidate(self, task: Task, refs: Refs, resolved: Resolved, *, whole: bool = True) -> Candidate:
        """What the rules are asked about. A person wrote what the job writes: a repo goes by both names."""
        spelled = tuple(dict.fromkeys((task.repo, task.requested)))
        return Candidate(
            task.repo,
            resolved.terms,
            whole=whole,
            named=task.job.spells_out(task.requested),
            about=Matter(
                spelled,
                names=(resolved.queried, resolved.canonical),
                commit=resolved.commit,
                published=resolved.commit in refs.snapshots,
                now=self.now(),
            ),
            decisions=task.job.decisions,
        )

    def _made(self, task: Task, resolved: Resolved) -> datetime | None:
        """Since when the upstream may have had the commit, None where nobody tells.

        That is its date; whoever makes a commit dates it, so that a check which did not find it yet counts where it was
        later.
        """
        try:
            history = self.source.history(resolved.queried, resolved.commit)
            made = moment(history[0].date) if history else None
        except NO_SIDE:
            made = moment(str(resolved.described.get("lastModified")))
        last = self.last_check(task.subject)
        seen = None if last is None or last.commit == resolved.commit else moment(last.at)
        return made if made is None or seen is None else max(made, seen)

    def _bases(self, resolved: Resolved) -> Iterator[BaseModel]:
        """One call for each base model, none where there are too many."""
        named = bases_of(resolved.described.get("cardData"))
        for name in named:
            base = base_repo(name) if len(named) <= MOST_BASES else None
            if base is None:
                yield BaseModel(name, Terms(unread="it is no repo of a hub"))
                continue
            try:
                yield BaseModel(name, self.source.resolve(base, DEFAULT_BRANCH).terms)
            except (*NO_SIDE, Gated, Disabled) as error:
                yield BaseModel(name, Terms(unread=str(error)))


def _denied(task: Task) -> Judgement | None:
    """Where the job itself denies the repo, whatever name led to it."""
    if task.job.denied_by(task.repo) is None:
        return None
    return Judgement((Verdict(DENIED, Outcome.REFUSED, denials([task.job], task.repo)),))


def judge_of(context: RunContext, source: Catalogue) -> Judge:
    """Who judges in a run."""
    return Judge(source, context.clock, context.last_check)
