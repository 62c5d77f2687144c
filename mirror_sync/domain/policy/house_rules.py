"""Rules that hold for all jobs, beside the licences: what is never mirrored, what waits for a person, what waits for
time, and what a model takes over from the one that it was made of.

Each is a list or a figure of `policy` in jobs.yaml; a job may add to them, and take nothing away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from mirror_sync.domain.bounds import short
from mirror_sync.domain.policy.decisions import RuleKey, matches_in_any_case
from mirror_sync.domain.policy.rules import Candidate, Outcome, Rule, Verdict
from mirror_sync.domain.policy.terms import Terms
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.domain.times import iso_utc, spoken_duration

MOST_BASES = 8  # base models that are asked for: a merge names a few
_PUBLISHED = "the commit is published already"


@dataclass(frozen=True, slots=True)
class Restriction:
    """Repos that wait for a decision; `pin`: each commit of them for its own."""

    pattern: RepoPattern
    pin: bool = False


@dataclass(frozen=True, slots=True)
class Forbidden:
    """What is never mirrored, whatever else says: by any name that leads to it, in whatever letters."""

    patterns: tuple[RepoPattern, ...]

    def judge(self, candidate: Candidate) -> Verdict:
        """Refused, or not: nothing holds what is forbidden, and no decision lifts it."""
        for pattern in self.patterns:
            if any(matches_in_any_case(pattern, name) for name in candidate.matter.all_names):
                return Verdict(RuleKey.FORBIDDEN, Outcome.REFUSED, f"policy.forbidden has {pattern}")
        return Verdict(RuleKey.FORBIDDEN, Outcome.ALLOWED, "nothing of policy.forbidden names it")


@dataclass(frozen=True, slots=True)
class Restricted:
    """What waits until a decision names the repo, or the commit."""

    entries: tuple[Restriction, ...]

    def judge(self, candidate: Candidate) -> Verdict:
        """Held where an entry names it; of several, one that pins counts. What is published stays so."""
        names = candidate.matter.all_names
        found = [one for one in self.entries if any(matches_in_any_case(one.pattern, name) for name in names)]
        if not found:
            return Verdict(RuleKey.RESTRICTED, Outcome.ALLOWED, "nothing of policy.restricted names it")
        if candidate.published:
            return Verdict(RuleKey.RESTRICTED, Outcome.ALLOWED, _PUBLISHED)
        first = next((one for one in found if one.pin), found[0])
        waits = "each commit of it waits for a decision" if first.pin else "it waits for a decision"
        reason = f"policy.restricted has {first.pattern}: {waits}"
        return Verdict(RuleKey.RESTRICTED, Outcome.HELD, reason, pinned=first.pin)


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A new commit waits until it is that old, by the date that its upstream tells."""

    length: timedelta

    def judge(self, candidate: Candidate) -> Verdict:
        """Held until it is old enough, and where nobody tells how old it is."""
        if candidate.published:
            return Verdict(RuleKey.COOLDOWN, Outcome.ALLOWED, _PUBLISHED)
        made, now, spoken = candidate.made, candidate.matter.now, spoken_duration(self.length)
        if made is None or now is None:
            reason = f"policy.cooldown is {spoken}, and nobody tells when the commit was made"
            return Verdict(RuleKey.COOLDOWN, Outcome.HELD, reason)
        ready = made + self.length
        if now < ready:
            held = f"policy.cooldown ({spoken}) holds it until {iso_utc(ready)}"
            return Verdict(RuleKey.COOLDOWN, Outcome.HELD, f"the commit counts from {iso_utc(made)}: {held}")
        return Verdict(RuleKey.COOLDOWN, Outcome.ALLOWED, f"it counts from {iso_utc(made)}, more than {spoken} ago")


class LicenceOf(Protocol):
    """What judges the licence of a repo that is not mirrored by it."""

    def judge_base(self, base: Repo | None, terms: Terms, candidate: Candidate) -> Verdict:
        """Of the licence alone, as for a whole copy."""
        ...


@dataclass(frozen=True, slots=True)
class InheritedLicence:
    """A model waits where the licence of one that it was made of is not allowed here."""

    licences: LicenceOf

    def judge(self, candidate: Candidate) -> Verdict:
        """Held for the first base model whose licence is not allowed, or not known."""
        if candidate.published:
            return Verdict(RuleKey.BASE_MODEL, Outcome.ALLOWED, _PUBLISHED)
        if candidate.bases is None:
            reason = "nobody has asked which base model it was made of"
            return Verdict(RuleKey.BASE_MODEL, Outcome.HELD, reason)
        if len(candidate.bases) > MOST_BASES:
            reason = f"its card names {len(candidate.bases)} base models, and no more than {MOST_BASES} are asked for"
            return Verdict(RuleKey.BASE_MODEL, Outcome.HELD, reason)
        for base in candidate.bases:
            found = self.licences.judge_base(base_repo(base.name), base.terms, candidate)
            if not found.allowed:
                reason = f"of its base model {short(base.name, 120)}: {found.reason}"
                return Verdict(RuleKey.BASE_MODEL, Outcome.HELD, reason)
        named = ", ".join(short(base.name, 120) for base in candidate.bases)
        told = f"the licence of base model {named} is allowed" if named else "its card names no base model"
        return Verdict(RuleKey.BASE_MODEL, Outcome.ALLOWED, told)


def base_repo(name: str) -> Repo | None:
    """The model that a card means; None for what is no id."""
    try:
        return Repo(Kind.MODEL, name)
    except ValueError:
        return None


def bases_of(card: object) -> tuple[str, ...]:
    """The base models that a card's metadata names, whatever shape they come in; each once."""
    said = card.get("base_model") if isinstance(card, dict) else None
    listed = said if isinstance(said, list) else [said]
    return tuple(dict.fromkeys(str(one).strip() for one in listed if one is not None and str(one).strip()))


@dataclass(frozen=True, slots=True)
class HouseRules:
    """What `policy` of jobs.yaml says, with what a job adds."""

    forbidden: tuple[RepoPattern, ...] = ()
    restricted: tuple[Restriction, ...] = ()
    cooldown: timedelta = timedelta(0)
    inherit_base_model: bool = False

    def tightened(self, more: HouseRules) -> HouseRules:
        """Both: what either forbids, restricts or holds back."""
        return HouseRules(
            tuple(dict.fromkeys((*self.forbidden, *more.forbidden))),
            tuple(dict.fromkeys((*self.restricted, *more.restricted))),
            max(self.cooldown, more.cooldown),
            self.inherit_base_model or more.inherit_base_model,
        )

    def around(self, licences: Rule) -> tuple[Rule, ...]:
        """The rules that a check can judge by, with that of licences at its place; those that are off are left out."""
        first = (Forbidden(self.forbidden),) if self.forbidden else ()
        then = (Restricted(self.restricted),) if self.restricted else ()
        return (*first, licences, *then)

    def later(self, licences: LicenceOf) -> tuple[Rule, ...]:
        """The rules for which the upstream has to be asked first."""
        waits = (Cooldown(self.cooldown),) if self.cooldown else ()
        inherits = (InheritedLicence(licences),) if self.inherit_base_model else ()
        return (*waits, *inherits)
