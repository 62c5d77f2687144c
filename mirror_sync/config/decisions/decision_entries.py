"""The shape of decisions.yaml: what people have decided about repos and commits."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from mirror_sync.config.findings import quoted
from mirror_sync.config.keys.policy_entries import PolicyGlob
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, RuleKey

ANY = "any"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def commit_of(text: str) -> CommitId | None:
    """A commit by its whole id; None for any."""
    if text == ANY:
        return None
    if not CommitId.matches(text):
        raise ValueError(f"{quoted(text)} is no commit; write its whole id, 40 digits of 0-9 and a-f, or any")
    return CommitId(text)


def end_of(text: str) -> datetime:
    """The first moment after a day, by UTC; or a time with its zone."""
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(0), UTC) + timedelta(days=1)
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{quoted(text)} is no day; write 2027-01-31, which is the last one, or 2027-01-31T12:00:00Z")


CommitOrAny = Annotated[CommitId | None, scalars.from_text(commit_of), scalars.TEXT]
Until = Annotated[datetime | None, scalars.from_text(end_of), scalars.TEXT]


class DecisionEntry(Keys):
    """One decision of one person."""

    repo: PolicyGlob = Field(description="A repo; one that is rejected may be a glob.", examples=["meta-llama/Llama-3"])
    commit: CommitOrAny = Field(description="The commit that is meant, or any.", examples=["any"])
    rule: RuleKey = Field(description="The rule whose hold it answers.", examples=["restricted"])
    outcome: DecisionOutcome = Field(description="What was decided.", examples=["approve"])
    by: scalars.Sentence = Field(description="Who decided.", examples=["Jane Doe, legal"])
    why: scalars.Sentence = Field(description="Why; it is kept with every snapshot.", examples=["terms read"])
    ticket: scalars.Sentence | None = Field(default=None, description="Where it is written.", examples=["LEGAL-42"])
    until: Until = Field(default=None, description="The last day on which it counts.", examples=["2027-01-31"])

    @model_validator(mode="after")
    def _of_one_repo(self) -> Self:
        if self.outcome is DecisionOutcome.APPROVE and self.repo.is_glob:
            raise ValueError(f"approves {quoted(self.repo)}, a glob; an approval names one repo, like owner/name")
        return self

    def decision(self, place: str) -> Decision:
        """The same, as rules go by it; `place` is where it stands."""
        told = self.ticket or "", self.until
        return Decision(self.repo, self.commit, self.rule, self.outcome, self.by, self.why, *told, place=place)


class DecisionsEntry(Keys):
    """All of decisions.yaml."""

    version: scalars.Version = Field(default=1, description="The version of this format.", examples=[1])
    decisions: tuple[DecisionEntry, ...] = Field(default=(), description="What was decided, in any order.")
