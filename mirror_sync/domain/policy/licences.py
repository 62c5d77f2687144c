"""What may be mirrored, and why not: licences, as hub metadata states them, against the operator's lists.

Licence ids are the Hub's (https://huggingface.co/docs/hub/repositories-licenses), which are not SPDX ids. A licence
`other` is known by its name and its link, which anybody may choose:

    other:<license_name>                  of that name, whatever its license_link, as long as there is one
    other:<license_name>@<license_link>   of that name, with this link alone

Case does not count. The first `@` ends a name, so that a repo whose license_name has an `@` is on no list.

A private repo is somebody's secret, and a gated one is given to those who accepted its terms: until an operator has
named it, a glob (or a ranking) alone publishes neither to everybody, whatever our token may read. Where an upstream
does not say whether it is one of these, it may be.

What could not be read is not what is not there: a repo of which nobody could read a licence is held, never judged as
one that states none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mirror_sync.domain.bounds import short
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, Matter, RuleKey
from mirror_sync.domain.policy.gone import DISABLED, PRIVATE
from mirror_sync.domain.policy.rules import Candidate, Outcome, Verdict
from mirror_sync.domain.policy.terms import OTHER, Terms
from mirror_sync.domain.repo import Repo, RepoPattern

LICENCE = "licence"  # the name of this rule
_CODE = "license"  # of its verdicts, in reports
_APPROVE = "; once a person has read it, approve the repo by name in licenses.approved"
BY_NAME = ": name it explicitly or approve it"  # what a repo waits for that only a glob found
_ID, _SPOKEN = 200, 5  # characters of an id, and ids, that a reason repeats
UNREAD, GATED = "license-unread", "gated"  # codes of its verdicts; the second is that of errors.Gated, too
NAMED_ONLY = frozenset({"other", "unknown"})  # families of licences, not licences: never allowed by these words alone


def _verdict(outcome: Outcome, reason: str, code: str = _CODE) -> Verdict:
    return Verdict(LICENCE, outcome, reason, code)


class Missing(StrEnum):
    """What to do with a repo that states no licence."""

    REFUSE = "refuse"
    REVIEW = "review"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Approval:
    """A named person's decision that a repo under review may be mirrored, as `licenses.approved` has it.

    It is a decision for any commit, on all that this rule may hold a repo for.
    """

    repo: Repo
    by: str
    why: str

    @property
    def decisions(self) -> Iterator[Decision]:
        """The same, one for each."""
        for key in (RuleKey.LICENCE, RuleKey.GATED, RuleKey.PRIVATE):
            yield Decision(
                RepoPattern(self.repo.kind, self.repo.id), None, key, DecisionOutcome.APPROVE, self.by, self.why
            )


@dataclass(frozen=True, slots=True)
class LicensePolicy:
    """The rule of licences: the operator's lists of ids; what stands on neither list is refused."""

    allow: frozenset[str] = frozenset()
    review: frozenset[str] = frozenset()
    missing: Missing = Missing.REFUSE
    approved: tuple[Approval, ...] = ()

    def judge(self, candidate: Candidate) -> Verdict:
        """Decide for a repo by its licence, and by what a glob alone may find. A person's approval lifts a doubt."""
        licence = self._judge_licenses(candidate.terms, whole=candidate.whole)
        if licence.outcome is Outcome.REFUSED:
            told = candidate.named and candidate.terms.private is not True
            return licence if told else _secret(licence, candidate.terms)
        own = [one for approval in self.approved for one in approval.decisions]
        known = replace(candidate, decisions=candidate.decisions.and_(own)) if own else candidate
        unnamed = () if candidate.named else _unnamed(candidate.terms)
        holds = [*unnamed, *(() if licence.allowed else (licence,))]
        left = [hold for hold in holds if known.approval(hold) is None]
        if left:
            return _joined(left)
        if not holds:
            return licence
        found = known.approval(holds[0])
        said = "" if found is None else found.said
        return _verdict(Outcome.ALLOWED, f"approved by {said} ({_joined(holds).reason.removesuffix(_APPROVE)})")

    def judge_base(self, base: Repo | None, terms: Terms, candidate: Candidate) -> Verdict:
        """Of the licence alone, of a repo that something else was made of, as for a whole copy. See `judge`."""
        if base is None:
            return _verdict(Outcome.HELD, "it is no repo of a hub, so that nobody can read its licence", UNREAD)
        about = Matter((base,), now=candidate.matter.now)
        public = replace(terms, private=False)  # no secret of ours: the card names it
        found = self.judge(replace(candidate, repo=base, terms=public, whole=True, named=True, about=about))
        return replace(found, reason=found.reason.removesuffix(_APPROVE))

    def _judge_licenses(self, terms: Terms, *, whole: bool) -> Verdict:
        if terms.disabled:
            return _verdict(Outcome.REFUSED, "the upstream has disabled the repo", DISABLED)
        if terms.unread:
            return _verdict(Outcome.HELD, f"the licence could not be read: {terms.unread}{_APPROVE}", UNREAD)
        return self._judge_stated(terms, whole=whole) if terms.licenses else self._judge_missing()

    def _judge_stated(self, terms: Terms, *, whole: bool) -> Verdict:
        licenses = terms.licenses
        known = {found for found in licenses if self._allows(found, terms) or self._reviews(found, terms)}
        refused = sorted(licenses - NAMED_ONLY - known)
        if refused:
            return _verdict(Outcome.REFUSED, f"licence {_spoken(refused)} is not in licenses.allow{self._but(refused)}")
        unmodified = sorted(found for found in licenses if "-nd" in found)
        if unmodified and not whole:
            spoken = _spoken(unmodified)
            return _verdict(Outcome.REFUSED, f"licence {spoken} allows whole copies only, and the job selects files")
        doubt = self._doubt(terms)
        if doubt:
            return _verdict(Outcome.HELD, f"{doubt}{_APPROVE}")
        return _verdict(Outcome.ALLOWED, f"licence {_spoken(sorted(licenses))} is in licenses.allow")

    def _judge_missing(self) -> Verdict:
        match self.missing:
            case Missing.ALLOW:
                return _verdict(Outcome.ALLOWED, "no licence is stated, and licenses.missing is allow")
            case Missing.REVIEW:
                return _verdict(Outcome.HELD, "no licence is stated: approve the repo by name in licenses.approved")
            case Missing.REFUSE:
                return _verdict(Outcome.REFUSED, "no licence is stated, and licenses.missing is refuse")

    def _doubt(self, terms: Terms) -> str:
        """Why a person must look, empty when there is no doubt."""
        if terms.card and terms.tags and terms.card != terms.tags:
            return f"the card says licence {_spoken(sorted(terms.card))}, the tags say {_spoken(sorted(terms.tags))}"
        licenses = terms.licenses
        vague = sorted(licenses & NAMED_ONLY)
        if vague:
            return f"licence {_spoken(vague)} is not named (license_name)"
        if any(license_id.startswith(OTHER) for license_id in licenses) and not terms.link:
            return f"licence {_spoken(sorted(licenses))} comes without a license_link"
        review = sorted(found for found in licenses if not self._allows(found, terms))
        return f"licence {_spoken(review)} is in licenses.review" if review else ""

    def _allows(self, license_id: str, terms: Terms) -> bool:
        return _lists(self.allow, license_id, terms.link)

    def _reviews(self, license_id: str, terms: Terms) -> bool:
        everything = license_id.startswith(OTHER) and "other" in self.review
        return everything or _lists(self.review, license_id, terms.link)

    def _but(self, refused: Iterable[str]) -> str:
        """Says that a licence of this name is listed, with another link."""
        listed = self.allow | self.review
        near = any(entry.startswith(f"{found}@") for found in refused for entry in listed)
        return " with this license_link" if near else ""


def _secret(refused: Verdict, terms: Terms) -> Verdict:
    """Of what its licence refuses: a private one is a secret then, too, also where a job names it, and its code says so
    to whoever would tell the name. Of what only a glob found, one that may be private is.
    """
    return refused if terms.private is False else _verdict(refused.outcome, refused.reason, PRIVATE)


def _unnamed(terms: Terms) -> Iterator[Verdict]:
    """What a repo waits for that only a glob found."""
    if terms.private is not False:
        said = "private" if terms.private else "the upstream does not say whether it is private"
        yield _verdict(Outcome.HELD, f"{said}{BY_NAME}", PRIVATE)
    if terms.gated is not False:
        said = "gated" if terms.gated else "the upstream does not say whether it is gated"
        yield _verdict(Outcome.HELD, f"{said}{BY_NAME}", GATED)


def _joined(holds: Sequence[Verdict]) -> Verdict:
    """The first of several holds, with a doubt of the licence, which comes last."""
    first, last = holds[0], holds[-1]
    if last is first or last.code in (PRIVATE, GATED):
        return first
    return replace(first, reason=f"{first.reason}; {last.reason}")


def _lists(entries: frozenset[str], license_id: str, link: str | None) -> bool:
    """Whether a list has a stated licence, by its id or, where that is `other`, by its name or its name and link."""
    if not license_id.startswith(OTHER):
        return license_id in entries
    if "@" in license_id:
        return False
    if not link:  # whatever the list says of it, a person must look: see `_doubt`
        return any(entry.partition("@")[0] == license_id for entry in entries)
    return license_id in entries or f"{license_id}@{link.lower()}" in entries


def _spoken(ids: Sequence[str]) -> str:
    """The first of them, each cut: they are as many and as long as an upstream likes."""
    left_out = len(ids) - _SPOKEN
    return " and ".join([*(short(one, _ID) for one in ids[:_SPOKEN]), *([f"{left_out} more"] if left_out > 0 else [])])
