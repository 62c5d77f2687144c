"""What may be published: rules judge a snapshot, each by itself, and the worst of their verdicts stands.

A rule knows nothing of the engine, and the engine nothing of what a rule judges by. See docs/design/decisions/0035.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.policy.decisions import REJECTED, Decision, Decisions, Matter, key_of
from mirror_sync.domain.policy.terms import Terms
from mirror_sync.domain.repo import Repo


class Outcome(StrEnum):
    """What a rule says of a snapshot, the mildest first."""

    ALLOWED = "allowed"
    HELD = "held"  # waits for a person
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule's answer, with a reason that a person can act on; `code` is that reason in a word, else the rule's name.

    A snapshot keeps `rule`, `outcome` and `reason`. `pinned`: only a decision on the very commit lifts it.
    """

    rule: str
    outcome: Outcome
    reason: str
    code: str = field(default="", compare=False)
    pinned: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", self.code or self.rule)

    @property
    def allowed(self) -> bool:
        """Whether the rule lets it be published."""
        return self.outcome is Outcome.ALLOWED


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What a repo was made of, as its card names it; `terms.unread` says why its licence is not known."""

    name: str
    terms: Terms


@dataclass(frozen=True, slots=True)
class Candidate:
    """A repo that might be published, as far as rules ask.

    `whole` says that every file of it would be mirrored, `named` that the job names it, rather than by a glob.
    `about` says of which commit, and by which names; `decisions` are those of people. What has to be asked of the
    upstream is None until it was: `made`, since when it may have had the commit, and `bases`.
    """

    repo: Repo
    terms: Terms
    whole: bool
    named: bool
    about: Matter | None = None
    decisions: Decisions = Decisions()
    made: datetime | None = None
    bases: Sequence[BaseModel] | None = None

    @property
    def matter(self) -> Matter:
        """What decisions are asked about."""
        return self.about or Matter((self.repo,))

    @property
    def commit(self) -> CommitId | None:
        """None where only the repo is known."""
        return self.matter.commit

    @property
    def published(self) -> bool:
        """Whether the commit is, under any name."""
        return self.matter.published

    def approval(self, verdict: Verdict) -> Decision | None:
        """The decision that lifts a hold; None for none, and for what is no hold."""
        key = key_of(verdict.code)
        if key is None or verdict.outcome is not Outcome.HELD:
            return None
        return self.decisions.approval(key, self.matter, pinned=verdict.pinned)

    def settled(self, verdict: Verdict) -> Verdict:
        """The same verdict, or the person's who has approved what it holds."""
        found = self.approval(verdict)
        if found is None:
            return verdict
        return Verdict(verdict.rule, Outcome.ALLOWED, f"approved by {found.said} ({verdict.reason})")


class Rule(Protocol):
    """Judges by what is known before any file is fetched; what needs their bytes is a stage (engine/stages.py)."""

    def judge(self, candidate: Candidate) -> Verdict:
        """Decide for a repo. Pure, and raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdicts of all rules, in their order."""

    verdicts: tuple[Verdict, ...] = ()

    @property
    def objection(self) -> Verdict | None:
        """The worst verdict, of several alike the first; None where every rule allows."""
        worst = max(self.verdicts, key=lambda verdict: _WORSE.index(verdict.outcome), default=None)
        return None if worst is None or worst.allowed else worst

    @property
    def outcome(self) -> Outcome:
        """The worst of all outcomes."""
        return Outcome.ALLOWED if self.objection is None else self.objection.outcome

    def joined(self, verdict: Verdict) -> Judgement:
        """The same with one more verdict."""
        return Judgement((*self.verdicts, verdict))


def judge_all(rules: Iterable[Rule], candidate: Candidate) -> Judgement:
    """What every rule says, and people: also after one that refuses, so that a person sees all that there is to do.

    What is approved is allowed by the rule that held it, and by no other; what is rejected is refused.
    """
    verdicts = tuple(candidate.settled(rule.judge(candidate)) for rule in rules)
    found = candidate.decisions.rejection(candidate.matter)
    if found is None:
        return Judgement(verdicts)
    return Judgement((*verdicts, Verdict(found.rule, Outcome.REFUSED, f"rejected by {found.said}", REJECTED)))


_WORSE = tuple(Outcome)
