"""What may be published: rules judge a snapshot, each by itself, and the worst of their verdicts stands.

A rule knows nothing of the engine, and the engine nothing of what a rule judges by. See docs/design/decisions/0035.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

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

    A snapshot keeps `rule`, `outcome` and `reason`.
    """

    rule: str
    outcome: Outcome
    reason: str
    code: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", self.code or self.rule)

    @property
    def allowed(self) -> bool:
        """Whether the rule lets it be published."""
        return self.outcome is Outcome.ALLOWED


@dataclass(frozen=True, slots=True)
class Candidate:
    """A repo that might be published, as far as rules ask.

    `whole` says that every file of it would be mirrored, `named` that the job names it, rather than by a glob.
    """

    repo: Repo
    terms: Terms
    whole: bool
    named: bool


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
    """What every rule says: also after one that refuses, so that a person sees all that there is to do."""
    return Judgement(tuple(rule.judge(candidate) for rule in rules))


_WORSE = tuple(Outcome)
